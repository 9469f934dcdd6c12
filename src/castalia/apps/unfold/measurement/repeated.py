"""The result of one method with all its errors: stopped where passes no longer move it, and repeated."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from castalia.apps.unfold.density_ratio import RatioConfig, fit_ratio
from castalia.apps.unfold.events import SimulatedEvents
from castalia.apps.unfold.measurement.by_iterative_bayes import by_iterative_bayes
from castalia.apps.unfold.measurement.by_omnifold import by_omnifold
from castalia.apps.unfold.measurement.by_posterior import by_posterior, under_another_detector
from castalia.apps.unfold.measurement.config import Method
from castalia.apps.unfold.measurement.problem import Problem, Unfolded
from castalia.apps.unfold.settling import moment_change, settled_at
from castalia.apps.unfold.unfolded_sample import Replica, UnfoldedSample
from castalia.metrics.arrays import effective_events
from castalia.rng import Stream

__all__ = ["MethodResult", "RepeatSettings", "repeated", "runs_of"]

Array = NDArray[np.float64]
Unfold: TypeAlias = Callable[[Problem, int, RatioConfig, int], list[Unfolded]]

METHODS: Final[dict[Method, Unfold]] = {
    "posterior": by_posterior,
    "omnifold": by_omnifold,
    "iterative_bayes": by_iterative_bayes,
}


@final
@dataclass(frozen=True)
class RepeatSettings:
    """How often and how a method is run.

    Attributes:
        passes: Most passes.
        replicas: Bootstrap replicas of the data, and of the simulation.
        classifiers: How classifiers are trained.
        seed: Seed of the command.
    """

    passes: int
    replicas: int
    classifiers: RatioConfig
    seed: int


@final
@dataclass(frozen=True)
class MethodResult:
    """What a method found.

    Attributes:
        method: Its name.
        problem: What it was given.
        passes: Unfolded events after each pass that was tried.
        changes: How far each pass moved each observable, shape ``(passes, observables)``, the first one from the
            simulation; see `castalia.apps.unfold.settling.moment_change`.
        stopped: The pass that is quoted.
        settled: Whether that one no longer moved the result; otherwise it is the last.
        sample: The result with its replicas.
        factors: Factors on the simulated weights that make the simulation what was unfolded, shape ``(simulated
            events,)``; 0 where there is no truth.
    """

    method: Method
    problem: Problem
    passes: tuple[Unfolded, ...]
    changes: Array
    stopped: int
    settled: bool
    sample: UnfoldedSample
    factors: Array

    @property
    def observables(self) -> tuple[str, ...]:
        """Names of the observables."""
        return tuple(column.name for column in self.problem.columns)

    @property
    def name(self) -> str:
        """Name of the method and, where it unfolds one by one, of the observable."""
        return f"{self.method}_{self.observables[0]}" if self.method == "iterative_bayes" else self.method


def runs_of(methods: tuple[Method, ...], problem: Problem) -> Iterator[tuple[Method, int | None, Problem]]:
    """Return what is run: a method, and the number of its observable where it takes one at a time."""
    for method in methods:
        if method == "iterative_bayes":
            yield from ((method, place, problem.of(place)) for place in range(len(problem.columns)))
        else:
            yield method, None, problem


def repeated(
    method: Method,
    problem: Problem,
    variations: Mapping[str, SimulatedEvents],
    members: Sequence[Problem],
    settings: RepeatSettings,
    *,
    provenance: Mapping[str, JsonValue],
    tick: Callable[[], None],
) -> MethodResult:
    """Unfold by one method and find its errors.

    Args:
        method: Its name.
        problem: The measurement.
        variations: Varied simulations of the same observables, by name.
        members: The problem as further members of an ensemble see it, which only the posterior makes use of.
        settings: How it is run.
        provenance: What the result shall say of itself.
        tick: Called after each unfolding.

    Raises:
        DataError: See the methods.
    """
    unfold, classifiers, seed = METHODS[method], settings.classifiers, settings.seed
    passes = unfold(problem, settings.passes, classifiers, seed)
    changes = _changes(problem, passes)
    settled = settled_at(changes.max(axis=1))
    stopped = settled or settings.passes
    tick()

    def once(other: Problem, number: int, kind: str) -> Unfolded:
        found = unfold(other, stopped, classifiers, Stream(seed, "replica", kind).integer(2**53, number))[-1]
        tick()
        return found

    nominal, replicas = passes[stopped - 1], []
    for number in range(settings.replicas):
        for source in ("data", "simulation"):
            rng = Stream(seed, "bootstrap", source).at(number)
            other = problem.other_data(rng) if source == "data" else problem.other_simulation(rng)
            replicas.append(_replica(source, "bootstrap", once(other, number, source), nominal))
    for name, varied in variations.items():
        if method == "posterior":
            other = under_another_detector(problem, varied, classifiers, seed)
        else:
            other = dataclasses.replace(problem, simulation=varied)
        replicas.append(_replica(name, "systematic", once(other, 0, name), nominal))
    if method == "posterior":
        for number, member in enumerate(members):
            replicas.append(_replica("ensemble", "ensemble", once(member, number, "ensemble"), nominal))
    sample = UnfoldedSample(
        problem.columns,
        nominal.values,
        nominal.weights,
        nominal.draw_weights if nominal.draw_weights.shape[1] > 1 else None,
        replicas=tuple(replicas),
        provenance={**provenance, "method": method, "passes": stopped},
    )
    factors = _factors(problem, nominal, method, settings)
    return MethodResult(method, problem, tuple(passes), changes, stopped, settled is not None, sample, factors)


def _changes(problem: Problem, passes: list[Unfolded]) -> Array:
    """Return how far each pass moved each observable, shape ``(passes, observables)``."""
    rows = problem.simulation.fiducial
    steps = [(problem.simulation.truth[rows], problem.simulation.weights[rows]), *(one.flat for one in passes)]
    events = effective_events(problem.signal.weights)

    def inside(step: tuple[Array, Array], observable: int) -> tuple[Array, Array]:
        """Return what lies in the bins: a tail beyond them would move the moments, and is not measured."""
        values, edges = step[0][:, observable], problem.edges[observable]
        kept = (values >= edges[0]) & (values <= edges[-1])
        return values[kept, None], step[1][kept]

    return np.array(
        [
            [moment_change(inside(before, i), inside(after, i), events) for i in range(len(problem.columns))]
            for before, after in itertools.pairwise(steps)
        ]
    )


def _replica(source: str, kind: str, found: Unfolded, nominal: Unfolded) -> Replica:
    """Return a replica; rows of another simulation are repeated until there are as many as in the nominal one."""
    values, weights, shares = found.values, found.weights, found.draw_weights
    if len(values) < len(nominal.values):
        rows = np.arange(len(nominal.values)) % len(values)
        often = np.bincount(rows)[rows]
        values, weights, shares = values[rows], weights[rows] / often, shares[rows]
    return Replica(
        source,
        kind,  # type: ignore[arg-type]
        weights,
        shares if shares.shape[1] > 1 else None,
        None if np.array_equal(values, nominal.values) else values,
    )


def _factors(problem: Problem, nominal: Unfolded, method: Method, settings: RepeatSettings) -> Array:
    """Return factors on the simulated weights: those of the method, or the learned ratio to a posterior's events."""
    rows, factors = problem.simulation.fiducial, np.zeros(len(problem.simulation.weights))
    truth, base = problem.simulation.truth[rows], problem.simulation.weights[rows]
    if method == "posterior":
        flat = nominal.flat
        seed = problem.seed(settings.seed, "weights")
        ratio = fit_ratio(flat, (truth, base), problem.layout.target, settings.classifiers, seed).ratio
        factors[rows] = ratio.scaled(truth, base, float(flat[1].sum()))(truth)
    else:
        factors[rows] = np.divide(nominal.weights, base, out=np.zeros(len(base)), where=base != 0.0)
    return factors
