"""Measures of ``pxd_sanity.py`` on counts whose answers are known."""

import numpy as np
import pytest

from castalia.detectors.pxd.geometry import SENSOR_LAYER, SENSOR_NUMBER, SENSOR_PHI
from castalia.rng import Stream
from pxd_sanity_measures import (
    LEVELS,
    common_mode,
    forward_over_backward,
    layer_mean,
    modulation,
    per_cent,
    quantiles,
    variance_over_mean,
)

EVENTS = 500


def counts(amplitude=0.1, spread=0.0):
    rng = Stream(1, "sanity").at()
    mean = np.where(SENSOR_LAYER == 1, 2880.0, 960.0) * (1.0 + amplitude * np.cos(SENSOR_PHI))
    mean = mean * np.where(SENSOR_NUMBER == 1, 1.02, 0.98)
    return rng.poisson(mean * (1.0 + spread * rng.standard_normal((EVENTS, 1))))


@pytest.mark.statistical
def test_what_was_planted_is_found():
    found = counts()
    for value, expected in (
        (layer_mean(found, 1), 1.5), (layer_mean(found, 2), 0.5), (modulation(found, 1), 0.1),
        (modulation(found, 2), 0.1), (forward_over_backward(found, 2), 1.02 / 0.98), (variance_over_mean(found), 1.0),
    ):  # fmt: skip
        assert abs(value.value - expected) < 5.0 * value.error
    assert abs(modulation(counts(0.2), 1).value - 0.1) > 5.0 * modulation(found, 1).error, "the negative control"
    mean, error = per_cent(found)
    assert abs(mean[0] - 1.5 * 1.1 * 1.02) < 5.0 * error[0]


@pytest.mark.statistical
def test_the_common_mode_is_found_and_none_is_invented():
    shared, none = common_mode(counts(spread=0.05)), common_mode(counts())
    assert abs(shared.value - 0.05) < 5.0 * shared.error
    assert none.value < 5.0 * none.error


def test_quantiles_of_a_histogram_are_those_of_its_values():
    values = Stream(2, "sanity").at().geometric(0.05, 20_001).clip(0, 255)
    expected = np.quantile(values, LEVELS, method="inverted_cdf")
    assert quantiles(np.bincount(values, minlength=256)).tolist() == expected.tolist()
