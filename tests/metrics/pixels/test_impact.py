"""Impact parameters under background: without it the resolution is that of the hits, with it hits are stolen."""

import numpy as np
import pytest
from pixel_samples import random_hits

from castalia.detectors.pxd.geometry import LAYERS
from castalia.metrics.pixels.clusters import find_clusters
from castalia.metrics.pixels.impact import (
    HIT_ERROR,
    PREDICTION_ERROR,
    TRACKS,
    core_width,
    overlay,
    tail_share,
    wrong_share,
)

EVENTS = 40


@pytest.mark.statistical
def test_without_background_the_width_is_that_of_the_hits():
    found = overlay(None, EVENTS, 0, 1)
    assert not found.wrong.any()
    # A straight line through hits at r1 and r2: (r2 u1 - r1 u2) / (r2 - r1). The windmill's radii vary by a tenth.
    first, second = (one.distance for one in LAYERS)
    expected = HIT_ERROR[0] * np.hypot(first, second) / (second - first)
    width = core_width(found.d0)
    assert abs(width.value - expected) < 5.0 * width.error + 0.05 * expected
    # The error is that of a quantile of so many normal values: 1.3 / sqrt(n) of the width.
    assert width.error == pytest.approx(1.05 * expected / np.sqrt(EVENTS * TRACKS), rel=0.6)
    assert tail_share(found.d0).value < 1e-3


@pytest.mark.statistical
def test_background_steals_as_often_as_its_density_says():
    # Single hits at random, no cluster of several: so many a square millimetre in either layer.
    hits = random_hits(EVENTS, 300.0)
    found = overlay(find_clusters(hits), EVENTS, 0, 1)
    alone = overlay(None, EVENTS, 0, 1)
    # A hit is lost where another lies nearer to the prediction, whose distance is Rayleigh's: the mean over it of
    # exp(-density * pi * r^2) is 1 / (1 + 2 pi density sigma^2).
    sigma = np.square(PREDICTION_ERROR) + np.square(np.mean(HIT_ERROR))
    kept = [1.0 / (1.0 + 2.0 * np.pi * 300.0 / (12.5 * one.length) * sigma) for one in LAYERS]
    share = wrong_share(found.wrong)
    assert abs(share.value - (1.0 - kept[0] * kept[1])) < 5.0 * share.error + 0.01
    assert share.value > 5.0 * share.error, "the negative control"
    # Tracks whose hits are their own are measured as without background.
    np.testing.assert_array_equal(found.d0[~found.wrong], alone.d0[~found.wrong])
    assert tail_share(found.d0).value > tail_share(alone.d0).value + 5.0 * tail_share(found.d0).error


def test_events_have_their_own_tracks_whatever_piece_they_come_in():
    whole = overlay(None, 4, 0, 1)
    np.testing.assert_array_equal(whole.d0[2:], overlay(None, 2, 2, 1).d0)
    assert not np.array_equal(whole.d0, overlay(None, 4, 0, 2).d0)
