"""Spectra from counts by event: the distance is that of the values, the error that of whole events."""

import numpy as np
import pytest

from castalia.metrics.distances import wasserstein
from castalia.metrics.pixels.spectra import histogram_wasserstein, spectrum, wasserstein_of
from castalia.rng import Stream


def counted(values, size=256):
    return np.stack([np.bincount(row, minlength=size) for row in values])


def test_the_distance_is_that_of_the_values():
    rng = Stream(1, "charges").at()
    one, other = rng.integers(7, 200, (5, 40)), rng.integers(7, 150, (8, 30))
    expected = wasserstein(one.ravel().astype(float), other.ravel().astype(float))[0]
    assert histogram_wasserstein(counted(one), counted(other)) == pytest.approx(expected)
    assert wasserstein_of(4.0)(counted(one), counted(other)) == pytest.approx(4.0 * expected)
    assert histogram_wasserstein(counted(one), counted(one + 3)) == pytest.approx(3.0)


@pytest.mark.statistical
def test_the_error_knows_that_entries_of_an_event_go_together():
    rng = Stream(1, "spectra").at()
    together = np.repeat(rng.integers(0, 2, (400, 1)), 50, axis=1)
    alone = rng.integers(0, 2, (400, 50))
    # A half, of 400 events whose entries are all alike, or of 20,000 entries.
    for values, expected in ((together, 0.5 / np.sqrt(400)), (alone, 0.5 / np.sqrt(20_000))):
        found = spectrum(counted(values, 2))
        assert found.error[0] == pytest.approx(expected, rel=5.0 * np.sqrt(0.5 / 400))
        assert abs(found.value[0] - 0.5) < 5.0 * found.error[0]
        assert found.value.sum() == pytest.approx(1.0)
