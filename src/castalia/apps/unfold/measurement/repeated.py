"""The result of one method with all its errors: stopped where passes no longer move it, and repeated.

Classifiers that begin from other random numbers come to other results. What is quoted is the mean of some of them, and
the scatter of that mean is a source of its own, ``"classifier"``. Everything else is changed at the same random
numbers, so that replicas differ by what was changed alone; with a variation, another simulation, the mean is taken too.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
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
from castalia.apps.unfold.unfolded_sample import Replica, ReplicaKind, UnfoldedSample
from castalia.metrics.arrays import effective_events
from castalia.rng import Stream

__all__ = ["MethodResult", "Origin", "RepeatSettings", "fits_of", "repeated", "runs_of"]

Array = NDArray[np.float64]
Repetition: TypeAlias = tuple[str, ReplicaKind, Unfolded]
Unfold: TypeAlias = Callable[[Problem, int, RatioConfig, int], list[Unfolded]]

_FITS: Final = 5
"""Fits by classifiers of other random numbers: enough that their mean has half the scatter of one, for a quarter more
time with the default number of replicas."""

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

    def bootstrap(self, source: str, number: int) -> np.random.Generator:
        """Return the randomness of a bootstrap replica of ``"data"`` or ``"simulation"``."""
        return Stream(self.seed, "bootstrap", source).at(number)


@final
@dataclass(frozen=True)
class Origin:
    """Where a result comes from.

    Attributes:
        inputs: SHA-256 by input file.
        model: Hash of the model.
        provenance: JSON values by name: command, seed, configuration, and so on.
    """

    inputs: Mapping[str, str]
    model: str
    provenance: Mapping[str, JsonValue]


@final
@dataclass(frozen=True)
class MethodResult:
    """What a method found.

    Attributes:
        method: Its name.
        problem: What it was given.
        unfolded: The unfolded events that are quoted.
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
    unfolded: Unfolded
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


@final
@dataclass(frozen=True)
class _Repeater:
    """A method that is run once more, up to the pass that is quoted."""

    method: Method
    settings: RepeatSettings
    passes: int
    tick: Callable[[], None]

    @property
    def seeds(self) -> list[int]:
        """Seeds of the fits whose mean is quoted, that of the command first."""
        stream = Stream(self.settings.seed, "classifiers")
        return [self.settings.seed, *(stream.integer(2**53, fit) for fit in range(1, fits_of(self.method)))]

    def once(self, problem: Problem, seed: int) -> Unfolded:
        found = METHODS[self.method](problem, self.passes, self.settings.classifiers, seed)[-1]
        self.tick()
        return found

    def bootstraps(self, problem: Problem) -> Iterator[Repetition]:
        """Repeat with other data and other simulated events, at the same random numbers of the classifiers."""
        for number in range(self.settings.replicas):
            for source, other in (("data", problem.other_data), ("simulation", problem.other_simulation)):
                again = other(self.settings.bootstrap(source, number))
                yield source, "bootstrap", self.once(again, self.settings.seed)

    def varied(self, problem: Problem, variations: Mapping[str, SimulatedEvents]) -> Iterator[Repetition]:
        """Repeat with each varied simulation."""
        for name, varied in variations.items():
            found = []
            for seed in self.seeds:
                if self.method == "posterior":
                    other = under_another_detector(problem, varied, self.settings.classifiers, seed)
                else:
                    other = dataclasses.replace(problem, simulation=varied)
                found.append(self.once(other, seed))
            yield name, "systematic", _mean(found)


def fits_of(method: Method) -> int:
    """Return how many fits a result is the mean of: one where nothing is random."""
    return 1 if method == "iterative_bayes" else _FITS


def repeated(
    method: Method,
    problem: Problem,
    variations: Mapping[str, SimulatedEvents],
    members: Sequence[Problem],
    settings: RepeatSettings,
    *,
    origin: Origin,
    tick: Callable[[], None],
) -> MethodResult:
    """Unfold by one method and find its errors.

    Args:
        method: Its name.
        problem: The measurement.
        variations: Varied simulations of the same observables, by name.
        members: The problem as further members of an ensemble see it, which only the posterior makes use of.
        settings: How it is run.
        origin: What the result shall say of itself.
        tick: Called after each unfolding.

    Raises:
        DataError: See the methods.
    """
    seed = settings.seed
    passes = METHODS[method](problem, settings.passes, settings.classifiers, seed)
    changes = _changes(problem, passes)
    settled = settled_at(changes.max(axis=1))
    stopped = settled or settings.passes
    tick()
    repeater = _Repeater(method, settings, stopped, tick)
    fits = [passes[stopped - 1], *(repeater.once(problem, other) for other in repeater.seeds[1:])]
    nominal = _mean(fits)
    repetitions = itertools.chain(
        repeater.bootstraps(problem),
        _drawn_together(fits, nominal),
        repeater.varied(problem, variations),
        (("ensemble", "ensemble", repeater.once(one, seed)) for one in (members if method == "posterior" else ())),
    )
    sample = UnfoldedSample(
        problem.columns,
        nominal.values,
        nominal.weights,
        nominal.draw_weights if nominal.draw_weights.shape[1] > 1 else None,
        replicas=tuple(_replica(*one, nominal) for one in repetitions),
        inputs=origin.inputs,
        model=origin.model,
        provenance={**origin.provenance, "method": method, "passes": stopped},
    )
    factors = _factors(problem, nominal, method, settings)
    return MethodResult(method, problem, nominal, changes, stopped, settled is not None, sample, factors)


def _mean(fits: Sequence[Unfolded], shares: Sequence[float] | None = None) -> Unfolded:
    """Return the mean of results for the same events, with equal shares by default."""
    weights = np.average([one.weights for one in fits], axis=0, weights=shares)
    draws = np.average([one.draw_weights for one in fits], axis=0, weights=shares)
    sums = np.average([one.weights[:, None] * one.draw_weights for one in fits], axis=0, weights=shares)
    # What counts is the product of both; of an event that does not count, draws are as good as any.
    draws = np.divide(sums, weights[:, None], out=draws, where=weights[:, None] != 0.0)
    return Unfolded(fits[0].values, weights, draws)


def _drawn_together(fits: Sequence[Unfolded], mean: Unfolded) -> Iterator[Repetition]:
    """Return several fits, so near to their mean that they scatter as it does."""
    part = 1.0 / math.sqrt(len(fits))
    if len(fits) > 1:
        for one in fits:
            yield "classifier", "ensemble", _mean([mean, one], [1.0 - part, part])


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


def _replica(source: str, kind: ReplicaKind, found: Unfolded, nominal: Unfolded) -> Replica:
    """Return a replica; rows of another simulation are repeated until there are as many as in the nominal one."""
    values, weights, shares = found.values, found.weights, found.draw_weights
    if len(values) < len(nominal.values):
        rows = np.arange(len(nominal.values)) % len(values)
        often = np.bincount(rows)[rows]
        values, weights, shares = values[rows], weights[rows] / often, shares[rows]
    return Replica(
        source,
        kind,
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
