"""Fakes: measured events whose truth is not what is measured, taken off by the simulated share of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from castalia.apps.unfold.density_ratio import RatioConfig, fit_ratio
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents
from castalia.data.layout import Variable

__all__ = ["without_fakes"]


def without_fakes(
    simulation: SimulatedEvents, data: MeasuredEvents, variables: Sequence[Variable], config: RatioConfig, seed: int
) -> MeasuredEvents:
    """Weigh data with the probability that they are no fakes, as the simulation has it at the same observables.

    Args:
        simulation: Simulated events.
        data: Measured events.
        variables: The observables.
        config: How the classifier is trained.
        seed: Its seed.
    """
    if simulation.weights[simulation.fake].sum() <= 0.0:
        return data
    both = [(simulation.detector[rows], simulation.weights[rows]) for rows in (simulation.matched, simulation.fake)]
    odds = fit_ratio(both[0], both[1], variables, config, seed).ratio(data.detector)
    return dataclasses.replace(data, weights=data.weights * odds / (1.0 + odds))
