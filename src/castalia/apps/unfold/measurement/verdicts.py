"""What a result is held against: the data by refolding, the simulation by the bottom line, and the truth if known."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.background import positive_simulation
from castalia.apps.unfold.density_ratio import RatioConfig, without_notes
from castalia.apps.unfold.events import MeasuredEvents
from castalia.apps.unfold.fakes import without_fakes
from castalia.apps.unfold.measurement.observed import DataTruth, Observed
from castalia.apps.unfold.measurement.repeated import MethodResult, RepeatSettings
from castalia.apps.unfold.refolding import RefoldingTest, nearest_factors, refold, refolding_test
from castalia.errors import DataError
from castalia.metrics.bottom_line import BottomLine, bottom_line
from castalia.metrics.chi_squared import ChiSquared, chi_squared, effective_replicas
from castalia.metrics.spectrum import Spectrum, binned, spread_covariance

__all__ = [
    "PARTS",
    "SMALLEST_P",
    "Measured",
    "Refolded",
    "column_of",
    "covariance_parts",
    "genuine_signal",
    "measured",
    "refolded",
]

Array = NDArray[np.float64]
Compared = TypeVar("Compared")

log = logging.getLogger(__name__)

PARTS: Final = ("statistical", "simulation", "systematic", "total")
"""The covariances that are quoted: data, simulation and trainings, variations, and their sum."""

SMALLEST_P: Final = 0.001
"""Probability, over all observables of a method, below which its refolded result does not look like the data."""

_SOURCES: Final = {
    "data": "statistical",
    "simulation": "simulation",
    "classifier": "simulation",
    "ensemble": "simulation",
}
_MOSTLY: Final = 0.9  # of the events at the lowest value: such a column has no two bins at quantiles


@final
@dataclass(frozen=True)
class Measured:
    """The spectrum of one observable by one method.

    Attributes:
        result: The method's result.
        observable: Name of the observable.
        spectrum: Events that have a truth in each bin.
        covariances: Covariance by the names of ``PARTS``, each shape ``(bins, bins)``.
        simulated: Contents of the simulation's truth, scaled to the sum of the result, shape ``(bins,)``.
        truth: True contents of the data, shape ``(bins,)``; ``None`` where they are not known.
        against_truth: Distance from them, by the covariance of the difference: the truth is that of the same events,
            and fluctuates with the result. ``None`` where it is not known, there are too few replicas, or a bin that
            differs has no variance.
        line: The bottom-line test; ``None`` likewise.
    """

    result: MethodResult
    observable: str
    spectrum: Spectrum
    covariances: Mapping[str, Array]
    simulated: Array
    truth: Array | None
    against_truth: ChiSquared | None
    line: BottomLine | None

    def errors(self, part: str) -> Array:
        """Return the standard errors of the contents by one of ``PARTS``, shape ``(bins,)``."""
        return np.sqrt(np.diag(self.covariances[part]))


@final
@dataclass(frozen=True)
class Refolded:
    """A result sent through the simulated detector again.

    Attributes:
        result: The method's result.
        events: Refolded events.
        own: Test of the counterparts of the method's observables: what the gate looks at.
        further: Test of what else was measured; ``None`` where there is nothing.
        names: Names of these columns.
    """

    result: MethodResult
    events: MeasuredEvents
    own: RefoldingTest
    further: RefoldingTest | None
    names: tuple[str, ...]


def covariance_parts(spectrum: Spectrum) -> dict[str, Array]:
    """Add up the covariances of a spectrum's sources by the names of ``PARTS``."""
    parts = {name: np.zeros_like(spectrum.covariance) for name in PARTS}
    for source, covariance in spectrum.covariances.items():
        parts[_SOURCES.get(source, "systematic")] += covariance
    parts["total"] = spectrum.covariance
    return parts


def genuine_signal(observed: Observed, classifiers: RatioConfig, seed: int) -> MeasuredEvents:
    """Return the data without background and fakes, which weights take off, with the whole detector level."""
    problem = observed.problem
    fakes = problem.seed(seed, "fakes")
    genuine = without_fakes(problem.simulation, problem.signal, problem.layout.condition, classifiers, fakes)
    return replace(genuine, detector=observed.signal)


def measured(observed: Observed, result: MethodResult, place: int, settings: RepeatSettings) -> Measured:
    """Fill the spectrum of one observable and hold it against simulation and truth.

    The bottom-line test compares result and simulation by the statistics of the data alone, at both levels.

    Args:
        observed: The measurement.
        result: The method's result.
        place: Which of its observables.
        settings: How it was run.
    """
    problem = result.problem
    name, edges, simulation = problem.columns[place].name, problem.edges[place], problem.simulation
    spectrum = result.sample.histogram(name, edges)
    covariances = covariance_parts(spectrum)
    rows = simulation.fiducial
    simulated = np.histogram(simulation.truth[rows, place], edges, weights=simulation.weights[rows])[0]
    simulated = simulated * spectrum.contents.sum() / simulated.sum()
    truths = None
    if observed.truth is not None:
        truths = _truths(observed.truth, column_of(observed, name), edges, len(problem.data.weights), settings)
    against = line = None
    if settings.replicas >= len(edges) + 2:
        unfolded, statistics = (spectrum.contents, simulated), covariances["statistical"]
        line = _comparable(
            lambda: bottom_line(*_smeared(result, place), unfolded, statistics, replicas=settings.replicas)
        )
        if truths is not None:
            against = _against_truth(result, spectrum, name, truths)
    truth = None if truths is None else truths[0]
    return Measured(result, name, spectrum, covariances, simulated, truth, against, line)


