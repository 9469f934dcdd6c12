"""Joint coverage by distances: right posteriors pass, joint errors that no rank sees are flagged, the prior too."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.calibration import RankDeviation, rank_deviation, truth_ranks
from castalia.metrics.tarp import other_truths, tarp_ranks
from castalia.rng import Stream

EVENTS, DRAWS, RHO = 3000, 100, 0.9


def noise(rng: np.random.Generator, *shape: int, rho: float = RHO) -> np.ndarray:
    z = rng.normal(size=(*shape, 4))
    z[..., 1] = rho * z[..., 0] + np.sqrt(1.0 - rho**2) * z[..., 1]
    return 0.5 * z


def posterior(factor: float = 1.0, shift: float = 0.0, rho: float = RHO) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = Stream(9, "test tarp").at()
    seen = rng.normal(size=(EVENTS, 4))
    truth = seen + noise(rng, EVENTS)
    return seen, truth, seen[:, None] + factor * noise(rng, EVENTS, DRAWS, rho=rho) + shift


def deviation(truth: np.ndarray, made: np.ndarray, reference: np.ndarray) -> RankDeviation:
    return rank_deviation(tarp_ranks(truth, made, reference, Stream(9, "ties").at()), DRAWS)


def references(seen: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    """What knows nothing of the event, and a poor prediction from it."""
    return [other_truths(truth, Stream(9, "others").at()), 0.8 * seen + 0.3]


@pytest.mark.statistical
def test_a_right_posterior_passes_with_any_reference() -> None:
    seen, truth, made = posterior()
    for reference in references(seen, truth):
        found = deviation(truth, made, reference)
        assert found.value[0] < 1.5 * found.threshold


@pytest.mark.statistical
@pytest.mark.parametrize("defect", [{"factor": 1.2}, {"factor": 0.8}, {"shift": 0.25}, {"rho": 0.0}])
def test_planted_errors_are_flagged(defect: dict[str, float]) -> None:
    seen, truth, made = posterior(**defect)
    found = deviation(truth, made, references(seen, truth)[1])
    assert found.value[0] > 1.5 * found.threshold
    if "rho" in defect:
        # The ranks of each component by itself do not see a lost correlation.
        alone = rank_deviation(truth_ranks(truth, made, Stream(9, "ties").at()), DRAWS)
        assert np.all(alone.value < 1.5 * alone.threshold)


@pytest.mark.statistical
def test_the_prior_fails_only_where_the_reference_knows_the_event() -> None:
    seen, truth, _ = posterior()
    prior = truth[Stream(9, "prior").at().integers(0, EVENTS, (EVENTS, DRAWS))]
    blind, aware = (deviation(truth, prior, reference) for reference in references(seen, truth))
    assert blind.value[0] < 1.5 * blind.threshold
    assert aware.value[0] > 20.0 * aware.threshold


def test_no_event_is_its_own_reference_and_units_do_not_matter() -> None:
    _, truth, made = posterior()
    reference = other_truths(truth, Stream(9, "others").at())
    assert not np.any(np.all(reference == truth, axis=1))
    np.testing.assert_array_equal(np.sort(reference[:, 0]), np.sort(truth[:, 0]))
    units = np.array([1e3, 1.0, 1e-3, 7.0])
    rng = (Stream(9, "ties").at() for _ in range(2))
    one = tarp_ranks(truth, made, reference, next(rng))
    other = tarp_ranks(truth * units, made * units, reference * units, next(rng))
    assert np.mean(one != other) < 1e-3, "rounding alone moves a draw across a truth"


def test_bad_input_is_refused_in_words() -> None:
    rng = Stream(9, "bad").at()
    with pytest.raises(DataError, match="give one reference an event"):
        tarp_ranks(rng.normal(size=(5, 2)), rng.normal(size=(5, 3, 2)), rng.normal(size=(4, 2)), rng)
    with pytest.raises(DataError, match="constant in 1 components"):
        tarp_ranks(np.column_stack([np.zeros(5), np.arange(5.0)]), np.zeros((5, 3, 2)), np.zeros((5, 2)), rng)
    with pytest.raises(DataError, match="a single event"):
        other_truths(np.zeros((1, 2)), rng)
