"""The six marginal measures agree with each one alone; their floors and errors are honest; they do not see pairs."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.distances import energy, kolmogorov_smirnov, wasserstein
from castalia.metrics.divergence import kl_divergence
from castalia.metrics.marginals import floored_marginals, marginal_distances
from castalia.rng import Stream

SCALE = np.array([1.0, 30.0, 0.01])
NAMES = ("wasserstein", "energy", "kolmogorov_smirnov", "kl64", "kl128", "kl256")


def normal(purpose: str, counter: int, events: int = 4000) -> np.ndarray:
    return Stream(4, purpose).at(counter).normal(size=(events, 3)) * SCALE


def test_they_are_the_six_measures_in_physical_units() -> None:
    truth, drawn = normal("six", 0), 1.2 * normal("six", 1)
    u, v = np.abs(normal("six", 2)[:, 0]), np.abs(normal("six", 3)[:, 0])
    for one, other in ((None, None), (u, v)):
        found = marginal_distances(truth, drawn, one, other)
        np.testing.assert_allclose(found.wasserstein, wasserstein(truth, drawn, one, other), rtol=1e-10)
        np.testing.assert_allclose(found.energy, energy(truth, drawn, one, other), rtol=1e-10)
        np.testing.assert_allclose(found.kolmogorov_smirnov, kolmogorov_smirnov(truth, drawn, one, other), rtol=1e-10)
        for bins in (64, 128, 256):
            expected = kl_divergence(truth, drawn, bins, one, other)
            np.testing.assert_allclose(getattr(found, f"kl{bins}"), expected, rtol=1e-10)


def test_sums_are_over_the_chosen_components() -> None:
    found = marginal_distances(normal("sums", 0), normal("sums", 1))
    assert tuple(found.summed()) == NAMES
    assert found.summed([0, 2])["wasserstein"] == pytest.approx(found.wasserstein[0] + found.wasserstein[2])
    assert found.summed()["kl64"] == pytest.approx(found.kl64.sum())


def test_truth_against_truth_is_at_the_floor_and_a_wrong_width_is_not() -> None:
    truth = normal("floor", 0)
    fair = floored_marginals(truth, normal("floor", 1)).summed()
    wrong = floored_marginals(truth, 1.3 * normal("floor", 1)).summed()
    for name in NAMES:
        good, bad = getattr(fair, name), getattr(wrong, name)
        assert abs(good.excess) < 5.0 * good.excess_error
        assert bad.excess > 5.0 * bad.excess_error
        assert good.excess == pytest.approx(good.value - good.floor)
        assert good.ratio == pytest.approx(good.value / good.floor)
        assert good.events == 4000


@pytest.mark.statistical
def test_half_splits_scaled_are_the_floor_of_independent_samples() -> None:
    trials, shape = 20, (8000, 6)
    pairs = [Stream(4, "independent").at(i).normal(size=(2, *shape)) for i in range(trials)]
    independent = [marginal_distances(one, other).summed() for one, other in pairs]
    splits = floored_marginals(*pairs[0], repeats=20).summed()
    for name in NAMES:
        values = np.array([trial[name] for trial in independent])
        split = getattr(splits, name)
        error = np.hypot(values.std(ddof=1) / np.sqrt(trials), split.floor_error)
        # Beside the noise, 5 %: bins in the tails hold a few events each, where the divergence is not quite as 1/n.
        assert split.floor == pytest.approx(values.mean(), abs=5.0 * error + 0.05 * values.mean())
        # Negative control: halves without the scaling are another floor.
        assert split.floor * np.sqrt(2.0) > values.mean() + 5.0 * error + 0.05 * values.mean()


@pytest.mark.statistical
def test_bootstrap_errors_cover_the_scatter_of_repeated_trials() -> None:
    trials = 25
    for factor, largest in ((1.0, 2.0), (1.3, 1.4)):
        results = [floored_marginals(normal("t", i), factor * normal("d", i), seed=i).summed() for i in range(trials)]
        for name in NAMES:
            values = np.array([getattr(result, name).value for result in results])
            errors = np.array([getattr(result, name).error for result in results])
            ratio = errors.mean() / values.std(ddof=1)
            noise = 5.0 / np.sqrt(2.0 * trials)
            # A resampled distance near the floor has the noise of two samples; far from it the error is the scatter.
            assert 1.0 - noise < ratio < largest + noise


def test_perfect_draws_for_the_same_events_lie_below_the_floor() -> None:
    seen = normal("seen", 0)
    truth, drawn = (seen + 0.05 * normal("smear", i) for i in range(2))
    result = floored_marginals(truth, drawn).summed().wasserstein
    assert result.excess < -5.0 * result.excess_error
    # Pairs broken up are independent samples again.
    apart = floored_marginals(truth, np.roll(drawn, 1, axis=0)).summed().wasserstein
    assert abs(apart.value - result.value) < 1e-9


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="3 and 2 components"):
        marginal_distances(normal("bad", 0), normal("bad", 0)[:, :2])
    for events, repeats in ((4000, 5), (50, 20)):
        with pytest.raises(DataError, match="give one draw for each of 100"):
            floored_marginals(normal("bad", 0)[:events], normal("bad", 1)[:events], repeats=repeats)
