"""What is gathered of events does not depend on where they come from, and pieces are never of one event."""

from itertools import pairwise

import numpy as np
import pytest
from pixel_toys import hits

from castalia.apps.pixels.gathered import AT_ONCE, FEWEST_EVENTS, bounds, gather, pieces_of
from castalia.detectors.pxd.images import image, occupancy
from castalia.errors import DataError

EVENTS = hits(np.full(FEWEST_EVENTS + 1, 300))


@pytest.mark.parametrize("events", [2, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE - 1, 3 * AT_ONCE])
def test_pieces_cover_all_events_and_none_has_one(events):
    found = bounds(events)
    assert found[0][0] == 0
    assert found[-1][1] == events
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert min(last - first for first, last in found) >= 2
    assert max(last - first for first, last in found) < 2 * AT_ONCE


def test_pieces_hold_every_hit_of_their_events():
    pieces = list(pieces_of(EVENTS))
    np.testing.assert_array_equal(np.concatenate([occupancy(one) for one in pieces]), occupancy(EVENTS))
    np.testing.assert_array_equal(image(pieces[1], 2), image(EVENTS, AT_ONCE + 2))


def test_events_are_gathered_in_their_order():
    found = gather(pieces_of(EVENTS), 1, control=True)
    np.testing.assert_array_equal(found.summary.occupancy, occupancy(EVENTS))
    np.testing.assert_array_equal(found.image, image(EVENTS, 0))
    assert len(found.pairs) == len(found.overlaid.d0) == len(found.shuffled_maps) == FEWEST_EVENTS + 1
    np.testing.assert_array_equal(found.shuffled_maps.sum(axis=0), found.summary.maps.sum(axis=0))
    assert np.any(found.shuffled_maps != found.summary.maps)


def test_too_few_events_are_refused():
    with pytest.raises(DataError, match="give 60 or more"):
        gather(pieces_of(hits(np.full(FEWEST_EVENTS - 1, 30))), 1)
