"""Which events may be fitted: those that the densities were not learned from, where the densities know anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.events import ObservedEvents
from castalia.apps.scan.goodness import load_held_out
from castalia.apps.scan.model import BACKGROUND, SIGNAL, ScanModel
from castalia.errors import DataError
from castalia.runs.seen import unseen

__all__ = ["admit"]

_TAIL = 0.001
"""Share of simulation beyond either end of an observable's range."""
_MOST_BEYOND = 0.01
"""Share of events beyond a range above which it is worth a word: five times what simulation has there."""
_MOST_LEARNED = 0.5
"""Share of known events above which a file is taken for a copy of the training's."""


def admit(model: ScanModel, events: ObservedEvents) -> ObservedEvents:
    """Return the events that may be fitted, with ``learned_from`` and ``outside_training_range`` among their counts.

    Events that a density was learned from fit it too well: they are recognised by their values, in whatever file they
    come, and left out.

    Args:
        model: The run.
        events: Events as read from files.

    Raises:
        DataError: If most events were learned from, or an observable lies where no simulated event does.
    """
    files = ", ".join(events.checksums)
    learned = set(model.folder.record.inputs.values())
    for path, digest in events.checksums.items():
        if digest in learned:
            raise DataError(f"{path}: the run learned from this file; fit events that it has not seen.")
    new = np.ones(len(events), dtype=np.bool_)
    for name in _densities(model):
        new &= unseen(model.folder.models / name, events.keys)
    known = int((~new).sum())
    if known > _MOST_LEARNED * len(events):
        raise DataError(
            f"{files}: the run learned from {known} of the {len(events)} events, which this is a copy of; fit events "
            "that it has not seen."
        )
    beyond, words = _beyond(model, events.x[new], files)
    if known:
        words.insert(0, f"{known} of {len(events)} events were left out, because the run learned from them.")
    return replace(
        events,
        x=events.x[new],
        weights=None if events.weights is None else events.weights[new],
        keys=events.keys[new],
        counts={**events.counts, "learned_from": known, "outside_training_range": int(beyond.sum())},
        warnings=(*events.warnings, *words),
    )


def _densities(model: ScanModel) -> tuple[str, ...]:
    return (SIGNAL,) if model.background is None else (SIGNAL, BACKGROUND)


def _beyond(model: ScanModel, x: NDArray[np.float64], files: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Tell which events lie beyond the simulation kept with the run, and what is to be said of it."""
    kept = [load_held_out(model.folder.models / name) for name in _densities(model)]
    ends = [np.quantile(one.x, (_TAIL, 1.0 - _TAIL), axis=0) for one in kept if one is not None and len(one.x)]
    outside = np.zeros(len(x), dtype=np.bool_)
    words: list[str] = []
    if not ends or not len(x):
        return outside, words
    low, high = np.min([low for low, _ in ends], axis=0), np.max([high for _, high in ends], axis=0)
    for i, name in enumerate(model.config.observables):
        column, unit = model.config.observables[name].column, model.config.observables[name].unit
        median = float(np.median(x[:, i]))
        if not low[i] <= median <= high[i]:
            raise DataError(
                f"{files}: the median of column '{column}' is {median:g}, but 99.8 % of the simulation lies from "
                f"{low[i]:g} to {high[i]:g} {unit}".rstrip()
                + "; fit events of the same kind in the same units: MeV instead of GeV is a factor of 1000."
            )
        out = (x[:, i] < low[i]) | (x[:, i] > high[i])
        outside |= out
        if out.mean() > _MOST_BEYOND:
            words.append(
                f"{100 * out.mean():.2g} % of the events have '{column}' outside {low[i]:g} to {high[i]:g}, where "
                "99.8 % of the simulation lies: there the densities are extrapolated."
            )
    return outside, words
