"""Which events were measured outside what training saw: in a variable, in an object of a list, or in their number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.data.feature_arrays import FeatureArrays
from castalia.data.layout import Layout, Variable
from castalia.metrics.support import ConditionRanges

__all__ = ["described", "seen_ranges", "summary_names", "summary_of_events"]


def described(condition: NDArray[np.float64], seen: ConditionRanges, layout: Layout) -> str:
    """Say what of an event lies outside the training range, and how far.

    Args:
        condition: Conditions of an event outside it, and where the layout has lists the whole row of
            ``summary_of_events``; shape ``(columns,)``.
        seen: The training range of the same columns.
        layout: What the conditions are.
    """
    column = int(np.argmax((condition < seen.low) | (condition > seen.high)))
    variable, low, high = _summary_variables(layout)[column], seen.low[column], seen.high[column]
    unit = f" {variable.unit}" if variable.unit else ""
    return f"{variable.name} = {condition[column]:.6g}{unit} (trained on {low:.6g} to {high:.6g}{unit})"


def summary_names(layout: Layout) -> tuple[str, ...]:
    """Return the names of the columns that ``summary_of_events`` makes."""
    return tuple(variable.name for variable in _summary_variables(layout))


def _summary_variables(layout: Layout) -> tuple[Variable, ...]:
    lists = layout.condition_objects.items()
    ends = (
        Variable(f"{which} {name} {v.name}", v.unit)
        for name, variables in lists
        for v in variables
        for which in ("least", "largest")
    )
    return (*layout.condition, *(Variable(f"number of {name}") for name, _ in lists), *ends)


def summary_of_events(arrays: FeatureArrays, centre: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return what can leave the training range: variables, numbers of objects, least and largest feature of a list.

    Args:
        arrays: Events.
        centre: What stands for the features of a list without objects, shape ``(columns,)``: the lower ends of the
            training range; ``None`` where they are measured, for NaN.

    Returns:
        Shape ``(rows, columns)``.
    """
    columns = [arrays.condition, *(one.mask.sum(axis=1, keepdims=True) for one in arrays.objects.values())]
    for one in arrays.objects.values():
        there = one.mask[:, :, None]
        ends = [np.where(there, one.values, np.inf).min(axis=1), np.where(there, one.values, -np.inf).max(axis=1)]
        columns.append(np.stack(ends, axis=2).reshape(len(one.mask), 2 * one.values.shape[2]))
    table = np.concatenate(columns, axis=1, dtype=np.float64)
    nothing = np.full(table.shape[1], np.nan) if centre is None else centre
    return np.where(np.isfinite(table), table, nothing)


def seen_ranges(layout: Layout, arrays: FeatureArrays) -> dict[str, list[float]]:
    """Return least and largest training value of what ``summary_of_events`` makes, by its name."""
    table = summary_of_events(arrays)
    return {
        name: [float(np.nanmin(column)), float(np.nanmax(column))]
        for name, column in zip(summary_names(layout), table.T, strict=True)
    }
