"""What was measured of an event as a row of named numbers: variables, numbers of objects, the first of each list."""

from __future__ import annotations

from typing import Final

import numpy as np

from castalia.data.feature_arrays import FeatureArrays, Floats
from castalia.data.layout import Layout

__all__ = ["detector_names", "detector_values"]

_OBJECTS: Final = 6  # of each list; the others are soft


def detector_names(layout: Layout) -> tuple[str, ...]:
    """Return the names of the columns of ``detector_values``: ``met_pt``, ``jet_count``, ``jet_1_pt`` and so on."""
    lists = layout.condition_objects.items()
    return (
        *(variable.name for variable in layout.condition),
        *(f"{name}_count" for name, _ in lists),
        *(
            f"{name}_{number}_{variable.name}"
            for name, variables in lists
            for number in range(1, _OBJECTS + 1)
            for variable in variables
        ),
    )


def detector_values(arrays: FeatureArrays) -> Floats:
    """Return what was measured, shape ``(events, columns)``; absent objects are zeros."""
    columns = [arrays.condition, *(one.mask.sum(axis=1, keepdims=True) for one in arrays.objects.values())]
    for one in arrays.objects.values():
        first = np.zeros((len(one.mask), _OBJECTS, one.values.shape[2]))
        there = min(_OBJECTS, one.values.shape[1])
        first[:, :there] = one.values[:, :there]
        columns.append(first.reshape(len(first), -1))
    return np.concatenate(columns, axis=1, dtype=np.float64)
