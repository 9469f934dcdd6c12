"""Flat lists of objects: pairs within events are those that two loops find."""

import numpy as np
import pytest

from castalia.data.table import Table, jagged
from castalia.detectors.parametric.objects import Objects, close_pairs, mutual_nearest, nearest
from castalia.errors import DataError
from castalia.physics.angles import delta_r
from castalia.rng import Stream

ROWS = 60


def objects(purpose: str, most: int) -> Objects:
    rng = Stream(2, purpose).at()
    event = np.repeat(np.arange(ROWS), rng.integers(0, most, ROWS))
    eta, phi = rng.uniform(-1, 1, len(event)), np.pi + rng.uniform(-1, 1, len(event))
    return Objects(ROWS, event, {"eta": eta, "phi": phi, "pt": rng.uniform(1, 9, len(event))})


FIRST, SECOND = objects("first", 6), objects("second", 9)


def distance(i: int, j: int) -> float:
    if FIRST.event[i] != SECOND.event[j]:
        return np.inf
    return float(delta_r(FIRST["eta"][i], FIRST["phi"][i], SECOND["eta"][j], SECOND["phi"][j]))


def test_pairs_are_those_of_two_loops():
    i, j, found = close_pairs(FIRST, SECOND, 0.5)
    expected = {(a, b) for a in range(len(FIRST)) for b in range(len(SECOND)) if distance(a, b) < 0.5}
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == expected
    assert len(i) == len(expected) > 20
    assert np.array_equal(found, [distance(a, b) for a, b in zip(i, j, strict=True)])


def test_the_nearest_and_the_mutually_nearest():
    forth, both = nearest(FIRST, SECOND, 0.5), mutual_nearest(FIRST, SECOND, 0.5)
    table = np.array([[distance(i, j) for j in range(len(SECOND))] for i in range(len(FIRST))])
    best, back = table.argmin(axis=1), table.argmin(axis=0)
    close = table.min(axis=1) < 0.5
    assert np.array_equal(forth, np.where(close, best, -1))
    mutual = close & (back[best] == np.arange(len(FIRST)))
    assert np.array_equal(both, np.where(mutual, best, -1))
    assert 0 < mutual.sum() < close.sum() < len(FIRST)
    assert np.array_equal(nearest(FIRST, SECOND.take(np.zeros(len(SECOND), bool)), 0.5), np.full(len(FIRST), -1))


def test_order_and_place():
    ordered = FIRST.join(SECOND).by_pt()
    assert np.array_equal(ordered.counts, FIRST.counts + SECOND.counts)
    assert (np.diff(ordered["pt"])[np.diff(ordered.event) == 0] <= 0.0).all()
    place = ordered.local(np.arange(len(ordered)))
    assert (place[ordered.starts[ordered.counts > 0]] == 0).all()
    assert place.max() == ordered.counts.max() - 1
    assert np.array_equal(ordered.local(np.array([-1, -1])), [-1, -1])
    assert ordered.sum_per_event(np.ones(len(ordered))).tolist() == ordered.counts.tolist()


def test_lists_that_do_not_fit_are_refused():
    table = Table({"jet_pt": jagged(np.array([1, 2]), np.ones(3)), "jet_eta": jagged(np.array([2, 1]), np.ones(3))})
    with pytest.raises(DataError, match="'jet_pt' and 'jet_eta' have lists of 1 and 2 values in row 0"):
        Objects.of(table, "jet", ("pt", "eta"))
    with pytest.raises(DataError, match="no column 'jet_phi'"):
        Objects.of(table, "jet", ("pt", "phi"))
    with pytest.raises(DataError, match="no lists of varying length"):
        Objects.of(Table({"jet_pt": np.ones(3)}), "jet", ("pt",))
