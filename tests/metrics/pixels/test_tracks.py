"""Tracks: their true points give back where they come from, whatever the curvature."""

import numpy as np
import pytest

from castalia.detectors.pxd.geometry import SENSOR_LAYER
from castalia.metrics.pixels.tracks import draw_tracks, impact_parameters, space_points
from castalia.rng import Stream

TRACKS = draw_tracks(500, Stream(1, "tracks").at())


def test_true_points_give_the_true_impact_parameters():
    assert len(TRACKS) == 500
    np.testing.assert_array_equal(SENSOR_LAYER[TRACKS.sensor], np.broadcast_to([1, 2], (500, 2)))
    points = space_points(TRACKS.sensor, TRACKS.u, TRACKS.v)
    d0, z0 = impact_parameters(points, TRACKS.radius, TRACKS.sense)
    np.testing.assert_allclose(d0, 0.0, atol=1e-9)
    np.testing.assert_allclose(z0, TRACKS.z0, atol=1e-6)
    # Negative control: turning the wrong way is seen.
    wrong, _ = impact_parameters(points, TRACKS.radius, -TRACKS.sense)
    assert np.abs(wrong).min() > 1e-3


@pytest.mark.parametrize("sense", [-1.0, 1.0])
def test_a_track_beside_the_axis_is_at_its_distance(sense):
    # From (0, 0.1, 2) along x, hardly bent, with tan lambda = 1: to its right or left lies the axis.
    x = np.array([14.0, 22.0])
    radius = np.array([1e7])
    y = 0.1 + sense * x**2 / (2.0 * radius)
    points = np.stack([x, y, 2.0 + x], axis=-1)[None]
    d0, z0 = impact_parameters(points, radius, np.array([sense]))
    assert abs(d0[0]) == pytest.approx(0.1, rel=1e-3)
    assert z0[0] == pytest.approx(2.0, abs=1e-4)
