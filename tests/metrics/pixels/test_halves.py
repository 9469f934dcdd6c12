"""Halves of equal conditions: the floor has no luminosity in it, and a distance beyond it is seen."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.pixels.halves import floored, matched_halves
from castalia.rng import Stream


def difference(first, second):
    return float(abs(first.mean() - second.mean()))


def test_halves_share_no_event_and_have_neighbours():
    expected = Stream(1, "conditions").at().uniform(0.5, 1.0, 101)
    rank = expected.argsort().argsort()
    for one, other in matched_halves(expected, 1):
        assert len(one) == len(other) == 50
        assert len(np.unique(np.concatenate([one, other]))) == 100
        assert np.abs(rank[one] - rank[other]).max() <= 2


@pytest.mark.statistical
def test_the_floor_is_that_of_events_without_their_conditions():
    rng = Stream(1, "halves").at()
    luminosity = rng.uniform(0.5, 1.0, 400)
    truth, made = (1000.0 * luminosity + rng.standard_normal(400) for _ in range(2))
    found = floored(difference, truth, made, matched_halves(luminosity, 1))
    # Halves of 200: means of unit normal values differ by sqrt(2/200) * sqrt(2/pi) on average, 0.08; neighbours in
    # luminosity are 1.25 apart, and 200 such differences with signs at random add 1.25 * sqrt(2 / 200) in quadrature.
    assert found.floor < 0.3
    assert abs(found.excess) < 5.0 * found.excess_error
    shifted = floored(difference, truth, made + 2.0, matched_halves(luminosity, 1))
    assert shifted.excess > 5.0 * shifted.excess_error, "the negative control"
    # Halves at random have the luminosity in their floor: 1000 * 0.144 * sqrt(2 / 200) * 0.8 = 11.
    loose = floored(difference, truth, made, matched_halves(rng.random(400), 1))
    assert loose.floor > 3.0, "the negative control"


def test_what_cannot_be_halved_or_compared_is_refused():
    with pytest.raises(DataError, match="at least eight"):
        matched_halves(np.arange(7), 1)
    with pytest.raises(DataError, match="sample one for each"):
        floored(difference, np.zeros((8, 2)), np.zeros((9, 2)), matched_halves(np.arange(8), 1))
