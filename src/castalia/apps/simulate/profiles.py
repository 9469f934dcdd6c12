"""Which widths are measured against which truth variable, and in which bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from castalia.apps.simulate.truth import is_diphoton
from castalia.data.features import Features
from castalia.metrics.resolution import ResolutionProfile, population_edges, resolution_profiles

__all__ = ["Axis", "Panel", "axes_of", "panels_of", "profile"]

GENERIC_BINS = 10
# The steps of the paper's parametrisation: a bin of ours never straddles one of its own.
DIPHOTON_EDGES = {
    "photon_et_true": np.append(np.arange(20.0, 201.0, 20.0), 300.0),
    "photon_eta_true": np.arange(-2.5, 2.51, 0.5),
    "mu": np.arange(0.0, 40.1, 5.0),
}


@dataclass(frozen=True)
class Axis:
    """A truth variable to bin in.

    Attributes:
        name: Its base name, the same for all objects.
        unit: Its unit.
        columns: Column of the condition for each object.
        edges: Bin edges.
    """

    name: str
    unit: str
    columns: tuple[int, ...]
    edges: NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One target, all objects together.

    Attributes:
        name: Its base name.
        unit: Its unit.
        columns: Column of the target for each object.
    """

    name: str
    unit: str
    columns: tuple[int, ...]


def panels_of(features: Features) -> tuple[Panel, ...]:
    """List the targets, the same quantity of several objects as one."""
    groups: dict[str, list[int]] = {}
    for column, variable in enumerate(features.layout.target):
        groups.setdefault(variable.group, []).append(column)
    return tuple(Panel(name, features.target[name].unit, tuple(columns)) for name, columns in groups.items())


def axes_of(features: Features, condition: NDArray[np.float64], objects: int) -> tuple[Axis, ...]:
    """List the truth variables with their bins; a per-event variable serves every object.

    Variables with a single value have no bins and are left out.
    """
    groups: dict[str, list[int]] = {}
    for column, variable in enumerate(features.layout.condition):
        groups.setdefault(variable.group, []).append(column)
    axes = []
    for name, columns in groups.items():
        values = condition[:, columns]
        if values.min() == values.max():
            continue
        declared = features.condition[name]
        known = DIPHOTON_EDGES.get(declared.column) if is_diphoton(features) else None
        edges = population_edges(values.ravel(), GENERIC_BINS) if known is None else known
        every = tuple(columns) if len(columns) == objects else tuple(columns[:1]) * objects
        axes.append(Axis(name, declared.unit, every, edges))
    return tuple(axes)


def profile(axis: Axis, panel: Panel, condition: NDArray[np.float64], target: NDArray[np.float64]) -> ResolutionProfile:
    """Measure one target's core width against one truth variable, all objects together.

    The objects of an event and its several draws are not independent; the errors count events. A target whose centre
    depends on the conditions has to be centred first, or the bin's spread of centres would be part of its width.

    Args:
        axis: The truth variable.
        panel: The target.
        condition: Shape ``(events, conditions)``.
        target: Shape ``(draws * events, targets)``, whole replicas one after the other.
    """
    repeats = len(target) // len(condition)
    pairs = [(axis.columns[min(i, len(axis.columns) - 1)], column) for i, column in enumerate(panel.columns)]
    truth = np.concatenate([np.tile(condition[:, given], repeats) for given, _ in pairs])
    truth = np.clip(truth, axis.edges[0], axis.edges[-1])  # the outer bins are open: nothing goes unjudged
    response = np.concatenate([target[:, column] for _, column in pairs])
    event = np.tile(np.arange(len(condition)), repeats * len(pairs))
    return resolution_profiles(truth, response, axis.edges, group=event)[0]
