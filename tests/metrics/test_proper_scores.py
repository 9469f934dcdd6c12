"""Scores against closed forms of the normal, fair for any number of draws, and lowest for the right posterior."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from castalia.errors import DataError
from castalia.metrics.proper_scores import crps, energy_score, mean_score
from castalia.rng import Stream


def normal(counter: int, *shape: int) -> np.ndarray:
    return Stream(6, "test scores").at(counter).normal(size=shape)


def exact_crps(y: np.ndarray, width: float) -> np.ndarray:
    """Gneiting and Raftery (2007), section 4.2: the score of a normal forecast."""
    z = y / width
    return width * (z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / np.sqrt(np.pi))


@pytest.mark.statistical
@pytest.mark.parametrize("draws", [2, 10, 100])
def test_crps_of_normal_draws_is_the_closed_form_for_any_number_of_draws(draws: int) -> None:
    y, width = 0.7, 1.3
    scores = crps(np.full(20_000, y), width * normal(draws, 20_000, draws), scale=1.0)
    found = mean_score(scores)
    expected = float(exact_crps(np.array(y), width))
    assert found.value == pytest.approx(expected, abs=5.0 * found.error)
    if draws == 10:
        # Negative control: pairs of a draw with itself, counted, are the bias that "fair" takes away.
        unfair = found.value + width / (np.sqrt(np.pi) * draws)
        assert abs(unfair - expected) > 5.0 * found.error


def test_crps_agrees_with_the_sum_over_all_pairs() -> None:
    truth, made = normal(1, 8, 3), normal(2, 8, 6, 3)
    pairs = np.abs(made[:, :, None] - made[:, None, :]).sum(axis=(1, 2)) / (6 * 5)
    expected = np.abs(made - truth[:, None]).mean(axis=1) - 0.5 * pairs
    np.testing.assert_allclose(crps(truth, made, scale=1.0), expected, rtol=1e-12)
    np.testing.assert_allclose(crps(truth, made), expected / truth.std(axis=0), rtol=1e-12)


def test_energy_score_is_crps_in_one_component_and_agrees_with_all_pairs() -> None:
    truth, made = normal(3, 9, 1), normal(4, 9, 7, 1)
    np.testing.assert_allclose(energy_score(truth, made), crps(truth, made)[:, 0], atol=1e-7)
    truth, made, scale = normal(5, 6, 4), normal(6, 6, 5, 4), np.array([1.0, 2.0, 0.5, 3.0])
    scaled = made / scale
    pairs = np.linalg.norm(scaled[:, :, None] - scaled[:, None, :], axis=3).sum(axis=(1, 2)) / (5 * 4)
    expected = np.linalg.norm(scaled - (truth / scale)[:, None], axis=2).mean(axis=1) - 0.5 * pairs
    np.testing.assert_allclose(energy_score(truth, made, scale), expected, rtol=1e-10)


@pytest.mark.statistical
def test_the_right_posterior_has_the_lowest_score_and_the_prior_a_bad_one() -> None:
    events, draws, width = 4000, 40, 0.6
    seen, rho = normal(7, events, 2), np.sqrt(1.0 - width**2)
    truth = rho * seen + width * normal(8, events, 2)
    noise = normal(9, events, draws, 2)

    def score(measure: object, factor: float = 1.0, shift: float = 0.0) -> np.ndarray:
        made = rho * seen[:, None] + width * factor * noise + shift
        return measure(truth, made, 1.0)  # type: ignore[operator]

    prior = truth[Stream(6, "prior").at().integers(0, events, (events, draws))]
    for measure in (crps, energy_score):
        right = score(measure)
        for worse in (score(measure, 1.25), score(measure, 0.8), score(measure, shift=0.2), measure(truth, prior, 1.0)):
            ahead = mean_score(worse - right)
            assert ahead.value > 5.0 * ahead.error
    # The marginal distributions of the prior are perfect, its score is that of no knowledge at all.
    found = mean_score(crps(truth, prior, 1.0))
    assert found.value == pytest.approx(1.0 / np.sqrt(np.pi), abs=5.0 * found.error + 0.01)
    assert mean_score(score(crps)).value == pytest.approx(width / np.sqrt(np.pi), abs=5.0 * found.error)


@pytest.mark.statistical
def test_a_lost_correlation_is_seen_by_the_energy_score_alone() -> None:
    events, draws, rho = 4000, 40, 0.9

    def correlated(counter: int, *shape: int) -> np.ndarray:
        z = normal(counter, *shape, 2)
        z[..., 1] = rho * z[..., 0] + np.sqrt(1.0 - rho**2) * z[..., 1]
        return z

    truth, right = correlated(10, events), correlated(11, events, draws)
    wrong = right.copy()
    wrong[..., 1] = np.roll(right[..., 1], 1, axis=1)
    ahead = mean_score(energy_score(truth, wrong) - energy_score(truth, right))
    assert ahead.value > 5.0 * ahead.error
    np.testing.assert_allclose(crps(truth, wrong), crps(truth, right), atol=1e-12)


@pytest.mark.statistical
def test_errors_are_over_events_and_know_that_components_move_together() -> None:
    events = 2000
    common = normal(12, events)
    scores = np.column_stack([common, common, common])
    found = mean_score(scores)
    assert found.error == pytest.approx(1.0 / np.sqrt(events), rel=0.1)
    np.testing.assert_allclose(found.component_errors, found.error, rtol=1e-12)
    weights = Stream(6, "test weights").at().integers(1, 4, events)
    weighted = mean_score(scores, weights)
    assert weighted.value == pytest.approx(np.repeat(common, weights).mean())
    assert weighted.error > found.error
    np.testing.assert_allclose(weighted.components, weighted.value)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="do not fit a truth"):
        crps(np.zeros(3), np.zeros((3, 1)))
    with pytest.raises(DataError, match="must be positive in every component"):
        crps(np.zeros((3, 2)), np.zeros((3, 4, 2)))
    with pytest.raises(DataError, match="one event has no error"):
        mean_score([1.0])
