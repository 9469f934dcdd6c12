"""Summaries count every hit once, piece by piece or at once."""

import dataclasses

import numpy as np
import pytest
from pixel_samples import hits_of, random_hits

from castalia.detectors.pxd.images import image, occupancy
from castalia.errors import DataError
from castalia.metrics.pixels.clusters import find_clusters
from castalia.metrics.pixels.summary import joined, summarise


def test_every_hit_is_counted_once():
    hits = random_hits(3, 30.0, charge=(7, 256))
    found = summarise(hits, find_clusters(hits))
    np.testing.assert_array_equal(found.occupancy, occupancy(hits))
    np.testing.assert_array_equal(found.charge.sum(axis=1), occupancy(hits).sum(axis=1))
    np.testing.assert_array_equal(found.charge @ np.arange(256), found.charge_sum.sum(axis=1))
    np.testing.assert_array_equal(found.size @ np.arange(64), occupancy(hits).sum(axis=1))
    np.testing.assert_array_equal(found.clusters.sum(axis=1), found.size.sum(axis=1))
    np.testing.assert_array_equal(found.maps.sum(axis=(1, 2)), occupancy(hits).sum(axis=1))
    pooled = image(hits, 1).reshape(40, 25, 10, 32, 24).sum(axis=(2, 4), dtype=np.int64)
    np.testing.assert_array_equal(found.images[1], pooled)


def test_what_is_beyond_a_histogram_is_in_its_last_interval():
    u, v = np.divmod(np.arange(100), 10)
    hits = hits_of(1, np.zeros(100, dtype=int), np.zeros(100, dtype=int), u, v, np.full(100, 250))
    found = summarise(hits, find_clusters(hits))
    assert found.size[0, -1] == 1
    assert found.cluster_charge[0, -1] == 1
    assert found.size_u[0, 10] == found.size_v[0, 10] == 1


def test_pieces_put_together_are_the_whole():
    hits, others = random_hits(2, 5.0), random_hits(3, 5.0, seed=2)
    parts = [summarise(one, find_clusters(one)) for one in (hits, others)]
    whole = joined(parts)
    assert len(whole) == 5
    for field in dataclasses.fields(whole):
        np.testing.assert_array_equal(getattr(whole, field.name)[2:], getattr(parts[1], field.name))
    with pytest.raises(DataError, match="at least one"):
        joined([])
