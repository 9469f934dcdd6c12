"""The support of the training points: inside, outside, and in the empty corner of a box."""

import numpy as np
import pytest

from castalia.apps.scan.support import Support
from castalia.rng import Stream

LOW, HIGH = np.array([350.0, 200.0]), np.array([600.0, 450.0])


def triangle(points: int) -> np.ndarray:
    drawn = Stream(1, "triangle").at(0).uniform(LOW, HIGH, (4 * points, 2))
    return drawn[drawn[:, 0] > drawn[:, 1] + 85.0][:points]


def test_a_triangle_of_masses_holds_its_points_and_not_the_empty_corner():
    support = Support(triangle(500), LOW, HIGH)
    fresh = triangle(2000)[500:]
    # Two of a thousand may lie in a hole of the scattered points.
    assert support.holds(fresh).mean() > 0.995
    assert support.holds(np.array([[355.0, 445.0], [400.0, 430.0], [350.0, 380.0]])).tolist() == [False] * 3


@pytest.mark.parametrize("parameters", [1, 3, 6])
def test_the_corners_of_a_full_box_are_supported(parameters):
    low, high = np.zeros(parameters), np.ones(parameters)
    points = Stream(1, "box").at(0).uniform(low, high, (1000, parameters))
    support = Support(points, low, high)
    assert support.holds(np.stack([low, high])).all()
    assert not support.holds(np.full((1, parameters), 2.0)).any()


def test_a_grid_of_points_with_many_events_each_is_a_support():
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(-1, 2).repeat(40, axis=0)
    support = Support(grid, np.zeros(2), np.full(2, 4.0))
    assert support.holds(np.array([[1.5, 2.5], [0.0, 0.0]])).all()


def test_too_few_points_to_judge_hold_everything():
    assert Support(np.zeros((3, 2)), np.zeros(2), np.ones(2)).holds(np.array([[0.9, 0.9]])).all()


def test_few_points_are_known_as_few():
    grid = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0)), axis=-1).reshape(-1, 2).repeat(40, axis=0)
    assert not Support(grid, np.zeros(2), np.full(2, 4.0)).few
    five = Support(grid[:200], np.zeros(2), np.full(2, 4.0))
    assert (five.points, five.few) == (5, True)
