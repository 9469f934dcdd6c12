"""Lists of objects that a condition holds: all objects of an event, however many there are, as padded arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.feature_config import ConditionVariable
from castalia.data.layout import Variable
from castalia.data.objects import ObjectOrder
from castalia.data.table import Table

__all__ = ["list_arrays", "list_variables"]


def list_variables(variables: Mapping[str, ConditionVariable]) -> tuple[Variable, ...]:
    """Return the features of the objects in a list as a layout names them."""
    return tuple(Variable(name, c.unit, c.transform, group=name) for name, c in variables.items())


def list_arrays(table: Table, variables: Mapping[str, ConditionVariable]) -> ObjectArrays:
    """Turn the columns of a list into padded arrays, in the order of the file.

    Args:
        table: The events.
        variables: Features of the objects by name, at least one; each column is a list per event.

    Returns:
        As many places as the longest list of the table has objects, and one where all are empty.

    Raises:
        DataError: If a column is absent or no list, or the lists differ in length.
    """
    columns = [variable.column for variable in variables.values()]
    order = ObjectOrder.of(table, columns, None, "each")
    mask = np.arange(max(order.counts.max(initial=0), 1)) < order.counts[:, None]
    values = np.zeros((*mask.shape, len(columns)))
    # A mask is filled row by row, as the file has the objects one after the other.
    values[mask] = np.stack([order.rows(name, table[name])[0] for name in columns], axis=1)
    return ObjectArrays(values, mask)
