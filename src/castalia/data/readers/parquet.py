"""Parquet files, read with pyarrow in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from castalia.data.readers.base import Reader, StoredColumn
from castalia.data.table import Column, Table, jagged
from castalia.errors import DataError

__all__ = ["ParquetReader"]


@final
class ParquetReader(Reader):
    """A Parquet file; use ``open_reader``.

    Args:
        path: The file.
        rename: Column in the file by column name.

    Raises:
        DataError: If the file is damaged or cut short.
    """

    def __init__(self, path: Path, rename: Mapping[str, str]) -> None:
        super().__init__(path, rename)
        with self._damage():
            # No prefetching: it would hold the whole file in memory. The page checksums catch flipped bits.
            self._file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)

    def count(self) -> int:
        """Return the number of rows."""
        return int(self._file.metadata.num_rows)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _stored(self) -> dict[str, StoredColumn]:
        with self._damage():
            found = {field.name: _describe(field.type) for field in self._file.schema_arrow}
        return {name: how for name, how in found.items() if how is not None}

    def _other_type(self, branch: str) -> str | None:
        schema = self._file.schema_arrow
        return str(schema.field(branch).type) if branch in schema.names else None

    def _rows(self, branches: Mapping[str, str], chunk: int, start: int, stop: int) -> Iterator[Table]:
        groups, first = self._groups(start, stop)
        with self._damage():
            batches = self._file.iter_batches(
                batch_size=chunk, row_groups=groups, columns=list(dict.fromkeys(branches.values())), use_threads=False
            )
        while first < stop:
            with self._damage():
                batch = next(batches, None)
            if batch is None:
                return
            last = first + batch.num_rows
            low, high = max(start, first), min(stop, last)
            if low < high:
                part = batch.slice(low - first, high - low)
                yield Table(
                    {
                        name: self._values(name, part.column(part.schema.get_field_index(branch)), low)
                        for name, branch in branches.items()
                    }
                )
            first = last

    def _groups(self, start: int, stop: int) -> tuple[list[int], int]:
        """Return the row groups that overlap ``[start, stop)`` and the first row of the first of them."""
        groups: list[int] = []
        first = row = 0
        for number in range(self._file.metadata.num_row_groups):
            end = row + self._file.metadata.row_group(number).num_rows
            if row < stop and end > start:
                if not groups:
                    first = row
                groups.append(number)
            row = end
        return groups, first

    def _values(self, name: str, array: Any, first_row: int) -> Column:
        kind = array.type
        if array.null_count and not pa.types.is_floating(kind):
            row = first_row + int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(
                f"{self.path}: column '{name}' has {array.null_count} nulls near row {row}; drop or fill those rows."
            )
        # Slices of `values`, and not `flatten()`, which loads Arrow's compute library: a third of a second a process.
        if pa.types.is_fixed_size_list(kind):
            inner = array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size)
            return self._inner(name, inner, first_row).reshape(len(array), kind.list_size)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            offsets = array.offsets.to_numpy()
            inner = array.values.slice(offsets[0], offsets[-1] - offsets[0])
            return jagged(np.diff(offsets), self._inner(name, inner, first_row))
        return self._inner(name, array, first_row)

    def _inner(self, name: str, values: Any, first_row: int) -> np.ndarray[Any, np.dtype[Any]]:
        if values.null_count and not pa.types.is_floating(values.type):
            raise DataError(
                f"{self.path}: column '{name}' has {values.null_count} nulls in its lists at or after row {first_row}; "
                "drop or fill those rows."
            )
        # A null in a floating column becomes NaN, which the checks of the values report with its row.
        return np.asarray(values.to_numpy(zero_copy_only=False), dtype=_dtype(values.type))

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as exc:
            reason = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise DataError(f"{self.path}: is damaged or no Parquet file ({reason}); copy or make it again.") from exc


def _dtype(kind: Any) -> np.dtype[Any] | None:
    if pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind) or pa.types.is_boolean(kind):
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
        return dtype
    return None


def _describe(kind: Any) -> StoredColumn | None:
    """Say how a column is stored, or ``None`` where it holds no numbers in at most one level of lists."""
    if pa.types.is_fixed_size_list(kind):
        dtype = _dtype(kind.value_type)
        return None if dtype is None else StoredColumn(str(dtype), "fixed", int(kind.list_size))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        dtype = _dtype(kind.value_type)
        return None if dtype is None else StoredColumn(str(dtype), "jagged")
    dtype = _dtype(kind)
    return None if dtype is None else StoredColumn(str(dtype), "flat")
