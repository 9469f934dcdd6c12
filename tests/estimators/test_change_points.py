"""Edges of detector regions: found where they are, and not where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.estimators.change_points import change_points
from castalia.rng import Stream

EVENTS = 60_000


def _draw(seed: int, edge: float, width_step: float, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two targets; the first one's log-width and mean change at ``edge`` of a uniform condition."""
    rng = Stream(seed, "change points").at()
    values = rng.uniform(-3.0, 5.0, EVENTS)
    targets = rng.standard_normal((EVENTS, 2)) * [1e-3, 40.0]
    above = values > edge
    targets[:, 0] = targets[:, 0] * np.exp(width_step * above) + 1e-3 * shift * above
    return values, targets, np.ones(EVENTS)


# The evidence for an edge that is off by n events is n times their KL divergence, and its noise the root of twice that:
# beyond ten nats it is as good as excluded.
@pytest.mark.parametrize(("width_step", "shift"), [(0.1, 0.0), (-0.1, 0.0), (0.0, 0.1)])
@pytest.mark.parametrize("edge", [-1.7, 0.4, 4.1])
def test_a_change_is_found_where_it_is(edge: float, width_step: float, shift: float) -> None:
    found = change_points(*_draw(1, edge, width_step, shift), at_most=5)
    assert found.shape == (1, 2)
    blur = 8.0 / EVENTS * 10.0 / (width_step**2 + 0.5 * shift**2)
    assert found[0, 0] - blur < edge < found[0, 1] + blur
    assert 0 < found[0, 1] - found[0, 0] < 0.02  # two cells


def test_a_large_change_is_found_to_a_cell() -> None:
    (found,) = change_points(*_draw(2, 0.4, 0.7, 0.0), at_most=5)
    assert found[0] - 0.01 < 0.4 < found[1] + 0.01


def test_nothing_is_found_where_nothing_changes() -> None:
    found = [len(change_points(*_draw(seed, 0.0, 0.0, 0.0), at_most=5)) for seed in range(30)]
    assert sum(found) == 0


@pytest.mark.parametrize("share", [0.01, 0.1, 0.99])
def test_nothing_is_found_in_the_fluctuations_of_a_rare_outcome(share: float) -> None:
    rng = Stream(8, "change points").at()
    values, passed = rng.uniform(0.0, 1.0, 20_000), rng.uniform(0.0, 1.0, (20_000, 1)) < share
    assert len(change_points(values, passed.astype(np.float64), np.ones(20_000), at_most=24)) == 0
    passed[np.abs(values - 0.5) < 0.02] = share < 0.5  # negative control: a crack
    assert len(change_points(values, passed.astype(np.float64), np.ones(20_000), at_most=24)) >= 2


@pytest.mark.parametrize("events", [1, 50, 200, 500])
def test_few_events_of_many_targets_have_no_edges(events: int) -> None:
    rng = Stream(9, "change points").at()
    values, targets = rng.uniform(0.0, 1.0, events), rng.standard_normal((events, 6))
    assert len(change_points(values, targets, np.ones(events), at_most=18)) == 0


def test_the_most_important_changes_come_first_and_are_put_in_order() -> None:
    values, targets, weight = _draw(3, 2.0, 0.5, 0.0)
    targets[:, 1] *= np.where(values > -1.0, 1.5, 1.0) * np.where(values > 4.0, 1.1, 1.0)
    two, three = (change_points(values, targets, weight, at_most=n).mean(axis=1) for n in (2, 5))
    assert np.allclose(two, [-1.0, 2.0], atol=0.02)
    assert len(three) == 3
    assert np.allclose(three[:2], two)
    assert abs(three[2] - 4.0) < 0.1


def test_events_without_weight_say_nothing() -> None:
    values, targets, weight = _draw(4, 0.4, 0.5, 0.0)
    weight[values > 0.4] = 0.0
    assert len(change_points(values, targets, weight, at_most=5)) == 0


def test_a_common_factor_of_the_weights_is_nothing() -> None:
    values, targets, weight = _draw(5, 0.4, 0.1, 0.0)
    assert np.array_equal(change_points(values, targets, 1e6 * weight, 5), change_points(values, targets, weight, 5))


def test_a_discrete_condition_is_split_between_its_values() -> None:
    values, targets, weight = _draw(6, 1.5, 0.0, 0.0)
    values = np.clip(np.round(values), -2, 4)
    targets[:, 1] *= np.where(values >= 2, 1.4, 1.0)
    (found,) = change_points(values, targets, weight, at_most=5)
    assert 1.0 <= found[0] < found[1] <= 2.0


def test_a_constant_condition_or_target_has_no_change() -> None:
    values, targets, weight = _draw(7, 0.4, 0.5, 0.0)
    assert len(change_points(np.zeros(EVENTS), targets, weight, 5)) == 0
    assert len(change_points(values, np.ones((EVENTS, 2)), weight, 5)) == 0
