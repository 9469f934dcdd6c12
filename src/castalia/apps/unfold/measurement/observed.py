"""From the events of files to the problem that methods are given: observables, counterparts and posterior draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.detector_level import detector_names, detector_values
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, simulated_events
from castalia.apps.unfold.measurement.config import MeasurementConfig, ObservableConfig
from castalia.apps.unfold.measurement.problem import Problem
from castalia.apps.unfold.measurement.quantities import quantity, quantity_unit
from castalia.apps.unfold.measurement.recorded import RecordedEvents
from castalia.apps.unfold.measurement.samples import Samples
from castalia.apps.unfold.model import PosteriorModel
from castalia.apps.unfold.train import POSTERIOR
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.data.feature_arrays import FeatureArrays
from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Sampler
from castalia.rng import Stream
from castalia.runs.members import load_member

__all__ = ["DataTruth", "Observed", "Observer"]

Array = NDArray[np.float64]

_MEDIAN_DRAWS: Final = 16
"""Draws that the median of a posterior is taken of, of simulated events and of data alike."""

_PRIOR_DRAWS: Final = 4
"""Draws of a simulated event that tell the model's own prior."""

_CHUNK: Final = 4_096


@final
@dataclass(frozen=True)
class DataTruth:
    """The truth of data that were simulated.

    Attributes:
        values: Observables of the events that have a truth, selected or not, shape ``(events, observables)``.
        weights: Shape ``(events,)``.
        place: Their places among the selected events, -1 for one that is not, shape ``(events,)``.
    """

    values: Array
    weights: Array
    place: NDArray[np.int64]

    def bootstrapped(self, selected: int, rng: np.random.Generator) -> Array:
        """Return the weights in the replica for which this randomness makes the ``selected`` events of data others.

        See `castalia.apps.unfold.measurement.problem.Problem.other_data`.
        """
        numbers = rng.poisson(1.0, selected)
        return self.weights * np.where(self.place < 0, rng.poisson(1.0, len(self.place)), numbers[self.place])


@final
@dataclass(frozen=True)
class Observed:
    """A measurement, ready to be unfolded.

    Attributes:
        problem: What methods are given.
        variations: Varied simulations by name, with no more events than the simulation has.
        members: The problem as each further member of the ensemble sees it, counterparts included.
        names: Columns of the detector level: counterparts of the observables, then all that was measured.
        simulation: Detector level of the simulated events, shape ``(events, columns)``; NaN where not selected.
        signal: That of data and background, same columns.
        truth: The true events of data, where these are known.
    """

    problem: Problem
    variations: Mapping[str, SimulatedEvents]
    members: tuple[Problem, ...]
    names: tuple[str, ...]
    simulation: Array
    signal: Array
    truth: DataTruth | None


@final
@dataclass(frozen=True)
class _Seen:
    """What one model sees: the problem, and the whole detector level of simulated events and of the signal."""

    problem: Problem
    simulation: Array
    signal: Array


