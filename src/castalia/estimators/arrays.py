"""The one place where NumPy arrays become tensors and tensors become arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from castalia.data.feature_arrays import ObjectArrays
from castalia.errors import DataError
from castalia.estimators.base import Batch, Events, ObjectSet

__all__ = ["batch_from_arrays", "events_from_array", "to_numpy"]


def events_from_array(
    values: ArrayLike, dtype: torch.dtype = torch.float32, objects: Mapping[str, ObjectArrays] | None = None
) -> Events:
    """Turn arrays into one side of a batch.

    Args:
        values: Shape ``(events, features)``; copied.
        dtype: Precision of the tensors.
        objects: Lists of objects by name; copied.

    Raises:
        DataError: If the array does not have two dimensions, or a list is of another number of events.
    """
    array = np.asarray(values)
    if array.ndim != 2:
        raise DataError(f"An array of shape {array.shape} is no table of events; give it the shape (events, features).")
    for name, one in (objects or {}).items():
        if one.values.shape[:2] != one.mask.shape or len(one.mask) != len(array):
            raise DataError(
                f"The list '{name}' has values of shape {one.values.shape} and a mask of shape {one.mask.shape} for "
                f"{len(array)} events; give (events, objects, features) and (events, objects)."
            )
    lists = {
        name: ObjectSet(torch.tensor(one.values, dtype=dtype), torch.tensor(one.mask))
        for name, one in (objects or {}).items()
    }
    return Events(torch.tensor(array, dtype=dtype), lists)


def batch_from_arrays(
    condition: ArrayLike,
    target: ArrayLike | None,
    weight: ArrayLike | None = None,
    dtype: torch.dtype = torch.float32,
    index: ArrayLike | None = None,
    objects: Mapping[str, ObjectArrays] | None = None,
) -> Batch:
    """Turn arrays in physical units into a batch.

    Args:
        condition: Shape ``(events, C)``.
        target: Shape ``(events, T)``, or ``None`` for a target without columns.
        weight: Shape ``(events,)``, or ``None`` for weights of one.
        dtype: Precision of the tensors.
        index: Row number of each event in its data set, shape ``(events,)``; ``None`` to count from 0.
        objects: Lists of objects of the condition, by name.

    Raises:
        DataError: If the lengths differ or an array has a wrong number of dimensions.
    """
    given = events_from_array(condition, dtype, objects)
    count = len(given)
    wanted = events_from_array(np.zeros((count, 0)) if target is None else target, dtype)
    weights = torch.ones(count, dtype=dtype) if weight is None else torch.tensor(np.asarray(weight), dtype=dtype)
    if len(wanted) != count or weights.shape != (count,):
        raise DataError(
            f"Condition, target and weight have {count}, {len(wanted)} and {tuple(weights.shape)} events; "
            "they must be of equal length."
        )
    rows = torch.arange(count) if index is None else torch.tensor(np.asarray(index), dtype=torch.int64)
    return Batch(given, wanted, weights, rows)


def to_numpy(values: Tensor) -> NDArray[np.generic]:
    """Return the values of a tensor as an array of the same precision, without its gradient."""
    array: NDArray[np.generic] = values.detach().cpu().numpy()
    return array
