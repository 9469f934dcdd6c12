"""CSV files with a line of column names, read in chunks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TextIO, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.readers.base import Reader, StoredColumn
from castalia.data.table import Table
from castalia.errors import DataError

__all__ = ["CsvReader"]

_CHUNK = 65_536
# From here on, neighbouring whole numbers are the same in double precision.
_LARGEST_WHOLE = 2.0**53


@final
class CsvReader(Reader):
    """A CSV file: names in the first line, numbers and commas in all others; use ``open_reader``.

    A column whose values are all whole is of type int64, any other of float64. The file is read through once at the
    start, so that a bad cell stops the work before it begins. A file that was cut off inside its very last number
    cannot be told from a whole one.

    Args:
        path: The file.
        rename: Column in the file by column name.

    Raises:
        DataError: If the first line holds no names, a line has more or fewer cells, or a cell is no number.
    """

    def __init__(self, path: Path, rename: Mapping[str, str]) -> None:
        super().__init__(path, rename)
        self._open_files = ExitStack()
        with self._open() as file:
            self._names = self._header(file)
            self._count, self._whole = self._survey(file)

    def count(self) -> int:
        """Return the number of lines with numbers."""
        return self._count

    def close(self) -> None:
        """Close the file wherever it is still being read."""
        self._open_files.close()

    def _stored(self) -> dict[str, StoredColumn]:
        types = ("int64" if whole else "float64" for whole in self._whole)
        return {name: StoredColumn(dtype, "flat") for name, dtype in zip(self._names, types, strict=True)}

    def _other_type(self, branch: str) -> str | None:
        return None

    def _rows(self, branches: Mapping[str, str], chunk: int, start: int, stop: int) -> Iterator[Table]:
        place = {name: self._names.index(branch) for name, branch in branches.items()}
        with self._open() as file:
            self._header(file)
            lines = islice(_filled(file), start, stop)
            for values in self._blocks(lines, chunk, start):
                yield Table({name: self._typed(values[:, column], column) for name, column in place.items()})

    def _typed(self, values: NDArray[np.float64], column: int) -> NDArray[np.int64] | NDArray[np.float64]:
        return values.astype(np.int64) if self._whole[column] else values

    def _open(self) -> TextIO:
        # A byte that is no UTF-8 becomes a character that is no number, and is named like any other bad cell.
        file = self.path.open(encoding="utf-8-sig", errors="replace", newline="")
        return self._open_files.enter_context(file)

    def _header(self, file: TextIO) -> list[str]:
        names = [name.strip() for name in _cells(next(_filled(file), ""))]
        numeric = next((name for name in names if not name or _is_number(name)), None)
        if not names or numeric is not None:
            raise DataError(
                f"{self.path}: the first line has {'no name' if not numeric else repr(numeric)} where a column's name "
                "belongs; put a line of column names on top."
            )
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise DataError(f"{self.path}: has two columns '{double}'; give each a name of its own.")
        return names

    def _survey(self, file: TextIO) -> tuple[int, list[bool]]:
        """Count the rows, and say which columns have whole numbers only."""
        count, whole = 0, np.ones(len(self._names), dtype=np.bool_)
        largest = np.zeros(len(self._names))
        for values in self._blocks(_filled(file), _CHUNK, 0):
            whole &= (np.isfinite(values) & (values == np.rint(values))).all(axis=0)
            largest = np.maximum(largest, np.abs(values).max(axis=0))
            count += len(values)
        wide = np.flatnonzero(whole & (largest >= _LARGEST_WHOLE) & (largest < 2.0**64))
        if wide.size:
            raise DataError(
                f"{self.path}: column '{self._names[wide[0]]}' has whole numbers of 2**53 or more, which would lose "
                "digits; write the file as Parquet."
            )
        return count, whole.tolist()

    def _blocks(self, lines: Iterator[str], chunk: int, first_row: int) -> Iterator[NDArray[np.float64]]:
        """Yield the numbers of ``chunk`` lines at a time, shape ``(lines, columns)``."""
        row = first_row
        while block := list(islice(lines, chunk)):
            try:
                values = np.loadtxt(block, delimiter=",", comments=None, quotechar='"', ndmin=2)
            except ValueError as exc:
                raise self._refusal(block, row) from exc
            if values.shape != (len(block), len(self._names)):
                raise self._refusal(block, row)
            yield values
            row += len(block)

    def _refusal(self, lines: list[str], first_row: int) -> DataError:
        """Find the first line that is no row of numbers."""
        for row, line in enumerate(lines, first_row):
            cells = _cells(line)
            if len(cells) != len(self._names):
                return DataError(
                    f"{self.path}: row {row} has {len(cells)} cells instead of {len(self._names)} (is the file cut "
                    "short?); mend that row, or copy the file again."
                )
            for name, cell in zip(self._names, cells, strict=True):
                if not _is_number(cell):
                    return DataError(
                        f"{self.path}: column '{name}' has {cell.strip()!r} in row {row}, which is no number; mend "
                        "that cell, or leave the column out of the file."
                    )
        return DataError(f"{self.path}: rows from {first_row} on are no table of numbers; make the file again.")


def _filled(file: TextIO) -> Iterator[str]:
    """Yield the lines that are not empty."""
    return (line for line in file if line.strip())


def _cells(line: str) -> list[str]:
    """Return the cells of a line; none where no table can have such a line."""
    try:
        return next(csv.reader([line], skipinitialspace=True), [])
    except csv.Error:
        return []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000 as a number, a table does not