@final
class Observer:
    """Looks at the events of a measurement.

    Args:
        model: The trained posterior.
        config: The measurement.
        seed: Seed of all draws.

    Raises:
        ConfigError: If an observable's quantity or counterpart is not known.
    """

    def __init__(self, model: PosteriorModel, config: MeasurementConfig, seed: int) -> None:
        self._model, self._config, self._seed = model, config, seed
        self._measured = detector_names(model.features.layout)
        none = np.zeros((0, len(model.coordinates.tree.numbers)))
        for name, one in config.observables.items():
            try:
                quantity(model.coordinates.tree, none, one.quantity)
            except ConfigError as error:
                raise ConfigError(f"[observables.{name}]: {error}") from None
            if one.detector is not None and one.detector not in self._measured:
                raise ConfigError(
                    f"[observables.{name}]: nothing measured is called '{one.detector}'; choose from "
                    f"{', '.join(self._measured)}, or leave detector out for the posterior's median."
                )

    @property
    def _by_median(self) -> bool:
        return any(one.detector is None for one in self._config.observables.values())

    @property
    def _drawn(self) -> bool:
        """Whether anything is drawn for the data."""
        return self._by_median or "posterior" in self._config.methods

    def observe(self, samples: Samples, tick: Callable[[], None]) -> Observed:
        """Compute observables and counterparts of all samples.

        Args:
            samples: The events.
            tick: Called after each sample.

        Raises:
            DataError: If no event is defined and selected, or background exceeds the data.
            ModelError: If a member of the ensemble is missing or damaged.
        """
        seen = self._look(samples, tick)
        seen.problem.check()
        number, most = len(self._config.observables), int(seen.problem.simulation.fiducial.sum())
        variations = {}
        for name, one in samples.variations.items():
            varied = _at_most(self._simulated(one, f"variation {name}", 0)[0], most)
            variations[name] = replace(varied, detector=varied.detector[:, :number])
            tick()
        members = (Observer(one, self._config, self._seed) for one in self._further_members())
        return Observed(
            seen.problem,
            variations,
            tuple(one._look(samples, tick).problem for one in members),
            (*self._config.observables, *self._measured),
            seen.simulation,
            seen.signal,
            self._truth(samples.data),
        )

    def _look(self, samples: Samples, tick: Callable[[], None]) -> _Seen:
        """Return the problem without its variations, as this model sees it, and the whole detector level."""
        simulation, table, drawn = self._simulated(samples.simulation, "simulation", _PRIOR_DRAWS)
        tick()
        observables = self._config.observables
        number, draws = len(observables), self._config.draws if self._drawn else 0
        parts = [("data", samples.data), *((f"background {name}", one) for name, one in samples.background.items())]
        drawn_of = [self._draws(one.detector, purpose, draws) for purpose, one in parts]
        tables = [self._table(one.detector, values) for (_, one), values in zip(parts, drawn_of, strict=True)]
        weights = [one.weights[one.selected] for _, one in parts]
        background = np.concatenate([table[:0], *tables[1:]])
        tick()
        fake = simulation.fake if "posterior" in self._config.methods else np.zeros_like(simulation.fake)
        fakes = samples.simulation.detector.take(fake[simulation.selected])
        problem = Problem(
            columns=tuple(TruthColumn(name, quantity_unit(one.quantity)) for name, one in observables.items()),
            edges=tuple(np.array(one.bins, dtype=np.float64) for one in observables.values()),
            simulation=replace(simulation, detector=table[:, :number]),
            data=MeasuredEvents(tables[0][:, :number], weights[0]),
            background=MeasuredEvents(background[:, :number], np.concatenate([np.empty(0), *weights[1:]])),
            fakes=MeasuredEvents(table[fake, :number], simulation.weights[fake]),
            draws=np.concatenate([*drawn_of, self._draws(fakes, "fakes", draws)]),
            prior=drawn,
            prior_weights=simulation.weights[simulation.matched],
        )
        return _Seen(problem, table, np.concatenate([tables[0], background]))

    def _simulated(self, events: RecordedEvents, purpose: str, own: int) -> tuple[SimulatedEvents, Array, Array]:
        """Return simulated events, their whole detector level, and ``own`` draws of each matched one's observables."""
        truth = np.full((len(events.weights), len(self._config.observables)), np.nan)
        truth[events.defined] = self._of_columns(events.truth)
        few = max(own if self._drawn else 0, _MEDIAN_DRAWS if self._by_median else 0)
        draws = self._draws(events.detector, purpose, min(few, self._config.draws))
        table = self._table(events.detector, draws)
        detector = np.full((len(events.weights), table.shape[1]), np.nan)
        detector[events.selected] = table
        simulated = simulated_events(truth, detector, events.weights, fiducial=events.defined, selected=events.selected)
        return simulated, detector, draws[events.defined[events.selected], :own]

    def _truth(self, events: RecordedEvents) -> DataTruth | None:
        if events.truth is None:
            return None
        place = np.where(events.selected, np.cumsum(events.selected) - 1, -1)[events.defined]
        return DataTruth(self._of_columns(events.truth), events.weights[events.defined], place)

    def _of_columns(self, columns: Array | None) -> Array:
        table = np.empty((0, 4 * len(self._model.coordinates.tree.leaves))) if columns is None else columns
        return self._observables(self._model.coordinates.tree.cartesian(leaves_of_columns(table)))

    def _observables(self, numbers: Array) -> Array:
        """Return the observables of the paper's numbers of any leading shape."""
        tree = self._model.coordinates.tree
        return np.stack([quantity(tree, numbers, one.quantity) for one in self._config.observables.values()], axis=-1)

    def _draws(self, arrays: FeatureArrays, purpose: str, draws: int) -> Array:
        """Draw the observables, shape ``(events, draws, observables)``; ``draws`` may be none."""
        stream, found = Stream(self._seed, "measurement draws", purpose), []
        for number, start in enumerate(range(0, len(arrays.row) if draws else 0, _CHUNK)):
            rows = np.zeros(len(arrays.row), dtype=np.bool_)
            rows[start : start + _CHUNK] = True
            targets = self._model.draw(arrays.take(rows), draws, stream.at(number))
            found.append(self._observables(self._model.numbers(targets)))
        return np.concatenate(found) if found else np.empty((len(arrays.row), draws, len(self._config.observables)))

    def _table(self, arrays: FeatureArrays, draws: Array) -> Array:
        """Return the counterparts and all that was measured, shape ``(events, columns)``."""
        measured, columns = detector_values(arrays), []
        for place, one in enumerate(self._config.observables.values()):
            columns.append(self._counterpart(one, place, measured, draws))
        return np.column_stack([*columns, measured])

    def _counterpart(self, one: ObservableConfig, place: int, measured: Array, draws: Array) -> Array:
        if one.detector is not None:
            return measured[:, self._measured.index(one.detector)]
        return np.asarray(np.median(draws[:, : min(_MEDIAN_DRAWS, self._config.draws), place], axis=1))

    def _further_members(self) -> Iterator[PosteriorModel]:
        """Load the members of the ensemble beyond the nominal model, where a method asks for them."""
        if "posterior" not in self._config.methods:
            return
        for member in range(1, self._model.config.model.members):
            estimator = load_member(self._model.folder.models, member, POSTERIOR).eval()
            if not isinstance(estimator, Sampler):
                raise ModelError(f"{self._model.folder.path}: member {member} cannot sample; train the run anew.")
            yield replace(self._model, sampler=estimator)


def _at_most(events: SimulatedEvents, fiducial: int) -> SimulatedEvents:
    """Return the first events, so that no more than ``fiducial`` of them are.

    A result has as many rows under every variation as in the nominal simulation.
    """
    upto = np.cumsum(events.fiducial) <= fiducial
    return SimulatedEvents(
        events.truth[upto], events.detector[upto], events.weights[upto], events.fiducial[upto], events.selected[upto]
    )
