"""How well the relations of pairs of objects are recognised, relation by relation, beside what a guess would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.errors import DataError

__all__ = ["RelationAccuracy", "relation_accuracy"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@final
@dataclass(frozen=True)
class RelationAccuracy:
    """Recognition of relations.

    Attributes:
        pairs: Number of ordered pairs of each relation, unweighted, shape ``(relations,)``.
        recall: Weighted fraction of them that is recognised, same shape; NaN where there are none.
        recall_error: Its standard error; the pairs of one event are not independent.
        baseline: What is recognised of them by always naming the most frequent relation of a pair's kind, same shape.
        accuracy: Fraction of all pairs that is recognised.
        accuracy_error: Its standard error.
        baseline_accuracy: The same of the guess.
        balanced: Mean of ``recall`` over the relations that occur.
        balanced_baseline: Mean of ``baseline`` over them.
    """

    pairs: Integers
    recall: Floats
    recall_error: Floats
    baseline: Floats
    accuracy: float
    accuracy_error: float
    baseline_accuracy: float
    balanced: float
    balanced_baseline: float


def relation_accuracy(
    named: Integers, true: Integers, counted: NDArray[np.bool_], weight: Floats, kind: Integers, relations: int
) -> RelationAccuracy:
    """Compare the named relations of pairs with the true ones.

    Args:
        named: Relation that the classifier names, shape ``(events, objects, objects)``, numbers below ``relations``.
        true: The true one, same shape.
        counted: Which pairs count: both objects exist and differ, same shape.
        weight: Event weights, shape ``(events,)``.
        kind: Number of the kind of a pair, such as of the types of its objects, from 0, shape as ``named``.
        relations: Number of relations, "unrelated" included.

    Raises:
        DataError: If the shapes differ or no pair counts.
    """
    if not named.shape == true.shape == counted.shape == kind.shape or weight.shape != named.shape[:1]:
        raise DataError(f"relations of shapes {named.shape}, {true.shape} and {counted.shape}; give one entry a pair.")
    if not counted.any():
        raise DataError("no pair of objects counts; give events with two objects or more.")
    event = np.nonzero(counted)[0]
    name, truth, group, own = named[counted], true[counted], kind[counted], weight[event]
    table = np.zeros((int(group.max()) + 1, relations))
    np.add.at(table, (group, truth), own)
    guess = table.argmax(axis=1)[group]
    found = [_fraction(name == truth, truth == one, own, event, len(weight)) for one in range(relations)]
    guessed = [_fraction(guess == truth, truth == one, own, event, len(weight))[0] for one in range(relations)]
    everything = np.ones(len(truth), dtype=np.bool_)
    accuracy, error = _fraction(name == truth, everything, own, event, len(weight))
    recall, baseline = np.array([value for value, _ in found]), np.array(guessed)
    return RelationAccuracy(
        pairs=np.bincount(truth, minlength=relations),
        recall=recall,
        recall_error=np.array([one for _, one in found]),
        baseline=baseline,
        accuracy=accuracy,
        accuracy_error=error,
        baseline_accuracy=_fraction(guess == truth, everything, own, event, len(weight))[0],
        balanced=float(np.nanmean(recall)),
        balanced_baseline=float(np.nanmean(baseline)),
    )


def _fraction(
    hit: NDArray[np.bool_], among: NDArray[np.bool_], weight: Floats, event: Integers, events: int
) -> tuple[float, float]:
    """Return the weighted fraction of hits and its error from the scatter of whole events; NaN without a pair."""
    total = float(weight[among].sum())
    if total <= 0.0:
        return float("nan"), float("nan")
    value = float(weight[among & hit].sum() / total)
    residual = np.bincount(event, weights=np.where(among, weight * (hit - value), 0.0), minlength=events)
    return value, float(np.sqrt(np.square(residual).sum()) / total)
