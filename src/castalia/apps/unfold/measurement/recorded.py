"""Events of one sample as its files hold them: what was measured where selected, what was true where defined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.model import PosteriorModel
from castalia.data.checks import BadRowPolicy, check_table
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.feature_config import DataConfig
from castalia.data.features import Features
from castalia.data.list_shapes import unlike_lists
from castalia.data.readers import open_reader
from castalia.data.table import Table
from castalia.data.usable import UsableFiles, usable_files
from castalia.errors import DataError

__all__ = ["RecordedEvents", "read_events"]

_CHUNK = 65_536


@final
@dataclass(frozen=True)
class RecordedEvents:
    """Events of one sample, selected or not.

    Attributes:
        detector: What was measured of the selected events, in their order.
        truth: The particles' columns of the defined events, in their order, shape ``(defined, columns)``; ``None``
            where the files hold no truth.
        weights: Event weights, shape ``(events,)``.
        selected: Which events were selected, shape ``(events,)``.
        defined: Which have the truth that is measured, shape ``(events,)``; all where the files hold no truth.
        identifiers: Their identifiers, as far as the files have them.
        rows: Their positions in the whole input, all files one after the other, shape ``(events,)``.
        checksums: SHA-256 of the files by name.
        skipped: Number of bad rows left out.
        skipped_files: Why files were left out, by their names.
    """

    detector: FeatureArrays
    truth: NDArray[np.float64] | None
    weights: NDArray[np.float64]
    selected: NDArray[np.bool_]
    defined: NDArray[np.bool_]
    identifiers: Table
    rows: NDArray[np.int64]
    checksums: dict[str, str]
    skipped: int
    skipped_files: dict[str, str]

    @property
    def learnable(self) -> FeatureArrays:
        """The events that are selected and defined, as a training would have them; without their truth where none is.

        Their ``row`` has no meaning.
        """
        arrays = self.detector.take(self.defined[self.selected])
        if self.truth is None:
            return arrays
        target = self.truth[self.selected[self.defined]]
        return replace(arrays, target=target, reference=np.zeros_like(target))


def read_events(
    model: PosteriorModel,
    paths: Sequence[Path],
    *,
    with_truth: bool,
    weighted: bool = True,
    skip_bad: int = 0,
    skip_bad_files: bool = False,
) -> RecordedEvents:
    """Read all events of some files, those that were not selected included.

    What an event lacks is not looked at: neither what was measured of one that was not selected, nor the truth of one
    that has none.

    Args:
        model: The run, which says what the columns mean.
        paths: The files.
        with_truth: Whether they must hold the truth. Otherwise it is read where all of them do.
        weighted: Whether they must hold the weights, where the run has any. Otherwise events without weigh one each.
        skip_bad: Number of bad rows that may be left out.
        skip_bad_files: Leave out whole files that cannot be used.

    Raises:
        DataError: If a file, column or row cannot be used, or no event is selected.
    """
    features, truth = model.features, _truth_columns(model.features)
    least = features if weighted else replace(features, data=features.data.model_copy(update={"weight": None}))
    needed = tuple(name for name in least.columns if with_truth or name not in truth)
    usable = usable_files(paths, least, needed, tree=features.data.tree, skip_bad=skip_bad_files)
    columns = set.intersection(*(_columns_of(path, features) for path in usable.paths))
    if features.data.weight not in columns:
        features = least
    wanted = tuple(name for name in features.columns if name not in truth or columns >= set(truth))
    policy, parts, before = BadRowPolicy(skip_bad), [], 0
    for path, file in usable.files.items():
        with open_reader(path, features.data.tree, layout=features.data.layout) as reader:
            first_row = 0
            for table in reader.iterate(features.readable(wanted, reader.columns(), str(path)), _CHUNK):
                part = _part(features, table, str(path), first_row, policy)
                parts.append(replace(part, rows=before + first_row + part.rows))
                first_row += len(table)
        before += file.entries
    if not any(part.selected.any() for part in parts):
        raise DataError(
            f"{usable.paths[0]}: none of the {sum(len(part.table) for part in parts)} events is selected "
            f"(column '{features.data.selection}'); give a sample that holds selected events."
        )
    return _joined(features.data, parts, usable, policy.skipped)


@final
@dataclass(frozen=True)
class _Part:
    """Some rows of one file; ``rows`` are their places, and ``truth`` has one row for each that is defined."""

    table: Table
    rows: NDArray[np.int64]
    detector: FeatureArrays
    truth: NDArray[np.float64] | None
    selected: NDArray[np.bool_]
    defined: NDArray[np.bool_]


def _columns_of(path: Path, features: Features) -> set[str]:
    with open_reader(path, features.data.tree, layout=features.data.layout) as reader:
        return set(reader.columns())


def _truth_columns(features: Features) -> list[str]:
    flag = [] if features.efficiency is None else [features.efficiency.column]
    return [*(variable.column for variable in features.target.values()), *flag]


def _part(features: Features, table: Table, where: str, first_row: int, policy: BadRowPolicy) -> _Part:
    """Take what counts of some rows and check that alone."""
    names = [variable.column for variable in features.target.values()]
    has_truth = all(name in table for name in names)
    keep = np.ones(len(table), dtype=np.bool_)
    selected, defined = _flags(features, table)
    looked_at = [(table.without(_truth_columns(features)), selected)]
    if has_truth:
        looked_at.append((table.select(names), defined))
    for columns, rows in looked_at:
        numbers, chosen = np.flatnonzero(rows), columns.take(rows)
        bad = check_table(chosen, features.input_schema, where, rows=numbers + first_row)
        keep[numbers] &= policy.keep(bad | unlike_lists(chosen, features, where, numbers + first_row))
    table = table.take(keep)
    selected, defined = selected[keep], defined[keep]
    truth = None
    if has_truth:
        truth = np.stack([np.asarray(table[name], dtype=np.float64)[defined] for name in names], axis=1)
    detector = features.arrays(table.without(_truth_columns(features)).take(selected))
    places, table = np.flatnonzero(keep), table.without(_truth_columns(features))
    return _Part(table, places, detector, truth, selected, defined)


def _flags(features: Features, table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which events are selected, and which have a truth."""
    found = features.found(table)
    return features.selected(table), np.ones(len(table), dtype=np.bool_) if found is None else found


