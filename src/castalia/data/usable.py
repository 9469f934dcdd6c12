"""Which input files can be used: found out before any work is done for them, and bad ones left out only where asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from castalia.data.copies import given_once
from castalia.data.features import Features
from castalia.data.list_shapes import refuse_shapes
from castalia.data.readers import StoredColumn, open_reader
from castalia.data.sidecar import input_sha256
from castalia.errors import DataError

__all__ = ["FoundColumns", "UsableFile", "UsableFiles", "usable_files"]

log = logging.getLogger(__name__)

_CHUNK = 65_536
_CHUNK_OF_LISTS = 64  # where columns are found by what they hold, their lists may be long

FoundColumns: TypeAlias = Callable[[Mapping[str, StoredColumn], str], tuple[str, ...]]
"""Finds columns of a file, given how its columns are stored and its name; raises DataError if they are not there."""


@final
@dataclass(frozen=True)
class UsableFile:
    """An input file that opens and has the columns wanted.

    Attributes:
        sha256: Hash of its bytes, equal to its sidecar's where it has one.
        entries: Number of rows.
        columns: The columns wanted and how they are stored.
    """

    sha256: str
    entries: int
    columns: Mapping[str, StoredColumn]


@final
@dataclass(frozen=True)
class UsableFiles:
    """The files to work on.

    Attributes:
        files: What is known of each, by path, in the order given.
        skipped: Why each of the others was left out, by its name.
    """

    files: Mapping[Path, UsableFile]
    skipped: Mapping[str, str]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of the files to work on."""
        return tuple(self.files)

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of the files to work on, by name."""
        return {str(path): file.sha256 for path, file in self.files.items()}


def usable_files(
    paths: Sequence[Path],
    features: Features,
    columns: tuple[str, ...],
    *,
    tree: str | None,
    rename: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    found: FoundColumns | None = None,
) -> UsableFiles:
    """Open every file and look whether it can be used.

    Args:
        paths: The files.
        features: The meaning of their columns.
        columns: The columns that are wanted; identifiers may be absent.
        tree: Name of the tree.
        rename: Branch in the files by column name.
        skip_bad: Leave out files that are missing, damaged, cut short, without a wanted column or not what their
            sidecars describe, instead of refusing the first of them. Damage can be anywhere, so every file is then
            read through once.
        found: Finds further columns that are wanted, file by file.

    Raises:
        DataError: If a file cannot be used or is given twice, or, with ``skip_bad``, none can.
    """
    given_once(paths)
    files: dict[Path, UsableFile] = {}
    skipped: dict[str, str] = {}
    for path in paths:
        try:
            files[path] = _inspect(path, features, columns, tree, rename, whole=skip_bad, found=found)
        except DataError as error:
            if not skip_bad:
                raise
            log.warning("left out: %s", error)
            skipped[str(path)] = str(error)
    if skipped and not files:
        raise DataError(f"none of the {len(skipped)} files can be used; the first: {next(iter(skipped.values()))}")
    return UsableFiles(files, skipped)


def _inspect(
    path: Path,
    features: Features,
    columns: tuple[str, ...],
    tree: str | None,
    rename: Mapping[str, str] | None,
    *,
    whole: bool,
    found: FoundColumns | None,
) -> UsableFile:
    sha256 = input_sha256(path)
    with open_reader(path, tree, rename, features.data.layout) as reader:
        stored = reader.columns()
        wanted = features.readable(columns, stored, str(path))
        refuse_shapes(features, {name: stored[name] for name in wanted if name in stored}, str(path))
        if found is not None:
            wanted = (*wanted, *found(stored, str(path)))
        chunk = _CHUNK if found is None else _CHUNK_OF_LISTS
        rows = reader.iterate(wanted, chunk) if whole else reader.iterate(wanted, 1, 0, 1)
        entries = sum(len(table) for table in rows)
        if whole and entries != reader.count():
            raise DataError(f"{path}: has {entries} rows instead of {reader.count()}; copy or make it again.")
        return UsableFile(sha256, reader.count(), {name: stored[name] for name in wanted})
