"""Training, validation and test events, told apart by a hash of each event's identity and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from castalia.data.table import Table
from castalia.errors import DataError

__all__ = ["SPLITS", "event_keys", "identifier_columns", "mixed_keys", "split_of"]

SPLITS = ("train", "validation", "test")
"""Names of the splits; the position is the number that ``split_of`` returns."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SPLIT_SALT = np.uint64(0x5851F42D4C957F2D)
_UPPER = (0.8, 0.9)


def identifier_columns(identifiers: Sequence[str], available: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the identifiers to use: all of them, or none where the file has none.

    Args:
        identifiers: Columns that together identify an event.
        available: Columns of the file.
        where: Name of the file for the error.

    Raises:
        DataError: If the file has some of them only, for then the rest would not tell events apart.
    """
    there = tuple(name for name in identifiers if name in set(available))
    if there and len(there) < len(identifiers):
        absent = ", ".join(f"'{name}'" for name in identifiers if name not in there)
        raise DataError(
            f"{where}: identifier {absent} is not there; set identifiers = {list(there)} in [data] if those identify "
            "an event, or identifiers = [] to tell events apart by file and row."
        )
    return there


def event_keys(table: Table, identifiers: Sequence[str], file_sha256: str, first_row: int) -> NDArray[np.uint64]:
    """Return a well-mixed 64-bit key of every event's identity.

    Events with equal identifiers get equal keys, in whatever file or order they come, so that copies of one event
    never stand on both sides of a split. Where the table has no identifiers, file and row number take their place.

    Args:
        table: Events.
        identifiers: Columns of integers that together identify an event.
        file_sha256: Hash of the file, used where there are no identifiers.
        first_row: Row number in the file of the table's first event.

    Returns:
        Keys, shape ``(rows,)``.

    Raises:
        DataError: If only some identifiers are there, or one holds no whole numbers.
    """
    names = identifier_columns(identifiers, table.names, "the table")
    if names:
        state = np.zeros(len(table), dtype=np.uint64)
        parts = [_as_bits(name, table[name], first_row) for name in names]
    else:
        state = np.full(len(table), int(file_sha256[:16], 16), dtype=np.uint64)
        parts = [np.arange(first_row, first_row + len(table), dtype=np.uint64)]
    return mixed_keys(state, parts)


def mixed_keys(state: NDArray[np.uint64], parts: Iterable[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Mix columns of bits one by one into a 64-bit key per row; their order matters.

    Args:
        state: First state of every row, shape ``(rows,)``.
        parts: Columns of shape ``(rows,)``.

    References:
        The mixing is the finaliser of SplitMix64: Steele, Lea and Flood, Fast splittable pseudorandom number
        generators, OOPSLA 2014.
    """
    for part in parts:
        state = _mix((state ^ _mix(part + _GOLDEN)) + _GOLDEN)
    return state


def split_of(keys: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Return the split of each event: 0 training (80 %), 1 validation (10 %), 2 test (10 %).

    Args:
        keys: What ``event_keys`` returned, shape ``(rows,)``.
    """
    fraction = (_mix(keys ^ _SPLIT_SALT) >> np.uint64(11)) * 2.0**-53
    return np.asarray(np.digitize(fraction, _UPPER), dtype=np.int8)


def _as_bits(name: str, values: NDArray[np.generic], first_row: int) -> NDArray[np.uint64]:
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise DataError(f"identifier '{name}' is a list per event; identifiers are one whole number per event.")
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.rint(values)) & (np.abs(values) < 2.0**53)
        if not whole.all():
            row = first_row + int(np.argmin(whole))
            raise DataError(f"identifier '{name}' is no whole number in row {row}; name another column.")
    bits = values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)
    return np.asarray(bits, dtype=np.uint64)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)), dtype=np.uint64)