def _joined(data: DataConfig, parts: Sequence[_Part], usable: UsableFiles, skipped: int) -> RecordedEvents:
    identifiers = Table.concatenate(
        [part.table.select([name for name in data.identifiers if name in part.table]) for part in parts]
    )
    weights = [
        np.asarray(part.table[data.weight], dtype=np.float64)
        if data.weight is not None and data.weight in part.table
        else np.ones(len(part.table))
        for part in parts
    ]
    truths = [part.truth for part in parts if part.truth is not None]
    return RecordedEvents(
        _concatenated([part.detector for part in parts]),
        np.concatenate(truths) if truths else None,
        np.concatenate(weights),
        np.concatenate([part.selected for part in parts]),
        np.concatenate([part.defined for part in parts]),
        identifiers,
        np.concatenate([part.rows for part in parts]),
        usable.checksums,
        skipped,
        dict(usable.skipped),
    )


def _concatenated(parts: Sequence[FeatureArrays]) -> FeatureArrays:
    """Put the measured parts of several tables one below the other."""
    first = parts[0]
    return replace(
        first,
        condition=np.concatenate([part.condition for part in parts]),
        target=None,
        reference=np.concatenate([part.reference for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        row=np.arange(sum(len(part.row) for part in parts)),
        incomplete=0,
        found=None,
        objects={name: ObjectArrays.concatenate([part.objects[name] for part in parts]) for name in first.objects},
    )
