"""A file read as its layout says: the columns that it has, and those that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import final

import numpy as np

from castalia.data.file_layout import FileLayout
from castalia.data.readers.base import Reader, StoredColumn
from castalia.data.table import Column, Table, jagged_parts
from castalia.errors import DataError

__all__ = ["ConvertedReader"]


@final
class ConvertedReader(Reader):
    """A file with a layout; use ``open_reader``. A column of the layout hides one of that name in the file.

    Args:
        inner: The file itself, which is closed with this reader.
        layout: What its columns are.
        rename: Column of the file or the layout by column name.

    Raises:
        DataError: If the file lacks a column that the layout names.
    """

    def __init__(self, inner: Reader, layout: FileLayout, rename: Mapping[str, str]) -> None:
        super().__init__(inner.path, rename)
        self._inner = inner
        self._recipes = layout.recipes()
        there = inner.columns()
        for name, recipe in self._recipes.items():
            lacking = next((source for source in recipe.sources if source not in there), None)
            if lacking is not None:
                raise DataError(
                    f"{self.path}: has no column '{lacking}', of which [data] layout makes '{name}'; correct it."
                )

    def count(self) -> int:
        """Return the number of rows."""
        return self._inner.count()

    def close(self) -> None:
        """Close the file."""
        self._inner.close()

    def _stored(self) -> dict[str, StoredColumn]:
        first = next(self._inner.iterate(self._sources(self._recipes), 1, 0, 1), None)
        made = {name: _described(self._made(name, first)) for name in self._recipes} if first is not None else {}
        return {**self._inner.columns(), **made}

    def _other_type(self, branch: str) -> str | None:
        return self._inner._other_type(branch)

    def _rows(self, branches: Mapping[str, str], chunk: int, start: int, stop: int) -> Iterator[Table]:
        wanted = dict.fromkeys(branches.values())
        plain = [branch for branch in wanted if branch not in self._recipes]
        columns = list(dict.fromkeys([*plain, *self._sources(branch for branch in wanted if branch in self._recipes)]))
        for table in self._inner.iterate(columns, chunk, start, stop):
            found = {
                branch: self._made(branch, table) if branch in self._recipes else table[branch] for branch in wanted
            }
            yield Table({name: found[branch] for name, branch in branches.items()})

    def _sources(self, names: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(source for name in names for source in self._recipes[name].sources))

    def _made(self, name: str, table: Table) -> Column:
        try:
            return self._recipes[name].make(table)
        except DataError as exc:
            raise DataError(f"{self.path}: '{name}' of the layout: {exc}") from exc


def _described(column: Column) -> StoredColumn:
    if not isinstance(column, np.ndarray):
        return StoredColumn(str(jagged_parts(column)[1].dtype), "jagged")
    return (
        StoredColumn(str(column.dtype), "flat")
        if column.ndim == 1
        else StoredColumn(str(column.dtype), "fixed", column.shape[1])
    )
