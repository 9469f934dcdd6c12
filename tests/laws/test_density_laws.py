"""What must hold of every density: it integrates to one, and samples follow it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from castalia.data.layout import Variable
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Batch, Events
from castalia.rng import Stream

TARGETS = {
    "line": Variable("x", object_index=0),
    "fixed scale": Variable("x", object_index=0, scale=1.5),
    "interval": Variable("x", object_index=0, bounds=(-2.0, 3.0)),
    "log": Variable("x", object_index=0, transform="log"),
    "above": Variable("x", object_index=0, transform="log", bounds=(-1.0, math.inf)),
    "below": Variable("x", object_index=0, bounds=(-math.inf, 12.0)),
    "integer": Variable("x", object_index=0, integer=True),
    "bounded integer": Variable("x", object_index=0, integer=True, bounds=(-1.0, 10.0)),
    "log integer": Variable("x", object_index=0, integer=True, transform="log"),
}


def _axis(estimator, column: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights that integrate (or sum) one target over its whole support."""
    if estimator.layout.target[column].integer:
        nodes = np.arange(-60, 200, dtype=float)
        return nodes, np.ones_like(nodes)
    stretched = np.sinh(np.linspace(-6, 6, points))  # dense in the core, out to 200 deviations
    scaled = torch.zeros(points, len(estimator.layout.target), dtype=torch.float64)
    scaled[:, column] = torch.from_numpy(stretched) / (2.0 if estimator.targets.bounded else 1.0)
    nodes = estimator.targets.inverse(scaled)[:, column].numpy()
    weights = np.zeros(points)
    weights[:-1] += np.diff(nodes) / 2
    weights[1:] += np.diff(nodes) / 2
    return nodes, weights


def _total(estimator, events: Batch, points: int, missing: float = 0.0) -> float:
    axes = [_axis(estimator, i, points) for i in range(len(estimator.layout.target))]
    grid = np.stack([g.ravel() for g in np.meshgrid(*[nodes for nodes, _ in axes], indexing="ij")], axis=1)
    weight = np.prod([g.ravel() for g in np.meshgrid(*[w for _, w in axes], indexing="ij")], axis=0)
    condition = events.condition.map(lambda c: c[7:8].repeat_interleave(len(grid), dim=0))
    batch = Batch(condition, events_from_array(grid, torch.float64), torch.ones(len(grid)), torch.arange(len(grid)))
    with torch.no_grad():
        log_density = torch.cat([estimator.log_prob(chunk) for chunk in batch.chunks(50000)])
    return float((log_density + missing).exp().numpy() @ weight)


@pytest.mark.parametrize("target", list(TARGETS))
def test_density_of_one_variable_integrates_to_one(make, density, target):
    estimator, events = make(density, (TARGETS[target],), scramble=0.1)
    # Error of the trapezoidal and the Gauss-Legendre rule at the kinks of splines and tails.
    assert _total(estimator, events, 20001) == pytest.approx(1, abs=1e-3)
    forgotten = float(estimator.targets.deviation.log().sum()) or 0.01
    assert _total(estimator, events, 2001, missing=forgotten) != pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("second", ["line", "interval", "log integer"])
def test_density_of_two_variables_integrates_to_one(make, density, second):
    targets = (Variable("a", object_index=0), TARGETS[second])
    estimator, events = make(density, targets, scramble=0.1)
    smooth = density == "cinn" or "flow matching" in density  # without kinks
    points = 121 if TARGETS[second].integer else 201 if smooth else 401
    assert _total(estimator, events, points) == pytest.approx(1, abs=3e-3)
    assert _total(estimator, events, points, missing=0.02) != pytest.approx(1, abs=3e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("target", ["line", "fixed scale", "interval", "log"])
def test_samples_follow_the_density(make, density, target):
    estimator, events = make(density, (TARGETS[target],), scramble=0.1)
    count = 4000
    drawn = estimator.sample(events.condition.map(lambda c: c[7:8]), count, Stream(5, "sampling").at())
    nodes, _ = _axis(estimator, 0, 20001)
    condition = events.condition.map(lambda c: c[7:8].repeat_interleave(len(nodes), dim=0))
    grid = Batch(condition, Events(torch.from_numpy(nodes)[:, None].clone()), torch.ones(1), torch.arange(1))
    with torch.no_grad():
        values = estimator.log_prob(grid).exp().numpy()
    cumulative = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(nodes))])
    x = np.sort(drawn.flat[:, 0].numpy())
    # Kolmogorov's distance at the two-sided probability of five standard deviations, plus the quadrature error.
    limit = math.sqrt(-math.log(5.7e-7 / 2) / (2 * count)) + 1e-3
    assert _distance(x, nodes, cumulative) < limit
    assert _distance(x + 0.25 * x.std(), nodes, cumulative) > limit


def _distance(x: np.ndarray, nodes: np.ndarray, cumulative: np.ndarray) -> float:
    expected = np.interp(x, nodes, cumulative)
    steps = np.arange(len(x) + 1) / len(x)
    return float(max((expected - steps[:-1]).max(), (steps[1:] - expected).max()))


@pytest.mark.parametrize("target", ["interval", "log", "below", "bounded integer"])
def test_samples_stay_inside_and_the_density_ends_there(make, density, target):
    estimator, events = make(density, (TARGETS[target],), scramble=0.3)
    drawn = estimator.sample(events.condition, 2, Stream(6, "sampling").at()).flat
    low, high = estimator.support()
    at_edge = drawn == low if TARGETS[target].integer else drawn <= low
    assert not bool(((drawn >= high) | (at_edge & (not TARGETS[target].integer))).any())
    if TARGETS[target].integer:
        assert bool((drawn == drawn.round()).all())
        assert bool((drawn >= low).all())
    outside = torch.where(torch.isfinite(low), low - 1, high + 1).expand(3, 1)
    few = events.take(torch.arange(3))
    batch = Batch(few.condition, Events(outside), few.weight, few.index)
    assert bool(torch.isneginf(estimator.log_prob(batch)).all())
    assert bool(torch.isfinite(estimator.log_prob(few)).all())


def test_half_an_integer_has_no_probability(make, density):
    estimator, events = make(density, (TARGETS["integer"],))
    few = events.take(torch.arange(3))
    between = Batch(few.condition, Events(few.target.flat + 0.5), few.weight, few.index)
    assert bool(torch.isneginf(estimator.log_prob(between)).all())
    assert bool(torch.isfinite(estimator.log_prob(few)).all())
