"""What every writer of event files does: check against the schema, hash each column, appear whole or not at all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import awkward as ak
import numpy as np

from castalia.data.atomic import atomic_path, write_error
from castalia.data.hashing import ColumnHasher, file_sha256
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Column, Regrouper, Table, jagged, jagged_parts
from castalia.errors import DataError

__all__ = ["Writer", "WrittenFile"]

_GROUP_ROWS = 65_536
"""Rows of a Parquet row group or of the baskets of a tree: fixed, so that files do not depend on the chunks written."""
_GROUP_NUMBERS = 2**25
"""Numbers in lists after which a group ends earlier: rows of pixel hits have hundreds of thousands."""


@dataclass(frozen=True)
class WrittenFile:
    """What was written.

    Attributes:
        sha256: Hash of the file's bytes.
        bytes: Size of the file.
        entries: Number of rows.
        column_hashes: Content hash of every column, independent of file format and chunks.
    """

    sha256: str
    bytes: int
    entries: int
    column_hashes: dict[str, str]


class Writer(ABC):
    """A context manager that makes one file; use ``open_writer``.

    The file is written beside ``path`` and renamed when the block ends well; on an exception it is removed.

    Args:
        path: Where the file shall be.
        schema: The columns it has, in order.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self.path = path
        self.schema = schema
        self._hashers = {column.name: ColumnHasher(column) for column in schema.columns}
        self._groups = Regrouper(_GROUP_ROWS, _GROUP_NUMBERS)
        self._entries = 0
        self._stack = ExitStack()
        self._summary: WrittenFile | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_path(self.path))
            try:
                self._file: IO[bytes] = stack.enter_context(partial.open("w+b"))
            except OSError as exc:
                raise write_error(self.path, exc) from exc
            self._start(self._file)
            self._partial = partial
            self._stack = stack.pop_all()
        return self

    def write(self, table: Table) -> None:
        """Append the rows of ``table``, which has exactly the columns of the schema, in any order.

        Raises:
            DataError: If columns are missing, unknown, or of another shape or number type.
            MachineError: If the disk is full.
        """
        ready = _conform(table, self.schema, self.path)
        for name, hasher in self._hashers.items():
            hasher.update(ready[name])
        self._entries += len(ready)
        for group in self._groups.push(ready):
            self._append({name: group[name] for name in group.names})

    @property
    def summary(self) -> WrittenFile:
        """What was written, once the file is closed."""
        if self._summary is None:
            raise DataError(f"{self.path}: is not written yet; ask for its summary after closing it.")
        return self._summary

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._drop(kind, error, trace)
            return
        try:
            rest = self._groups.rest()
            if rest is not None:
                self._append({name: rest[name] for name in rest.names})
            self._finish()
            self._file.flush()
            size, digest = self._partial.stat().st_size, file_sha256(self._partial)
        except BaseException as exc:
            self._drop(type(exc), exc, exc.__traceback__)
            raise  # not reached for a full disk: the atomic path has turned that into a MachineError
        self._stack.close()
        hashes = {name: hasher.hexdigest() for name, hasher in self._hashers.items()}
        self._summary = WrittenFile(digest, size, self._entries, hashes)

    def _drop(self, kind: type[BaseException] | None, error: BaseException, trace: TracebackType | None) -> None:
        """Give the file up: close what is open and let the atomic path remove it and judge the error."""
        with suppress(OSError):  # the disk may still be full when the buffers are flushed; ``error`` says so
            self._abandon()
        with suppress(OSError):
            self._file.close()
        self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def _start(self, file: IO[bytes]) -> None:
        """Begin the file."""

    @abstractmethod
    def _append(self, columns: Mapping[str, Column]) -> None:
        """Write one group of rows, already of the schema's number types and in its order."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what belongs at the end."""

    @abstractmethod
    def _abandon(self) -> None:
        """Release what the library holds, when the file is given up."""


def _conform(table: Table, schema: Schema, path: Path) -> Table:
    missing = [name for name in schema.names if name not in table]
    unknown = [name for name in table.names if name not in schema.names]
    if missing or unknown:
        problem = f"column '{missing[0]}' is missing" if missing else f"column '{unknown[0]}' is not in the schema"
        raise DataError(f"{path}: {problem}; write exactly the columns {', '.join(schema.names)}.")
    return Table({spec.name: _cast(table[spec.name], spec, path) for spec in schema.columns})


def _cast(values: Any, spec: ColumnSpec, path: Path) -> Column:
    kind: Any = "jagged" if isinstance(values, ak.Array) else "flat" if values.ndim == 1 else values.shape[1]
    if kind != spec.shape:
        raise DataError(f"{path}: column '{spec.name}' is {kind}, but declared {spec.shape}; declare what it is.")
    if isinstance(values, ak.Array):
        counts, flat = jagged_parts(values)
        return jagged(counts, _cast_numbers(flat, spec, path))
    return _cast_numbers(values, spec, path)


def _cast_numbers(values: Any, spec: ColumnSpec, path: Path) -> Any:
    wanted = spec.numpy_dtype
    if values.dtype == wanted:
        return values.astype(wanted, copy=False)
    if np.can_cast(values.dtype, wanted, "same_kind") or {values.dtype.kind, wanted.kind} == {"i", "u"}:
        cast = values.astype(wanted)
        if wanted.kind not in "iu" or np.array_equal(cast, values):
            return cast
    raise DataError(
        f"{path}: column '{spec.name}' holds {values.dtype} values that do not fit the declared {spec.dtype}; "
        "declare the number type that it has."
    )
