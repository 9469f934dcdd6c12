"""Drift: the Lorentz shift, the share that diffuses across a border, and charge that is not lost."""

import numpy as np
import pytest
from scipy.special import ndtr

from castalia.detectors.pxd.deposits import Deposits
from castalia.detectors.pxd.drift import share

SHIFT_IN_CELLS = 9.7 / 50.0


def at(u, v, drift=1.0, electrons=1000.0):
    values = [np.array([value], dtype=np.float32) for value in (u, v, 0.06, drift, electrons)]
    return Deposits(np.zeros(1, dtype=np.int32), *values)


def charges(deposit):
    found = share(deposit)
    return {(int(u), int(v)): float(q) for u, v, q in zip(found.u, found.v, found.electrons, strict=True)}


def test_what_drifts_is_shifted_along_u():
    assert charges(at(10.9, 20.5, drift=0.0)) == {(10, 20): 1000.0}
    assert charges(at(10.9, 20.5))[11, 20] == pytest.approx(1000.0 * ndtr(4.7 / 4.0), rel=1e-3)
    assert set(charges(at(11.1, 20.5))) == {(11, 20)}


@pytest.mark.parametrize("micrometres", [-6.0, -2.0, 2.0, 6.0])
def test_the_share_beyond_a_border_is_the_normal_integral(micrometres):
    found = charges(at(11.0 - SHIFT_IN_CELLS + micrometres / 50.0, 20.5))
    assert found[11, 20] == pytest.approx(1000.0 * ndtr(micrometres / 4.0), rel=1e-3)
    assert found[10, 20] == pytest.approx(1000.0 * ndtr(-micrometres / 4.0), rel=1e-3)
    narrow = charges(at(11.0 - 0.25 * SHIFT_IN_CELLS + micrometres / 50.0, 20.5, drift=0.25))
    assert narrow[11, 20] == pytest.approx(1000.0 * ndtr(micrometres / 2.0), rel=1e-3), "half as wide at a quarter"


def test_a_corner_shares_among_four_and_loses_nothing():
    found = charges(at(11.0 - SHIFT_IN_CELLS + 0.02, 21.01))
    assert set(found) == {(10, 20), (10, 21), (11, 20), (11, 21)}
    assert sum(found.values()) == pytest.approx(1000.0, rel=1e-6)


def test_what_leaves_the_silicon_is_lost():
    assert charges(at(250.1, 20.5)) == {}
    assert charges(at(10.0, -0.5)) == {}
    assert sum(charges(at(100.5, 768.0 - 1e-3)).values()) == pytest.approx(500.0, rel=0.05)
