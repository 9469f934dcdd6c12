"""What every reader of event files offers: its numeric columns, its length, and its rows in chunks."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from castalia.data.table import Regrouper, Table
from castalia.errors import DataError

__all__ = ["Reader", "StoredColumn"]


@dataclass(frozen=True)
class StoredColumn:
    """How a column is stored.

    Attributes:
        dtype: numpy's name of the number type, such as ``"float64"``.
        kind: One number per row, a list of any length, or a list of one fixed length.
        length: The fixed length, else ``None``.
    """

    dtype: str
    kind: Literal["flat", "jagged", "fixed"]
    length: int | None = None


class Reader(ABC):
    """An open file of events; a context manager that closes it.

    Args:
        path: The file.
        rename: Name of the branch in the file for each column that is called otherwise there.
    """

    def __init__(self, path: Path, rename: Mapping[str, str]) -> None:
        self.path = path
        self._rename = dict(rename)
        self._branches: dict[str, StoredColumn] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def columns(self) -> dict[str, StoredColumn]:
        """Return every numeric column: the branches by their names, in the order of the file, and the renamed ones.

        A branch can serve several columns, and keeps its own name unless another branch is given that name.
        """
        stored = self._numeric()
        columns = {name: how for name, how in stored.items() if name not in self._rename}
        columns.update({column: stored[branch] for column, branch in self._rename.items() if branch in stored})
        return columns

    def iterate(self, columns: Sequence[str], chunk: int, start: int = 0, stop: int | None = None) -> Iterator[Table]:
        """Yield the rows from ``start`` to ``stop`` (exclusive) in tables of exactly ``chunk`` rows, the last shorter.

        Args:
            columns: The columns to read, in that order.
            chunk: Rows per table, at least 1.
            start: First row.
            stop: Row after the last, or ``None`` for the end of the file.

        Raises:
            DataError: If a column is absent or the content is damaged.
        """
        for name in columns:
            self._require(name)
        regrouper = Regrouper(chunk)
        stop = self.count() if stop is None else min(stop, self.count())
        if start < stop and columns:
            branches = {name: self._rename.get(name, name) for name in columns}
            for table in self._rows(branches, chunk, start, stop):
                yield from regrouper.push(table)
        rest = regrouper.rest()
        if rest is not None:
            yield rest

    @abstractmethod
    def count(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    @abstractmethod
    def _stored(self) -> dict[str, StoredColumn]:
        """Return every numeric branch by its name in the file."""

    @abstractmethod
    def _rows(self, branches: Mapping[str, str], chunk: int, start: int, stop: int) -> Iterator[Table]:
        """Yield the rows in tables of about ``chunk`` rows; ``branches`` gives the branch of each column."""

    @abstractmethod
    def _other_type(self, branch: str) -> str | None:
        """Return the type of a branch that exists but holds no numbers in at most one level of lists."""

    def _numeric(self) -> dict[str, StoredColumn]:
        if self._branches is None:
            self._branches = self._stored()
        return self._branches

    def _require(self, name: str) -> None:
        if name in self.columns():
            return
        branch = self._rename.get(name, name)
        called = f"branch '{branch}'" + (f" (for column '{name}')" if branch != name else "")
        other = self._other_type(branch)
        if other is not None:
            raise DataError(
                f"{self.path}: {called} is of type {other}; only numbers, flat or in one level of lists, can be used."
            )
        available = list(self._numeric())
        close = difflib.get_close_matches(branch, available, n=3)
        if close:
            hint = "did you mean " + " or ".join(f"'{name}'" for name in close) + "?"
        else:
            shown = ", ".join(available[:20]) + (", …" if len(available) > 20 else "")
            hint = f"the file has {shown or 'no numeric branch'}."
        raise DataError(
            f"{self.path}: {called} is not there; {hint} If it has another name, pass --rename {name}=BRANCH, or for "
            "training name it in [data.layout.columns]."
        )
