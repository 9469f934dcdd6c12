"""Pairs of hits: none beyond chance where hits are at random, and those that were planted."""

import numpy as np
import pytest
from pixel_samples import hits_of, random_hits

from castalia.errors import DataError
from castalia.metrics.pixels.pairs import PAIR_EDGES, pair_correlation, pair_counts, pair_difference
from castalia.rng import Stream

EVENTS = 30


def counted(hits):
    return pair_counts(hits, Stream(1, "references").at())


def with_partners(hits, cells):
    """Give every hit a partner so many cells further along u."""
    u = np.minimum(hits.u.astype(int) + cells, 249)
    both = [np.concatenate(pair) for pair in ((hits.event, hits.event), (hits.sensor, hits.sensor), (hits.u, u),
                                              (hits.v, hits.v), (hits.charge, hits.charge))]  # fmt: skip
    return hits_of(hits.events, *both)


@pytest.mark.statistical
def test_hits_at_random_have_no_pairs_beyond_chance():
    value, error = pair_correlation(counted(random_hits(EVENTS, 40.0)))
    known = np.isfinite(value) & (error > 0.0) & (PAIR_EDGES[1:] > 1.0)
    pull = (value[known] - 1.0) / error[known]
    # A common mode of the event is no correlation of hits.
    rate = 40.0 * Stream(1, "common").at().uniform(0.5, 1.5, (EVENTS, 1))
    other, spread = pair_correlation(counted(random_hits(EVENTS, rate)))
    for one in (pull, (other[known] - 1.0) / spread[known]):
        assert np.abs(one).max() < 5.0


@pytest.mark.statistical
def test_planted_pairs_are_found_at_their_distance():
    value, error = pair_correlation(counted(with_partners(random_hits(EVENTS, 40.0), 30)))
    place = np.searchsorted(PAIR_EDGES, 1.5, side="right") - 1  # 30 cells of 0.05 mm
    # One partner among 79 others, in an interval that holds a share p of pairs by chance: 1 + 1 / (79 p), nearly.
    area = np.pi * (PAIR_EDGES[place + 1] ** 2 - PAIR_EDGES[place] ** 2) / (12.5 * (16 * 44.8 + 24 * 61.44) / 40)
    assert value[place] == pytest.approx(1.0 + 1.0 / (79.0 * area), rel=0.25)  # the rim of sensors takes some of both
    assert value[place] - 1.0 > 5.0 * error[place]
    assert abs(value[place + 3] - 1.0) < 5.0 * error[place + 3] + 0.05, "the negative control"


def test_the_difference_is_zero_of_equal_samples_only():
    one, other = counted(random_hits(4, 40.0)), counted(with_partners(random_hits(4, 40.0), 30))
    assert pair_difference(one, one) == 0.0
    assert pair_difference(one, other) > 0.05
    with pytest.raises(DataError, match="at least two"):
        counted(random_hits(1, 40.0))
