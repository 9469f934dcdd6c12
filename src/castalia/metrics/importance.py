"""What a classifier draws on: how much of its AUC is lost when a feature is exchanged between events.

Exchanged between all events, a feature tells nothing any more: the loss is all that it gives. Exchanged between events
of the same class it keeps its own distribution, signal and background apart: the loss is what its relations to the
other features give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.metrics.auc import AucEstimate
from castalia.metrics.scored import ScoredEvents
from castalia.metrics.weighted_auc import auc_difference

__all__ = ["Importance", "exchanged_objects", "exchanged_rows", "permutation_importance"]

Floats = NDArray[np.float64]
Exchange = Callable[[NDArray[np.int64], np.random.Generator], Floats]


@final
@dataclass(frozen=True)
class Importance:
    """What a feature gives.

    Attributes:
        name: What was exchanged.
        total: Loss of AUC when it is exchanged between all events.
        relations: Loss of AUC when it is exchanged between events of one class.
    """

    name: str
    total: AucEstimate
    relations: AucEstimate


def permutation_importance(
    events: ScoredEvents, scores: Mapping[str, Exchange], rng: np.random.Generator
) -> tuple[Importance, ...]:
    """Measure what each feature gives, with the error of the paired difference.

    Args:
        events: Events, with the scores of the classifier as they are; none that it has learned from.
        scores: By the name of a feature, a function of the group of each event, shape ``(events,)``, and random numbers
            that exchanges it within groups and returns the classifier's new scores, shape ``(events,)``.
        rng: Random numbers.

    References:
        Breiman, Random Forests, Machine Learning 45 (2001): the permutation of one variable. Exchange within a class is
        a conditional form of it.
    """
    classes, everything = events.signal.astype(np.int64), np.zeros(len(events.signal), dtype=np.int64)

    def loss(exchange: Exchange, group: NDArray[np.int64]) -> AucEstimate:
        return auc_difference(events, events.rescored(exchange(group, rng)))

    return tuple(Importance(name, loss(one, everything), loss(one, classes)) for name, one in scores.items())


def exchanged_rows(
    values: NDArray[np.floating], group: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.floating]:
    """Return rows in a random order within each group.

    Args:
        values: Shape ``(events, ...)``.
        group: Group of each event, shape ``(events,)``.
        rng: Random numbers.
    """
    random = np.lexsort((rng.random(len(group)), group))
    return _moved(values, np.argsort(group, kind="stable"), random)


def exchanged_objects(
    values: NDArray[np.floating],
    mask: NDArray[np.bool_],
    kind: NDArray[np.int64],
    features: slice,
    group: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.floating]:
    """Return lists of objects with features exchanged between objects of the same kind and place, within each group.

    The hardest object of a kind is exchanged with the hardest of other events, the second with the second; which
    objects an event has stays as it is.

    Args:
        values: Features, shape ``(events, objects, features)``.
        mask: True where an object exists, shape ``(events, objects)``.
        kind: 0 for objects that are left as they are, 1 for those that are exchanged, shape ``(events, objects)``.
        features: Which features are exchanged, together.
        group: Group of each event, shape ``(events,)``.
        rng: Random numbers.

    Raises:
        DataError: If the shapes do not fit.
    """
    if mask.shape != values.shape[:2] or kind.shape != mask.shape or group.shape != mask.shape[:1]:
        raise DataError(
            f"objects of shape {values.shape} with masks of shapes {mask.shape} and {kind.shape} for "
            f"{group.shape} events; give one entry an object."
        )
    chosen = mask & (kind > 0)
    place = np.cumsum(chosen, axis=1) - 1
    result = values.copy()
    for rank in range(int(chosen.sum(axis=1).max(initial=0))):
        event, slot = np.nonzero(chosen & (place == rank))
        result[event, slot, features] = exchanged_rows(values[event, slot, features], group[event], rng)
    return result


def _moved(values: NDArray[np.floating], to: NDArray[np.int64], source: NDArray[np.int64]) -> NDArray[np.floating]:
    result = np.empty_like(values)
    result[to] = values[source]
    return result
