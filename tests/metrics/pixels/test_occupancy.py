"""Occupancy: a planted bias is found within its error, that of sensors as well as of the whole."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.pixels.occupancy import mean_absolute_bias, relative_bias
from castalia.rng import Stream


@pytest.mark.statistical
def test_a_planted_bias_is_found_within_its_error():
    rng = Stream(1, "occupancy").at()
    luminosity = rng.uniform(0.5, 1.0, (500, 1))
    truth, made = rng.poisson(2000.0 * luminosity * np.ones(40)), rng.poisson(1940.0 * luminosity * np.ones(40))
    found = relative_bias(truth, made)
    # Of 500 events with 1,500 hits on average: 1 / sqrt(750,000), twice.
    np.testing.assert_allclose(found.error, np.sqrt(1.97 / 750_000), rtol=0.2)
    pull = (found.value + 0.03) / found.error
    assert abs(pull.mean()) < 5.0 / np.sqrt(40)
    assert np.all(np.abs(found.value) > 5.0 * found.error), "the negative control: no bias of zero"
    total = relative_bias(truth.sum(axis=1), made.sum(axis=1))
    assert abs(total.value[0] + 0.03) < 5.0 * total.error[0]


def test_the_mean_size_of_a_bias_does_not_cancel():
    truth = np.full((10, 4), 100)
    made = truth * np.array([1.1, 0.9, 1.0, 1.0])
    assert mean_absolute_bias(truth, made) == pytest.approx(0.05)
    assert mean_absolute_bias(truth, truth) == 0.0
    assert mean_absolute_bias(truth * np.array([1, 1, 1, 0]), made) == pytest.approx(0.2 / 3.0)


def test_counts_that_do_not_go_together_are_refused():
    with pytest.raises(DataError, match="sample one event for each"):
        relative_bias(np.ones((3, 2)), np.ones((4, 2)))
    empty = relative_bias(np.zeros((3, 1)), np.ones((3, 1)))
    assert np.isnan(empty.value[0])
