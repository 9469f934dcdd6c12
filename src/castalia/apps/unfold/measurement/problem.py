"""What every unfolding method is given, and what it may come back as under changed circumstances."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.background import signed_union
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, bootstrapped
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.data.layout import Layout, Variable
from castalia.errors import DataError
from castalia.rng import Stream

__all__ = ["Problem", "Unfolded", "one_observable"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Unfolded:
    """Unfolded events after some passes, all that have a defined truth: missed ones are made up for.

    Attributes:
        values: Observables, shape ``(events, draws, observables)``.
        weights: Shape ``(events,)``.
        draw_weights: Shape ``(events, draws)``.
    """

    values: Array
    weights: Array
    draw_weights: Array

    @property
    def flat(self) -> tuple[Array, Array]:
        """Every draw as a row, shape ``(rows, observables)``, and its weight, shape ``(rows,)``."""
        weights = self.weights[:, None] * self.draw_weights / self.draw_weights.sum(axis=1, keepdims=True)
        return self.values.reshape(-1, self.values.shape[2]), weights.ravel()


def one_observable(events: SimulatedEvents, observable: int) -> SimulatedEvents:
    """Return simulated events with one of their observables and its counterpart."""
    one = slice(observable, observable + 1)
    return dataclasses.replace(events, truth=events.truth[:, one], detector=events.detector[:, one])


@final
@dataclass(frozen=True)
class Problem:
    """A measurement of some observables.

    Attributes:
        columns: The observables.
        edges: Bin edges of each.
        simulation: Simulated events: the observables, and their counterparts at detector level.
        data: Selected events of data: the counterparts.
        background: Background expected among them; no events where there is none.
        fakes: Simulated events that are selected and have no truth, as far as there are draws for them.
        draws: Posterior draws of the observables for data, background and these fakes, one after the other, shape
            ``(events, draws, observables)``.
        prior: Observables of a few draws for each simulated event that is matched, shape ``(matched, draws,
            observables)``; no draws where nothing is drawn.
        prior_weights: Weights of these events, shape ``(matched,)``.
        response: Factors on the draws by which a varied detector makes them more or less likely, shape
            ``(events, draws)``; ``None`` for the simulation's own.
        nominal: The simulated events that ``prior`` is drawn for, where ``simulation`` is a varied one.
    """

    columns: tuple[TruthColumn, ...]
    edges: tuple[Array, ...]
    simulation: SimulatedEvents
    data: MeasuredEvents
    background: MeasuredEvents
    fakes: MeasuredEvents
    draws: Array
    prior: Array
    prior_weights: Array
    response: Array | None = None
    nominal: SimulatedEvents | None = None

    @property
    def drawn_for(self) -> SimulatedEvents:
        """The simulated events that ``prior`` is drawn for."""
        return self.simulation if self.nominal is None else self.nominal

    @property
    def layout(self) -> Layout:
        """The counterparts as ``condition``, the observables as ``target``."""
        return Layout(
            tuple(Variable(f"measured {column.name}", column.unit) for column in self.columns),
            tuple(Variable(column.name, column.unit) for column in self.columns),
        )

    @property
    def signal(self) -> MeasuredEvents:
        """Data and background, whose weights are negative; fakes are still among them."""
        return signed_union(self.data, self.background) if len(self.background.weights) else self.data

    def of(self, observable: int) -> Problem:
        """Return the measurement of one observable alone."""
        one = slice(observable, observable + 1)
        return Problem(
            self.columns[one],
            self.edges[one],
            one_observable(self.simulation, observable),
            dataclasses.replace(self.data, detector=self.data.detector[:, one]),
            dataclasses.replace(self.background, detector=self.background.detector[:, one]),
            dataclasses.replace(self.fakes, detector=self.fakes.detector[:, one]),
            self.draws[:, :, one],
            self.prior[:, :, one],
            self.prior_weights,
            self.response,
            None if self.nominal is None else one_observable(self.nominal, observable),
        )

    def other_data(self, rng: np.random.Generator) -> Problem:
        """Return the problem as another experiment might have had it: data as often as Poisson numbers of mean one."""
        return dataclasses.replace(self, data=bootstrapped(self.data, rng))

    def other_simulation(self, rng: np.random.Generator) -> Problem:
        """Return the problem with other simulated events, background included."""
        background = bootstrapped(self.background, rng)
        simulation = bootstrapped(self.simulation, rng)
        matched, fake = (simulation.weights[rows] for rows in (simulation.matched, simulation.fake))
        return dataclasses.replace(
            self,
            simulation=simulation,
            background=background,
            fakes=dataclasses.replace(self.fakes, weights=fake[: len(self.fakes.weights)]),
            prior_weights=matched,
        )

    def check(self) -> None:
        """Refuse what no method can unfold.

        Raises:
            DataError: If more background is expected than there is data, or a bin is empty in the simulation.
        """
        expected, found = self.background.weights.sum(), self.data.weights.sum()
        if found <= expected:
            raise DataError(
                f"{expected:g} background events are expected among {found:g} of data; check the scale in [background]."
            )
        truth = self.simulation.truth[self.simulation.matched]
        for column, edges, values in zip(self.columns, self.edges, truth.T, strict=True):
            counts = np.histogram(values, edges)[0]
            if not counts.all():
                first = int(np.argmin(counts))
                raise DataError(
                    f"[observables.{column.name}]: no selected simulated event lies in the bin from {edges[first]:g} "
                    f"to {edges[first + 1]:g}; merge it with another."
                )

    def seed(self, seed: int, purpose: str) -> int:
        """Return the seed of one purpose for these observables."""
        return Stream(seed, purpose, " ".join(column.name for column in self.columns)).integer(2**53)