def _truths(truth: DataTruth, column: int, edges: Array, selected: int, settings: RepeatSettings) -> Array:
    """Return the true contents of the data and of their bootstrap replicas, shape ``(1 + replicas, bins)``."""
    replicas = (truth.bootstrapped(selected, settings.bootstrap("data", number)) for number in range(settings.replicas))
    values = truth.values[:, column]
    return np.array([np.histogram(values, edges, weights=weights)[0] for weights in (truth.weights, *replicas)])


def _against_truth(result: MethodResult, spectrum: Spectrum, name: str, truths: Array) -> ChiSquared | None:
    """Compare a spectrum with the truth of the same events of data.

    Both fluctuate together: what the data's statistics do to their difference is told by replicas of both.
    """
    differences = result.sample.replicated("data", name, spectrum.edges) - truths[1:]
    covariances = {**spectrum.covariances, "data": spread_covariance(differences)}
    numbers = Counter(one.source for one in result.sample.replicas if one.kind != "systematic")
    total = np.asarray(sum(covariances.values()))
    replicas = effective_replicas([(covariances[source], number) for source, number in numbers.items()], total)
    return _comparable(lambda: chi_squared(spectrum.contents, truths[0], total, replicas=replicas))


def _comparable(compare: Callable[[], Compared]) -> Compared | None:
    """Return a comparison; ``None`` where a bin that differs has no variance, as one that was unfolded to nothing."""
    try:
        return compare()
    except DataError as error:
        log.warning("a result cannot be compared: %s", error)
        return None


def column_of(observed: Observed, name: str) -> int:
    """Return the place of an observable among those of the whole measurement."""
    return [column.name for column in observed.problem.columns].index(name)


def refolded(observed: Observed, result: MethodResult, genuine: MeasuredEvents, seed: int) -> Refolded:
    """Refold a result and compare it with the data, column by column of the detector level.

    Args:
        observed: The measurement.
        result: The method's result.
        genuine: See `genuine_signal`.
        seed: Seed of the command.
    """
    number = len(observed.problem.columns)
    simulation, factors = observed.problem.simulation, result.factors
    if result.method == "posterior":  # its events are others than those of the simulation
        with without_notes():
            simulation = positive_simulation(simulation, observed.problem.seed(seed, "refolding"))
        factors = nearest_factors(*result.unfolded.flat, simulation)
    events = refold(replace(simulation, detector=observed.simulation), factors)
    own = [column_of(observed, name) for name in result.observables]
    # Of lists only the numbers of objects: their features are zero where there is no object.
    measured = [
        place for place in range(number, len(observed.names)) if not any(c.isdigit() for c in observed.names[place])
    ]
    further = [place for place in measured if _varies(genuine.detector[:, place])]
    names = tuple(observed.names[place] for place in further)
    others = _tested(events, genuine, further) if further else None
    return Refolded(result, events, _tested(events, genuine, own), others, names)


def _tested(events: MeasuredEvents, genuine: MeasuredEvents, columns: list[int]) -> RefoldingTest:
    return refolding_test(
        replace(events, detector=events.detector[:, columns]), replace(genuine, detector=genuine.detector[:, columns])
    )


def _varies(column: Array) -> bool:
    return bool(np.mean(column == column.min()) < _MOSTLY)


def _smeared(result: MethodResult, place: int) -> tuple[tuple[Array, Array], Array]:
    """Return the contents of data and simulation at detector level, and the covariance of the data."""
    problem = result.problem
    bins = len(problem.edges[place]) - 1
    data, simulation = problem.data.detector[:, place], problem.simulation
    inner = np.unique(np.quantile(data, np.linspace(0.0, 1.0, 2 * bins + 1)[1:-1], method="higher"))
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    rows = simulation.selected
    contents, covariance = binned(data, problem.data.weights, edges)
    background = _filled(problem.background, place, edges)
    expected = _filled(MeasuredEvents(simulation.detector[rows], simulation.weights[rows]), place, edges)
    contents = contents - background
    return (contents, expected * contents.sum() / expected.sum()), covariance


def _filled(events: MeasuredEvents, place: int, edges: Array) -> Array:
    if not len(events.weights):
        return np.zeros(len(edges) - 1)
    return binned(events.detector[:, place], events.weights, edges)[0]
