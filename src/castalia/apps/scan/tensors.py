"""What a likelihood is given, checked: events, their weights, and their background densities, as float64 tensors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import DataError

__all__ = ["background_tensor", "events_tensor", "float_tensor", "weights_tensor"]

Array = NDArray[np.float64]


def float_tensor(values: Array) -> Tensor:
    """Return a copy of the values."""
    return torch.tensor(np.ascontiguousarray(values), dtype=torch.float64)


def events_tensor(x: Array) -> Tensor:
    """Return the events, shape ``(events, observables)``.

    Raises:
        DataError: If there are none, or a value is not finite.
    """
    if len(x) == 0:
        raise DataError("there are no events to fit: 0 rows are left of the observed files; check their selection.")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        raise DataError(
            f"observable {bad[0][1]} of the observed events is not finite in row {bad[0][0]} ({len(bad)} such values); "
            "drop or mend those rows."
        )
    return float_tensor(x)


def weights_tensor(weights: Array | None, events: int) -> Tensor:
    """Return the weights, shape ``(events,)``; one each where none are given.

    Raises:
        DataError: If their number is another, one is negative or not finite, or their sum is zero.
    """
    if weights is None:
        return torch.ones(events, dtype=torch.float64)
    negative = np.flatnonzero(weights < 0.0)
    if len(negative):
        raise DataError(
            f"{len(negative)} of {events} observed events have negative weights (the first in row {negative[0]}): "
            "their likelihood has no maximum to rely on; fit events of positive weight, such as data."
        )
    if len(weights) != events or not np.isfinite(weights).all() or not np.sum(weights) > 0:
        raise DataError(
            f"the weights of {events} observed events cannot be used: {len(weights)} values with the sum "
            f"{np.sum(weights):g}; each event needs a finite weight, and their sum is to be above zero."
        )
    return float_tensor(weights)


def background_tensor(log_background: Array | None, events: int) -> Tensor | None:
    """Return the background's log-densities, shape ``(events,)``, where there are any.

    Raises:
        DataError: If their number is another.
    """
    if log_background is not None and len(log_background) != events:
        raise DataError(f"{events} events have {len(log_background)} background densities.")
    return None if log_background is None else float_tensor(log_background)
