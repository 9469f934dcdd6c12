"""TTrees of ROOT files, read with uproot in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import uproot
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype

from castalia.data.readers.base import Reader, StoredColumn
from castalia.data.table import Table
from castalia.errors import DataError

__all__ = ["RootReader"]

_STEP = 65_536
"""Rows read at once at least: every step costs some time for each branch, however few rows it has."""
_STEP_BYTES = 2**26
"""Bytes that are not exceeded for the sake of that."""

_RNTUPLE = "ROOT::RNTuple"
_NO_RNTUPLE = "RNTuple is not read yet; write a TTree (with uproot: mktree)"


@final
class RootReader(Reader):
    """A TTree; use ``open_reader``.

    Args:
        path: The file.
        tree: Name of the tree, or ``None`` for the only one there is.
        rename: Branch in the file by column name.

    Raises:
        DataError: If the file is damaged or cut short, or has no such tree.
    """

    def __init__(self, path: Path, tree: str | None, rename: Mapping[str, str]) -> None:
        super().__init__(path, rename)
        _check_length(path)
        with self._damage():
            # A mapping, because uproot takes what follows a colon in a plain name for the name of an object.
            self._file = uproot.open({str(path): None})
        try:
            with self._damage():
                classes = self._file.classnames(recursive=True, cycle=False)
            name = _tree_name(path, tree, classes)
            with self._damage():
                self._tree = self._file[name]
        except BaseException:
            self._file.close()
            raise

    def count(self) -> int:
        """Return the number of entries of the tree."""
        return int(self._tree.num_entries)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _stored(self) -> dict[str, StoredColumn]:
        with self._damage():
            found = {str(b.name): _describe(b.interpretation) for b in self._tree.itervalues(recursive=True)}
            # uproot's writer adds a counter nNAME to every jagged branch NAME: that is no column of the user's.
            # (A counter shared by several branches, as in NanoAOD, is named otherwise and stays.)
            counters = {
                str(b.count_branch.name)
                for b in self._tree.itervalues(recursive=True)
                if b.count_branch is not None and b.count_branch.name == f"n{b.name}"
            }
        return {name: how for name, how in found.items() if how is not None and name not in counters}

    def _other_type(self, branch: str) -> str | None:
        for found in self._tree.itervalues(recursive=True):
            if found.name == branch:
                return str(found.typename)
        return None

    def _rows(self, branches: Mapping[str, str], chunk: int, start: int, stop: int) -> Iterator[Table]:
        wanted = set(branches.values())
        bytes_per_row = sum(self._tree[name].uncompressed_bytes for name in wanted) / max(self.count(), 1)
        pieces = self._tree.iterate(
            filter_branch=lambda branch: branch.name in wanted,
            step_size=max(chunk, min(_STEP, int(_STEP_BYTES / max(bytes_per_row, 1.0)))),  # the base class cuts to size
            entry_start=start,
            entry_stop=stop,
            library="ak",
        )
        while True:
            with self._damage():
                piece = next(pieces, None)
                if piece is None:
                    return
                # Nested branches come under their full path; the name is its last part.
                fields = {field.rsplit("/", 1)[-1]: field for field in piece.fields}
                table = Table({column: piece[fields[branch]] for column, branch in branches.items()})
            yield table

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Report whatever uproot stumbles over in a damaged file, which can be an exception of any kind."""
        try:
            yield
        except DataError:
            raise
        except Exception as exc:
            reason = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise DataError(
                f"{self.path}: is damaged or no ROOT file ({reason}); check it with 'castalia inspect', "
                "copy or make it again."
            ) from exc


def _check_length(path: Path) -> None:
    """Compare the length of the file with the one in its header, for uproot opens files that lack their baskets."""
    with path.open("rb") as file:
        header = file.read(20)
    version = int.from_bytes(header[4:8], "big")
    # Files beyond 2 GB have 64-bit pointers and say so by a version number that is one million larger.
    end = int.from_bytes(header[12 : 20 if version >= 1_000_000 else 16], "big")
    size = path.stat().st_size
    if size < end:
        raise DataError(f"{path}: is cut short: {size} bytes instead of {end}; copy or make the file again.")


def _tree_name(path: Path, tree: str | None, classes: Mapping[str, str]) -> str:
    trees = [name for name, kind in classes.items() if kind == "TTree"]
    listed = ", ".join(trees) or "none"
    if tree is None:
        if len(trees) == 1:
            return trees[0]
        cure = "name one with [data] tree or --tree" if trees else "give a file with a tree of events"
        if not trees and _RNTUPLE in classes.values():
            cure = _NO_RNTUPLE
        raise DataError(f"{path}: has {len(trees)} TTrees: {listed}; {cure}.")
    if tree not in trees:
        kind = classes.get(tree)
        found = f"'{tree}' is a {kind}, not a TTree" if kind else f"there is no tree '{tree}'"
        if kind == _RNTUPLE:
            raise DataError(f"{path}: {found}; {_NO_RNTUPLE}.")
        raise DataError(f"{path}: {found}; the file has the trees {listed}.")
    return tree


def _describe(interpretation: Any) -> StoredColumn | None:
    """Say how a branch is stored, or ``None`` where it holds no numbers in at most one level of lists."""
    if isinstance(interpretation, AsJagged):
        inner = interpretation.content
        if isinstance(inner, AsDtype) and inner.to_dtype.shape == () and inner.to_dtype.kind in "fiub":
            return StoredColumn(str(inner.to_dtype), "jagged")
        return None
    if type(interpretation) is not AsDtype or interpretation.to_dtype.base.kind not in "fiub":
        return None
    shape = interpretation.to_dtype.shape
    name = str(interpretation.to_dtype.base.newbyteorder("="))
    if shape == ():
        return StoredColumn(name, "flat")
    return StoredColumn(name, "fixed", int(shape[0])) if len(shape) == 1 else None
