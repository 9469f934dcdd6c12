"""What every metric demands of its input: finite columns, equal lengths, usable weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError

__all__ = ["as_column", "as_columns", "as_groups", "as_weights", "effective_events", "sum_by_group"]


def as_columns(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return ``values`` as a finite table of columns.

    Args:
        values: Numbers, shape ``(events,)`` or ``(events, columns)``.
        name: What they are, for the error's sentence.

    Returns:
        Shape ``(events, columns)``.

    Raises:
        DataError: If there are no events, more than two axes, or a value that is NaN or infinite.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[0] == 0:
        raise DataError(
            f"{name} has shape {np.shape(values)}; give at least one event, as (events,) or (events, columns)."
        )
    bad = ~np.isfinite(table)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{name} has {int(bad.sum())} values that are NaN or infinite (first in row {row}, column {column}); "
            "leave those rows out before measuring."
        )
    return table


def as_column(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return ``values`` as one finite column, shape ``(events,)``.

    Raises:
        DataError: If it is not one column, is empty, or holds NaN or infinite values.
    """
    table = as_columns(values, name)
    if table.shape[1] != 1:
        raise DataError(f"{name} has {table.shape[1]} columns where one is wanted; pass them one at a time.")
    return table[:, 0]


def as_weights(weights: ArrayLike | None, events: int, name: str) -> NDArray[np.float64]:
    """Return finite weights of ``events`` rows, ones where none are given; negative ones are kept.

    Raises:
        DataError: If their number differs from ``events``, one is not finite, or their sum is not positive.
    """
    if weights is None:
        return np.ones(events)
    column = as_column(weights, f"the weights of {name}")
    if len(column) != events:
        raise DataError(f"{name} has {events} rows but {len(column)} weights; give one weight a row.")
    if column.sum() <= 0.0:
        raise DataError(f"the weights of {name} sum to {column.sum():g}; a distribution needs a positive sum.")
    return column


def as_groups(group: ArrayLike, rows: int, name: str) -> NDArray[np.int64]:
    """Return the number of the event that each of ``rows`` rows belongs to, whole numbers from 0.

    Raises:
        DataError: If they are not whole numbers from 0, or not ``rows`` of them.
    """
    numbers = np.asarray(group)
    if numbers.shape != (rows,) or not np.issubdtype(numbers.dtype, np.integer) or (rows and numbers.min() < 0):
        raise DataError(f"the event numbers of {name} must be {rows} whole numbers from 0; count the events from 0.")
    return numbers.astype(np.int64, copy=False)


def sum_by_group(values: NDArray[np.float64], group: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Add up the values of each event's rows; without groups, every row is an event and is returned as it is."""
    return values if group is None else np.bincount(group, weights=values).astype(np.float64, copy=False)


def effective_events(weights: NDArray[np.float64]) -> float:
    """Return Kish's effective number of events, ``(Σw)² / Σw²``."""
    return float(weights.sum() ** 2 / np.square(weights).sum())
