"""Unfolding by an inverse passes the bottom-line test, a covariance that is too small fails; bins are held to truth."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.bands import ONE_SIGMA
from castalia.metrics.bottom_line import bin_performance, bottom_line
from castalia.rng import Stream

RESPONSE = np.array([[0.7, 0.2, 0.0], [0.3, 0.6, 0.3], [0.0, 0.2, 0.7]])
MODELS = np.array([400.0, 300.0, 100.0]), np.array([380.0, 290.0, 130.0])
SMEARED = RESPONSE @ MODELS[0], RESPONSE @ MODELS[1]
DATA = np.diag(SMEARED[0])


def test_an_inverted_response_neither_gains_nor_loses() -> None:
    inverse = np.linalg.inv(RESPONSE)
    found = bottom_line(SMEARED, DATA, MODELS, inverse @ DATA @ inverse.T)
    assert found.unfolded.value == pytest.approx(found.smeared.value, rel=1e-9)
    assert found.ratio == pytest.approx(1.0)
    assert found.passed


def test_errors_as_if_there_were_no_detector_fail() -> None:
    found = bottom_line(SMEARED, DATA, MODELS, np.diag(MODELS[0]))
    assert found.ratio > 1.2
    assert not found.passed


def test_merging_bins_loses_and_passes() -> None:
    merge, inverse = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.linalg.inv(RESPONSE)
    models = merge @ MODELS[0], merge @ MODELS[1]
    found = bottom_line(SMEARED, DATA, models, merge @ inverse @ DATA @ inverse.T @ merge.T)
    assert found.passed
    assert found.ratio < 1.0


@pytest.mark.statistical
def test_a_covariance_from_few_replicas_gains_nothing_on_average() -> None:
    replicas, trials, rng = 12, 1000, Stream(15, "test replicas").at()
    inverse = np.linalg.inv(RESPONSE)
    found = {"few": [], "exact": []}
    for _ in range(trials):
        known = np.cov(rng.multivariate_normal(np.zeros(3), inverse @ DATA @ inverse.T, replicas), rowvar=False)
        for name, number in (("few", replicas), ("exact", None)):
            found[name].append(bottom_line(SMEARED, DATA, MODELS, known, replicas=number).ratio)
    error = {name: np.std(ratios) / np.sqrt(trials) for name, ratios in found.items()}
    assert abs(np.mean(found["few"]) - 1.0) < 5 * error["few"]
    assert np.mean(found["exact"]) - 1.0 > 5 * error["exact"]  # control
    with pytest.raises(DataError, match="5 replicas are too few for a bottom line of 3 bins; make 6"):
        bottom_line(SMEARED, DATA, MODELS, np.eye(3), replicas=5)


@pytest.mark.statistical
def test_honest_errors_cover_and_a_bias_or_small_errors_do_not() -> None:
    sets, truth, width = 2000, np.array([10.0, 50.0, 200.0]), np.array([1.0, 2.0, 5.0])
    noise = Stream(14, "test bins").at().normal(size=(sets, 3))
    errors = np.broadcast_to(width, (sets, 3))
    tolerance = 5.0 * np.sqrt(ONE_SIGMA * (1.0 - ONE_SIGMA) / sets)
    honest = bin_performance(truth + width * noise, errors, truth)
    assert np.all(np.abs(honest.bias) < 5.0 * honest.bias_error)
    assert np.all(honest.bias_squared < 25.0 * honest.bias_error**2)
    np.testing.assert_allclose(honest.variance, width**2, rtol=5.0 * np.sqrt(2.0 / sets))
    assert all(abs(one.fraction - ONE_SIGMA) < tolerance for one in honest.coverage)
    biased = bin_performance(truth + width * (0.5 * noise + 1.0), 0.5 * errors, truth)
    np.testing.assert_allclose(biased.bias_squared, width**2, rtol=0.1)
    assert all(one.fraction < ONE_SIGMA - tolerance for one in biased.coverage)
    small = bin_performance(truth + width * noise, 0.7 * errors, truth)
    assert all(one.fraction < ONE_SIGMA - tolerance for one in small.coverage)


@pytest.mark.statistical
def test_data_sets_of_one_pool_know_their_bias_less_well() -> None:
    sets, overlap, trials = 100, 0.1, 400
    rng = Stream(14, "test overlap").at()
    pulls = []
    for _ in range(trials):
        contents = np.sqrt(overlap) * rng.normal() + np.sqrt(1.0 - overlap) * rng.normal(size=(sets, 1))
        found = bin_performance(contents, np.ones((sets, 1)), [0.0], overlap=overlap)
        pulls.append(found.bias[0] / found.bias_error[0])
    # The variance within one pool misses the share that is common to it, a tenth.
    assert np.std(pulls) == pytest.approx(1.0, abs=5.0 / np.sqrt(2.0 * trials) + 0.06)
    assert found.coverage[0].pool_error > 0.0


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="give two or more data sets"):
        bin_performance(np.ones((1, 2)), np.ones((1, 2)), [1.0, 1.0])
    with pytest.raises(DataError, match="3 true bins"):
        bin_performance(np.ones((4, 2)), np.ones((4, 2)), [1.0, 1.0, 2.0])
