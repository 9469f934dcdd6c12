"""Pixel hits as columns, in our terms and in basf2's, and back; damaged lists are refused."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.table import Table
from castalia.detectors.pxd.columns import hit_lists, hits_of
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.errors import DataError

HITS = PixelHits(
    events=4,
    event=np.array([0, 0, 2], dtype=np.int32),
    sensor=np.array([0, 39, 16], dtype=np.uint8),
    u=np.array([3, 249, 7], dtype=np.uint8),
    v=np.array([767, 0, 300], dtype=np.uint16),
    charge=np.array([7, 255, 20], dtype=np.uint8),
)


@pytest.mark.parametrize("basf2", [False, True])
def test_hits_survive_a_table_of_either_kind(basf2):
    lists = hit_lists(HITS, basf2=basf2)
    assert lists["VxdID" if basf2 else "pxd_sensor"].to_list() == (
        [[0x2120, 0x4C40], [], [0x4120], []] if basf2 else [[0, 39], [], [16], []]
    )
    back = hits_of(Table(lists))
    assert back.events == 4
    for name in ("event", "sensor", "u", "v", "charge"):
        assert np.array_equal(getattr(back, name), getattr(HITS, name)), name
        assert getattr(back, name).dtype == getattr(HITS, name).dtype


def test_damaged_lists_are_refused():
    lists = hit_lists(HITS)
    with pytest.raises(DataError, match="differ in length"):
        hits_of(Table({**lists, "pxd_u": ak.Array([[1], [], [2], []])}))
    with pytest.raises(DataError, match="it ends at 249"):
        hits_of(Table({**lists, "pxd_u": ak.Array([[1, 250], [], [2], []])}))
    with pytest.raises(DataError, match="VxdID 7 is no sensor"):
        hits_of(Table({**hit_lists(HITS, basf2=True), "VxdID": ak.Array([[7, 0x4C40], [], [0x4120], []])}))
    with pytest.raises(DataError, match="no column 'VxdID'"):
        hits_of(Table({"luminosity": np.ones(3)}))
