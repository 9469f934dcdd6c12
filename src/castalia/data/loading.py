"""Arrays of one split of many files: streamed, identified, checked and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.data.checks import BadRowPolicy, BadRows, check_table, check_targets
from castalia.data.copies import content_keys, distinct_contents, distinct_files, given_once, overlap
from castalia.data.feature_config import DataConfig
from castalia.data.features import FeatureArrays, Features
from castalia.data.list_shapes import unlike_lists
from castalia.data.readers import open_reader
from castalia.data.sidecar import input_sha256
from castalia.data.splits import SPLITS, event_keys, identifier_columns, split_of
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError

__all__ = [
    "LoadedArrays",
    "Select",
    "SplitSource",
    "content_keys",
    "distinct_contents",
    "load_arrays",
    "overlap",
    "split_sources",
]

Select = str | Callable[[NDArray[np.uint64]], NDArray[np.bool_]] | None
"""A split's name, a function from event keys to the mask of those wanted, or ``None`` for all."""


@dataclass(frozen=True)
class LoadedArrays:
    """Events of several files.

    Attributes:
        arrays: The arrays; ``row`` counts the rows of all files one after the other.
        keys: Key of the event that each row belongs to, shape ``(rows,)``.
        counts: Events ``read``; those of the split that [data] selection leaves out (``unselected``) or not
            (``selected``); of the latter, ``skipped`` as bad and ``incomplete``; and ``rows`` made.
        hashes: SHA-256 of every file, by its path.
        first_rows: Number of the first row of every file, in the order of ``hashes``.
    """

    arrays: FeatureArrays
    keys: NDArray[np.uint64]
    counts: dict[str, int]
    hashes: dict[str, str]
    first_rows: tuple[int, ...]

    def take(self, rows: NDArray[np.bool_]) -> LoadedArrays:
        """Return the rows where the mask ``rows`` is true; what was counted stays."""
        return replace(self, arrays=self.arrays.take(rows), keys=self.keys[rows])

    def locate(self, row: int) -> tuple[str, int]:
        """Return the file, and the row in it, of an event's number ``arrays.row``."""
        index = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return tuple(self.hashes)[index], row - self.first_rows[index]


@dataclass(frozen=True)
class SplitSource:
    """Where the events of one split come from: files, and which of their events."""

    paths: tuple[Path, ...]
    select: Select


