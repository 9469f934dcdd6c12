"""What the columns of lists hold: a list in every event, and as many values in each of one collection."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from castalia.data.checks import BadRows
from castalia.data.features import Features
from castalia.data.readers import StoredColumn
from castalia.data.table import Table, list_lengths
from castalia.errors import DataError

__all__ = ["refuse_shapes", "unlike_lists"]


def refuse_shapes(features: Features, stored: Mapping[str, StoredColumn], where: str) -> None:
    """Refuse a file whose columns are lists where single numbers are declared, or the other way round.

    Args:
        features: What is declared. Where ``[objects]`` says which columns are lists, they are looked at elsewhere.
        stored: How the columns of the file are stored.
        where: Name of the file.

    Raises:
        DataError: If one is.
    """
    given, modelled = features.sections
    single = {one.column: f"{given} {name}" for name, one in features.condition.items()}
    single |= {one.column: f"{modelled} {name}" for name, one in features.target.items()}
    if features.typed is not None:
        single |= dict.fromkeys(features.typed.event_columns, "an object of columns")
    for column, name in single.items() if features.objects is None else ():
        if column in stored and stored[column].kind != "flat":
            raise DataError(
                f"{where}: column '{column}' is a list per event, but {name} is one number; name a column of numbers, "
                "or declare it as a feature of objects."
            )
    for owner, columns in _lists(features).items():
        for column in columns:
            if column in stored and stored[column].kind == "flat":
                raise DataError(
                    f"{where}: column '{column}' is one number per event, but '{owner}' needs a list; name columns of "
                    f"lists, or declare it in {given}."
                )


def unlike_lists(table: Table, features: Features, where: str, rows: NDArray[np.int64]) -> BadRows:
    """Find the rows in which two columns of one list have different numbers of values.

    Args:
        table: The events; columns that are absent here are not looked at.
        features: Which columns make a list.
        where: Name of the file.
        rows: Row number of every row in it, shape ``(rows,)``.
    """
    mask, reasons = np.zeros(len(table), dtype=np.bool_), []
    for columns in _lists(features).values():
        names = [name for name in columns if name in table]
        for first, other in zip(names[:1] * len(names), names[1:], strict=False):
            lengths = [list_lengths(table[name]) for name in (first, other)]
            bad = np.flatnonzero(lengths[0] != lengths[1])
            if len(bad):
                mask[bad] = True
                reasons.append(
                    f"columns '{first}' and '{other}' have lists of different lengths in {len(bad)} rows (first of "
                    f"{lengths[0][bad[0]]} and {lengths[1][bad[0]]} in row {int(rows[bad[0]])})"
                )
    return BadRows(mask, tuple(reasons), where)


def _lists(features: Features) -> dict[str, tuple[str, ...]]:
    """Return the columns of lists of equal length, by what they are lists of."""
    declared = {owner: tuple(one.column for one in listed.values()) for owner, listed in features.lists.items()}
    return declared | ({} if features.typed is None else features.typed.lists)
