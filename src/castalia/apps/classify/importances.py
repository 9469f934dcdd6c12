"""What a classifier draws on: the importance of each feature of each type of object, and of variables of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.classify.judging import JudgedClasses, signal_against_background
from castalia.apps.classify.model import ClassifierRun
from castalia.data.typed_objects import OBJECTS, UNITS
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch, Events, ObjectSet
from castalia.metrics.importance import Importance, exchanged_objects, exchanged_rows, permutation_importance
from castalia.rng import Stream

__all__ = ["IMPORTANCE_EVENTS", "importances"]

IMPORTANCE_EVENTS: Final = 5_000
"""Most events of the importances: every feature is exchanged twice and all of them are scored again."""


def importances(run: ClassifierRun, events: JudgedClasses, batch: Batch) -> tuple[Importance, ...]:
    """Measure what each feature of each type of object gives, and each variable of whole events.

    Args:
        run: The classifier.
        events: Events that it did not learn from.
        batch: The same as it is given them.
    """
    chosen = Stream(events.seed, "importance events").at().permutation(len(batch))[:IMPORTANCE_EVENTS]
    some = batch.take(torch.from_numpy(chosen))
    few = replace(events, label=events.label[chosen], weight=events.weight[chosen], mass=None)

    def scored(condition: Events) -> NDArray[np.float64]:
        return signal_against_background(few, run.probabilities(replace(some, condition=condition))).score

    exchanges = {
        name: lambda group, rng, change=change: scored(change(group, rng)) for name, change in _changes(run, some)
    }
    return permutation_importance(
        signal_against_background(few, run.probabilities(some)), exchanges, Stream(events.seed, "exchanges").at()
    )


@final
@dataclass(frozen=True)
class _Change:
    """Exchange of some features between events: a condition from the group of each event and random numbers.

    Attributes:
        condition: The events as they are.
        kind: 1 for objects that are exchanged, 0 for others, shape ``(events, objects)``; ``None`` for variables of
            whole events.
        features: Which features.
    """

    condition: Events
    kind: NDArray[np.int64] | None
    features: slice

    def __call__(self, group: NDArray[np.int64], rng: np.random.Generator) -> Events:
        condition = self.condition
        if self.kind is None:
            flat = np.array(to_numpy(condition.flat), dtype=np.float64)
            flat[:, self.features] = exchanged_rows(flat[:, self.features], group, rng)
            return Events(torch.from_numpy(flat).to(condition.flat.dtype), condition.objects)
        objects = condition.objects[OBJECTS]
        values = np.asarray(to_numpy(objects.values), dtype=np.float64)
        mask = np.asarray(to_numpy(objects.mask), dtype=np.bool_)
        changed = exchanged_objects(values, mask, self.kind, self.features, group, rng)
        moved = ObjectSet(torch.from_numpy(changed).to(objects.values.dtype), objects.mask)
        return Events(condition.flat, {**condition.objects, OBJECTS: moved})


def _changes(run: ClassifierRun, batch: Batch) -> Iterator[tuple[str, _Change]]:
    """Yield what may be exchanged by its name: features that differ between events."""
    condition = batch.condition
    objects = condition.objects[OBJECTS]
    values, mask = to_numpy(objects.values), to_numpy(objects.mask)
    for number, name in enumerate(run.config.objects):
        own = mask & (values[..., -1].round() == number)
        if not own.any():
            continue
        kind, found = own.astype(np.int64), []
        for place, feature in enumerate(UNITS):
            if np.ptp(values[own][:, place]) > 0.0:
                found.append(feature)
                yield f"{name} {feature}", _Change(condition, kind, slice(place, place + 1))
        if len(found) > 1:
            yield f"{name}, all of it", _Change(condition, kind, slice(0, len(UNITS)))
    for place, variable in enumerate(run.config.layout.condition):
        yield variable.name, _Change(condition, None, slice(place, place + 1))
