"""The noise floor: truth against truth has no excess, a planted error has; errors are honest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.floors import FlooredDistance, floored_mean_wasserstein
from castalia.rng import Stream

SCALE = np.array([1.0, 1e-3, 5.0])


def draws(purpose: str) -> Callable[[int], np.ndarray]:
    return lambda i: Stream(2, purpose).at(i).normal(size=(4000, 3)) * SCALE


def measure(factor: float, redraw: bool, trial: int = 0) -> FlooredDistance:
    truth = draws(f"truth {trial}")
    generated = [factor * draws(f"generated {trial}")(0)]
    return floored_mean_wasserstein(
        truth(0), generated, SCALE, redraw=truth if redraw else None, repeats=20, seed=trial
    )


@pytest.mark.parametrize("redraw", [True, False])
def test_truth_against_truth_has_no_excess_and_a_wrong_width_has(redraw: bool) -> None:
    fair, wrong = measure(1.0, redraw), measure(1.1, redraw)
    assert abs(fair.excess) < 5.0 * fair.excess_error
    assert wrong.excess > 5.0 * wrong.excess_error
    assert fair.excess == pytest.approx(fair.value - fair.floor)
    assert fair.ratio == pytest.approx(fair.value / fair.floor)


@pytest.mark.parametrize("redraw", [True, False])
def test_the_floor_is_that_of_the_size_it_is_quoted_for(redraw: bool) -> None:
    result = measure(1.0, redraw)
    assert result.events == (4000 if redraw else 2000)
    assert result.pairs == (190 if redraw else 20)
    # Two samples of n standard normals: W1 ≈ sqrt(2/n) ∫E|B(Φ(x))|dx = sqrt(2/n) sqrt(2/π) ∫sqrt(Φ(1−Φ))dx = 1.6147 · …
    expected = np.sqrt(2.0 / result.events) * np.sqrt(2.0 / np.pi) * 1.6147
    assert result.floor == pytest.approx(expected, abs=5.0 * result.floor_error + 0.01 * expected)
    assert result.floor_error < 0.1 * result.floor


@pytest.mark.statistical
@pytest.mark.parametrize("redraw", [True, False])
def test_errors_cover_the_scatter_of_repeated_trials(redraw: bool) -> None:
    results = [measure(1.0, redraw, trial) for trial in range(1, 25)]
    pulls = np.array([result.excess / result.excess_error for result in results])
    # Halves quote the bootstrap error, conservative near the floor; neither may be too small beyond noise.
    assert abs(pulls.mean()) < 5.0 / np.sqrt(len(pulls))
    assert pulls.std(ddof=1) < 1.0 + 5.0 / np.sqrt(2.0 * len(pulls))
    assert pulls.std(ddof=1) > 0.2


def test_replicas_of_the_generated_events_sharpen_the_value() -> None:
    truth, generated = draws("truth"), draws("generated")
    one = floored_mean_wasserstein(truth(0), [generated(0)], SCALE, redraw=truth)
    many = floored_mean_wasserstein(truth(0), [generated(i) for i in range(8)], SCALE, redraw=truth)
    assert many.excess_error < one.excess_error
    assert abs(many.excess) < 5.0 * many.excess_error


def test_results_depend_on_the_seed_alone() -> None:
    assert measure(1.0, False) == measure(1.0, False)
    truth = draws("truth")(0)
    assert floored_mean_wasserstein(truth, [truth], SCALE, seed=1) != floored_mean_wasserstein(
        truth, [truth], SCALE, seed=2
    )


def test_bad_input_is_refused_in_words() -> None:
    truth = draws("truth")
    with pytest.raises(DataError, match="generated replicas have shapes"):
        floored_mean_wasserstein(truth(0), [truth(1)[:10]], SCALE)
    with pytest.raises(DataError, match="too few for a floor"):
        floored_mean_wasserstein(truth(0), [truth(1)], SCALE, repeats=5)
    with pytest.raises(DataError, match="must be positive"):
        floored_mean_wasserstein(truth(0), [truth(1)], [1.0, -1.0, 1.0])
    with pytest.raises(DataError, match="truth redraw 1 has shape"):
        floored_mean_wasserstein(truth(0), [truth(1)], SCALE, redraw=lambda i: truth(i)[:9])
