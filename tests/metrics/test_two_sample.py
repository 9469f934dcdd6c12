"""The conditional two-sample test: it sees what it must, and does not see what is not there."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.two_sample import conditional_auc, two_sample_test
from castalia.rng import Stream

EVENTS = 20_000


def conditions(events: int = EVENTS) -> np.ndarray:
    rng = Stream(10, "conditions").at()
    return np.column_stack([20.0 + rng.gamma(2.0, 30.0, (events, 2)), rng.uniform(0.0, 40.0, events)])


def responses(condition: np.ndarray, counter: int, rho: float = 0.5) -> np.ndarray:
    """Two targets for each of two objects, widths depending on the conditions, correlated between the objects."""
    z = Stream(10, "responses").at(counter).normal(size=(len(condition), 4))
    z[:, 2:] = rho * z[:, :2] + np.sqrt(1.0 - rho**2) * z[:, 2:]
    energy, mu = condition[:, :2], condition[:, 2:]
    first, second = 0.2 * np.sqrt(energy) * (1.0 + 0.02 * mu), 1e-3 * (0.3 + 20.0 / energy)
    return z * np.stack([first[:, 0], second[:, 0], first[:, 1], second[:, 1]], axis=1)


@pytest.fixture(scope="module")
def truth() -> tuple[np.ndarray, np.ndarray]:
    condition = conditions()
    return condition, responses(condition, 0)


def test_truth_is_not_told_from_truth_and_the_planted_width_is(truth: tuple[np.ndarray, np.ndarray]) -> None:
    condition, true = truth
    result = two_sample_test(
        condition, true, responses(condition, 1), redraw=lambda i: responses(condition, 1 + i), seed=1
    )
    assert abs(result.auc.significance) < 5.0
    assert abs(result.control.significance) < 5.0
    # σ × 1.03 on four targets; with six and 50,000 events the same classifier reaches ten.
    assert result.power.significance > 3.0
    assert result.auc.events == EVENTS


def test_a_condition_blind_model_is_seen(truth: tuple[np.ndarray, np.ndarray]) -> None:
    condition, true = truth
    blind = responses(condition, 2)[Stream(10, "shuffle").at().permutation(EVENTS)]
    # Every column's distribution is right: only the conditions give it away.
    result = conditional_auc(condition, true, blind)
    assert result.value - 3.0 * result.error > 0.55


def test_a_lost_correlation_is_seen(truth: tuple[np.ndarray, np.ndarray]) -> None:
    condition, true = truth
    result = conditional_auc(condition, true, responses(condition, 3, rho=0.0))
    assert result.value - 3.0 * result.error > 0.55


def test_without_redraws_halves_take_their_place(truth: tuple[np.ndarray, np.ndarray]) -> None:
    condition, true = truth
    result = two_sample_test(condition[:4000], true[:4000], responses(condition, 4)[:4000])
    assert result.control.events == result.power.events == 2000
    assert abs(result.control.significance) < 5.0


def test_the_planted_width_is_about_the_centre_of_a_ratio() -> None:
    condition = conditions(12_000)
    z, other = (Stream(10, "ratio").at(i).normal(size=(len(condition), 1)) for i in (0, 1))
    slope = 1.0 + 0.002 * (condition[:, :1] - 80.0)  # a centre that moves by many of its widths of 3 %
    true, fair, wide = (slope + 0.03 * width for width in (z, other, 1.03 * other))
    result = two_sample_test(condition, true, wide, redraw=lambda _: fair)
    assert result.power.value == pytest.approx(result.auc.value, abs=5.0 * np.hypot(result.auc.error, result.auc.error))
    assert abs(result.control.significance) < 5.0
    # The negative control: 3 % about zero is a shift of one width, which anything sees.
    assert conditional_auc(condition, true, 1.03 * fair).value > result.power.value + 0.1


def test_a_wide_response_is_seen_behind_a_moving_centre() -> None:
    condition = conditions(12_000)
    x = condition[:, :1]
    true, wide = (
        x * (1.0 + k * 0.02 * Stream(10, "behind").at(i).normal(size=x.shape)) for i, k in ((0, 1.0), (1, 1.2))
    )
    result = conditional_auc(condition, true, wide)
    assert result.value - 5.0 * result.error > 0.52


@pytest.mark.parametrize("zeros", [0.6, 0.95])
def test_counts_that_are_mostly_zero(zeros: float) -> None:
    condition = conditions(3000)
    rng = Stream(10, "counts").at()
    true, fair = (np.where(rng.random((3000, 1)) < zeros, 0.0, rng.poisson(3.0, (3000, 1))) for _ in range(2))
    result = two_sample_test(condition, true, fair)
    assert abs(result.auc.significance) < 5.0
    assert conditional_auc(condition, true, 3.0 * true).value > 0.5
    assert np.isfinite(result.power.value)


def test_reproducible_and_independent_of_units(truth: tuple[np.ndarray, np.ndarray]) -> None:
    condition, true = (part[:1500] for part in truth)
    generated = responses(condition, 5)
    one = conditional_auc(condition, true, generated, seed=3)
    assert conditional_auc(condition, true, generated, seed=3) == one
    units = np.array([1e3, 1e-3, 1.0, 1e6])
    assert conditional_auc(condition, true * units, generated * units, seed=3).value == pytest.approx(
        one.value, abs=0.01
    )


@pytest.mark.statistical
def test_the_error_covers_the_scatter_on_truth() -> None:
    pulls = []
    for trial in range(12):
        condition = conditions(1200)
        pulls.append(conditional_auc(condition, responses(condition, 100 + trial), responses(condition, 200 + trial)))
    scores = np.array([result.significance for result in pulls])
    assert abs(scores.mean()) < 5.0 / np.sqrt(len(scores))
    assert scores.std(ddof=1) < 1.0 + 5.0 / np.sqrt(2.0 * len(scores))


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="have shapes"):
        conditional_auc(np.zeros((400, 2)), np.zeros((400, 2)), np.zeros((399, 2)))
    with pytest.raises(DataError, match="too few"):
        two_sample_test(np.zeros((400, 2)), np.zeros((400, 2)), np.zeros((400, 2)))
    with pytest.raises(DataError, match="generated targets has 1 values"):
        conditional_auc(np.zeros((400, 2)), np.zeros((400, 1)), np.r_[np.zeros(399), np.nan])
