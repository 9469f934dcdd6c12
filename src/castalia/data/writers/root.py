"""TTrees in ROOT files, written with uproot; every branch is declared before the first row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, final

import numpy as np
import uproot

from castalia.data.schema import Schema
from castalia.data.table import Column
from castalia.data.writers.base import Writer
from castalia.errors import DataError

__all__ = ["RootWriter"]


@final
class RootWriter(Writer):
    """A ROOT file with one TTree; use ``open_writer``.

    Args:
        path: Where the file shall be.
        schema: Its columns. Jagged columns get a counter branch ``nNAME`` of their own.
        tree: Name of the tree.
    """

    def __init__(self, path: Path, schema: Schema, tree: str) -> None:
        super().__init__(path, schema)
        self._name = tree
        for spec in schema.columns:
            if spec.shape == "jagged" and f"n{spec.name}" in schema.names:
                raise DataError(
                    f"{path}: column 'n{spec.name}' has the name of the counter of the jagged column '{spec.name}'; "
                    "rename one of them or write Parquet."
                )

    def _start(self, file: IO[bytes]) -> None:
        self._root: Any = uproot.recreate(file, compression=uproot.ZSTD(1))
        branches: dict[str, Any] = {}
        for spec in self.schema.columns:
            if spec.shape == "jagged":
                branches[spec.name] = f"var * {spec.dtype}"
            elif isinstance(spec.shape, int):
                branches[spec.name] = np.dtype((spec.numpy_dtype, (spec.shape,)))
            else:
                branches[spec.name] = spec.numpy_dtype
        self._tree: Any = self._root.mktree(self._name, branches)

    def _append(self, columns: Mapping[str, Column]) -> None:
        self._tree.extend(dict(columns))

    def _finish(self) -> None:
        self._root.file.sink.flush()

    def _abandon(self) -> None:
        self._root = self._tree = None
