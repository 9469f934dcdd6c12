"""Which classes are taken for which: the confusion matrix of weighted events, with errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_weights

__all__ = ["Confusion", "confusion"]

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Confusion:
    """Where the events of each class are put.

    Attributes:
        share: Share of the events of true class i that is put into class j, shape ``(classes, classes)``.
        error: Its standard error, same shape.
        accuracy: Mean of the diagonal: every class counts the same, so a guess has ``1 / classes``.
        accuracy_error: Its standard error.
    """

    share: Floats
    error: Floats
    accuracy: float
    accuracy_error: float


def confusion(label: NDArray[np.int64], probability: Floats, weight: Floats | None = None) -> Confusion:
    """Put every event into its most probable class.

    Args:
        label: True class of each event, from 0, shape ``(events,)``.
        probability: Probabilities of the classes, shape ``(events, classes)``.
        weight: Event weights, shape ``(events,)``; ones by default.

    Raises:
        DataError: If shapes do not fit, or a class has no event.
    """
    if probability.ndim != 2 or label.shape != probability.shape[:1]:
        raise DataError(f"{label.shape} classes for probabilities of shape {probability.shape}; give one row an event.")
    weights, classes = as_weights(weight, len(label), "the classified events"), probability.shape[1]
    if set(np.unique(label).tolist()) != set(range(classes)):
        raise DataError(f"events of classes {np.unique(label).tolist()} for {classes} classes; give some of each.")
    chosen = probability.argmax(axis=1)
    share, error = np.empty((classes, classes)), np.empty((classes, classes))
    for true in range(classes):
        own = label == true
        hit = chosen[own, None] == np.arange(classes)
        total = weights[own].sum()
        share[true] = weights[own] @ hit / total
        error[true] = np.sqrt(np.square(weights[own, None] * (hit - share[true])).sum(axis=0)) / total
    diagonal = np.square(np.diag(error)).sum()
    return Confusion(share, error, float(np.trace(share)) / classes, float(np.sqrt(diagonal)) / classes)