def split_sources(data: DataConfig, folder: Path) -> dict[str, SplitSource]:
    """Say where training, validation and test events come from.

    Without files of their own, validation and test events are a tenth each of ``files``, by the hash of the event.
    A split that has files of its own leaves its tenth to training.

    Args:
        data: The section ``[data]``.
        folder: The folder of the configuration.

    Raises:
        DataError: If a pattern matches no file, or a file is a copy of another.
        ConfigError: If a file is named for two splits.
    """
    files = data.paths(folder)
    own = {"validation": data.paths(folder, "validation_files"), "test": data.paths(folder, "test_files")}
    named = [("files", files), *((f"{split}_files", paths) for split, paths in own.items())]
    seen: dict[Path, str] = {}
    for which, paths in named:
        for path in paths:
            if seen.setdefault(path.resolve(), which) != which:
                raise ConfigError(f"{path}: is in {seen[path.resolve()]} and in {which} of [data]; keep one.")
    distinct_files(path for _, paths in named for path in paths)
    kept = [SPLITS.index(split) for split, paths in own.items() if not paths]

    def train(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return ~np.isin(split_of(keys), kept)

    return {
        "train": SplitSource(files, train),
        **{name: SplitSource(paths, None) if paths else SplitSource(files, name) for name, paths in own.items()},
    }


def load_arrays(
    paths: Sequence[Path],
    features: Features,
    select: Select = None,
    *,
    chunk: int = 65_536,
    skip_bad: int = 0,
    rename: Mapping[str, str] | None = None,
) -> LoadedArrays:
    """Read the events of one split into arrays.

    Events of other splits are dropped by their identifiers alone: nothing in their values can stop or change the work.

    Args:
        paths: The files, read in this order.
        features: The meaning of their columns; all of ``features.columns`` must be there, identifiers excepted.
        select: Which events.
        chunk: Rows read at a time; the result does not depend on it.
        skip_bad: How many bad rows may be left out.
        rename: Branch in the files by column name.

    Raises:
        DataError: If a file, column or row cannot be used, a file comes twice, or no event is left.
    """
    policy = BadRowPolicy(skip_bad)
    loader = _Loader(features, _mask_function(select), policy)
    given_once(paths)
    hashes = {str(path): input_sha256(path) for path in paths}
    distinct_contents({Path(name): sha256 for name, sha256 in hashes.items()})
    first_rows: list[int] = []
    for path in paths:
        first_rows.append(loader.read)
        with open_reader(path, features.data.tree, rename, features.data.layout) as reader:
            stored = reader.columns()
            columns = features.readable(features.columns, stored, str(path))
            identifiers = identifier_columns(features.data.identifiers, tuple(stored), str(path))
            for table in reader.iterate(columns, chunk):
                loader.add(table, path, hashes[str(path)], first_rows[-1], identifiers)
    return loader.result(hashes, tuple(first_rows), select)


class _Loader:
    """Collects the arrays of chunk after chunk."""

    def __init__(
        self, features: Features, wanted: Callable[[NDArray[np.uint64]], NDArray[np.bool_]], policy: BadRowPolicy
    ) -> None:
        self.read = 0
        self._features = features
        self._schema = features.input_schema
        self._targets = features.layout.target
        self._wanted = wanted
        self._policy = policy
        self._selected = self._unselected = 0
        self._parts: list[FeatureArrays] = []
        self._keys: list[NDArray[np.uint64]] = []

    def add(self, table: Table, path: Path, sha256: str, first_row: int, identifiers: tuple[str, ...]) -> None:
        """Take in the next rows of a file whose first row has the number ``first_row``."""
        start = self.read - first_row
        try:
            keys = event_keys(table, identifiers, sha256, start)
        except DataError as exc:
            raise DataError(f"{path}: {exc}") from exc
        rows = np.flatnonzero(self._wanted(keys))
        self.read += len(table)
        table = table.take(rows)
        try:
            chosen = self._features.selected(table)
        except DataError as exc:
            raise DataError(f"{path}: {exc}") from exc
        self._unselected += len(rows) - int(chosen.sum())
        rows, table = rows[chosen], table.take(chosen)
        self._selected += len(rows)
        bad = self._check_columns(table, rows + start, path)
        if bad.mask.any():
            good = self._policy.keep(bad)
            rows, table = rows[good], table.take(good)
        try:
            part = self._features.arrays(table)
        except DataError as exc:
            raise DataError(f"{path}: rows {start} to {start + len(keys) - 1}: {exc}") from exc
        bad = self._check_targets(part, rows + start, path)
        if bad.mask.any():
            good = self._policy.keep(bad)
            rows = rows[good]
            part = self._features.arrays(table.take(good))
        self._keys.append(keys[rows][part.row])
        self._parts.append(
            FeatureArrays(
                part.condition,
                part.target,
                part.reference,
                part.weight,
                rows[part.row] + start + first_row,
                part.incomplete,
                part.found,
                part.objects,
            )
        )

    def _check_columns(self, table: Table, numbers: NDArray[np.int64], path: Path) -> BadRows:
        """Check every column, those of the targets for reconstructed events only."""
        found, where = self._features.found(table), str(path)
        alike = unlike_lists(table, self._features, where, numbers)
        if found is None:
            return check_table(table, self._schema, where, rows=numbers) | alike
        targets = [t.column for t in self._features.target.values()]
        given = check_table(table.without(targets), self._schema, where, rows=numbers) | alike
        learned = check_table(table.select(targets).take(found), self._schema, where, rows=numbers[found])
        mask = np.zeros_like(given.mask)
        mask[found] = learned.mask
        return given | BadRows(mask, learned.reasons, where)

    def _check_targets(self, part: FeatureArrays, numbers: NDArray[np.int64], path: Path) -> BadRows:
        part = part.reconstructed
        if part.target is None:
            return BadRows(np.zeros(len(numbers), dtype=np.bool_), ())
        columns = [self._features.target[variable.group].column for variable in self._targets]
        return check_targets(part.target, self._targets, columns, part.row, numbers, str(path))

    def result(self, hashes: dict[str, str], first_rows: tuple[int, ...], select: Select) -> LoadedArrays:
        """Put everything together."""
        names = ", ".join(hashes) or "no file"
        keys = np.concatenate(self._keys) if self._keys else np.empty(0, dtype=np.uint64)
        if not len(keys):
            what = f" of the {select} split" if isinstance(select, str) else ""
            raise DataError(
                f"{names}: none of the {self.read} events{what} can be used; give more events, "
                "or other identifiers in [data] if those there are the same for every event."
            )
        arrays = FeatureArrays.concatenate(self._parts)
        counts = {
            "read": self.read,
            "selected": self._selected,
            "unselected": self._unselected,
            "skipped": self._policy.skipped,
            "incomplete": arrays.incomplete,
            "rows": len(keys),
        }
        return LoadedArrays(arrays, keys, counts, hashes, first_rows)


def _mask_function(select: Select) -> Callable[[NDArray[np.uint64]], NDArray[np.bool_]]:
    if select is None:
        return lambda keys: np.ones(len(keys), dtype=np.bool_)
    if not isinstance(select, str):
        return select
    if select not in SPLITS:
        raise ConfigError(f"there is no split '{select}'; choose one of {', '.join(SPLITS)}.")
    number = SPLITS.index(select)
    return lambda keys: split_of(keys) == number
