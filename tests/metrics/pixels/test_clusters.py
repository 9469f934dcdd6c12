"""Clusters: hits that touch are one, others are not, whatever their order in memory suggests."""

import numpy as np
import pytest

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.metrics.pixels.clusters import find_clusters


def hits(rows):
    rows = sorted(rows)
    event, sensor, u, v, charge = (np.array(column) for column in zip(*rows, strict=True))
    return PixelHits(2, event.astype(np.int32), sensor.astype(np.uint8), u.astype(np.uint8), v.astype(np.uint16),
                     charge.astype(np.uint8))  # fmt: skip


def test_touching_hits_are_one_cluster():
    found = find_clusters(hits([
        (0, 0, 5, 5, 10), (0, 0, 6, 6, 20), (0, 0, 7, 5, 30),  # by corners
        (0, 0, 5, 8, 40),
        (0, 1, 5, 5, 50), (1, 0, 5, 5, 60),
    ]))  # fmt: skip
    assert sorted(zip(found.charge, found.size, found.size_u, found.size_v, strict=True)) == [
        (40, 1, 1, 1), (50, 1, 1, 1), (60, 1, 1, 1), (60, 3, 3, 2),
    ]  # fmt: skip
    assert sorted(zip(found.event, found.sensor, strict=True)) == [(0, 0), (0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("rows", [
    [(0, 0, 5, 767, 9), (0, 0, 6, 0, 9)],  # the end of a row and the beginning of the next
    [(0, 0, 249, 3, 9), (0, 1, 0, 3, 9)],
    [(0, 39, 249, 767, 9), (1, 0, 0, 0, 9)],
    [(0, 0, 5, 5, 9), (0, 0, 7, 5, 9)],
])  # fmt: skip
def test_hits_that_only_look_like_neighbours_are_two(rows):
    assert len(find_clusters(hits(rows)).size) == 2
