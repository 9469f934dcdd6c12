"""Fitted centres and widths favour neither sample, follow the conditions, and survive strange targets."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.metrics.pulls import fitted_location, fitted_pull_scale
from castalia.metrics.width_ratio import inclusive_width_checks
from castalia.rng import Stream

EVENTS = 6000
SCALE = np.array([1.0, 1e-3, 50.0])


def centre(condition: np.ndarray) -> np.ndarray:
    """Centres that move by many widths: nothing, a straight line, a curve."""
    return SCALE * np.column_stack(
        [np.zeros(len(condition)), 200.0 * condition[:, 1], 5.0 * np.sin(3 * condition[:, 2])]
    )


def draw(counter: int, condition: np.ndarray, width: float = 1.0) -> np.ndarray:
    z = Stream(12, "fitted").at(counter).normal(size=(len(condition), 3))
    return centre(condition) + width * z * SCALE * np.exp(0.5 * condition[:, :1])


@pytest.fixture(scope="module")
def condition() -> np.ndarray:
    return Stream(12, "conditions").at().uniform(-1.0, 1.0, (EVENTS, 4))


def test_truth_against_truth_has_equal_pulls_and_a_factor_is_seen(condition: np.ndarray) -> None:
    true, other, wide = draw(0, condition), draw(1, condition), draw(1, condition, width=1.12)
    location, width = fitted_pull_scale(condition, true)
    names = ("a", "b", "c")
    fair = inclusive_width_checks(names, (true - location) / width, (other - location) / width)
    planted = inclusive_width_checks(names, (true - location) / width, (wide - location) / width)
    assert fair[-1].deviation < 5.0 * fair[-1].error
    assert planted[-1].deviation > 5.0 * planted[-1].error
    # The negative control: without the centres, the width of the target with a line is not seen.
    blind = inclusive_width_checks(names, true / width, wide / width)
    assert blind[1].deviation < 5.0 * blind[1].error


def test_widths_and_centres_follow_the_conditions_and_units(condition: np.ndarray) -> None:
    location, width = fitted_pull_scale(condition, draw(0, condition))
    expected = SCALE * np.exp(0.5 * condition[:, :1])
    ratio = width / expected
    # A fit of about 100 leaves to 4,000 logarithms, each known to 1.1: about 15 %; no fit: 29 %.
    assert np.all(ratio.std(axis=0) / ratio.mean(axis=0) < 0.25)
    np.testing.assert_allclose(np.median(ratio, axis=0), 1.0, rtol=0.15)
    # The same leaves to medians, each known to 1.25 widths: about 0.2; the centres themselves move by 3 and 115.
    off = (location - centre(condition)) / expected
    assert np.all(np.sqrt(np.mean(off**2, axis=0)) < np.array([0.4, 0.4, 0.6]))


def test_far_outliers_do_not_move_the_centres(condition: np.ndarray) -> None:
    true = draw(0, condition)
    soiled = true.copy()
    soiled[::100] += 1e4 * SCALE
    moved = (fitted_location(condition, soiled) - fitted_location(condition, true)) / SCALE
    # One per cent of outliers moves a median by 0.013 widths; trees that split elsewhere add their own noise.
    assert np.all(np.sqrt(np.mean(moved**2, axis=0)) < 0.3)
    # The negative control: means would have moved by a hundred.
    assert np.all(np.mean((soiled - true) / SCALE, axis=0) > 50.0)


@pytest.mark.parametrize("zeros", [0.3, 0.7, 0.99])
def test_targets_that_are_mostly_zero_have_widths(condition: np.ndarray, zeros: float) -> None:
    rng = Stream(12, "counts").at()
    counts = np.where(rng.random(EVENTS) < zeros, 0.0, rng.poisson(3.0, EVENTS))
    location, width = fitted_pull_scale(condition, counts)
    assert np.isfinite(location).all()
    assert np.isfinite(width).all()
    assert width.min() > 0.0
    assert np.std((counts[:, None] - location) / width) == pytest.approx(1.0, abs=2.0)


def test_a_constant_target_is_finite(condition: np.ndarray) -> None:
    location, width = fitted_pull_scale(condition, np.full(EVENTS, 7.0))
    np.testing.assert_allclose(location, 7.0)
    assert np.isfinite(width).all()
