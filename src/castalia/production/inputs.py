"""Input files as units of work, and a unit's range of one file read in fixed batches of usable rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.data.checks import BadRowPolicy, check_table
from castalia.data.copies import distinct_contents
from castalia.data.features import Features
from castalia.data.list_shapes import unlike_lists
from castalia.data.readers import open_reader
from castalia.data.schema import Schema
from castalia.data.table import Table
from castalia.data.usable import UsableFiles, usable_files
from castalia.errors import DataError
from castalia.production.units import Unit, plan_units

__all__ = ["EVENT_INDEX", "InputBatch", "InputPlan", "hold_limit", "plan_inputs", "usable_batches"]

EVENT_INDEX = "event_index"
"""Column of an output with the position of each event in the whole input, from 0: all files, one after the other."""

UNIT_EVENTS = 131_072
BATCH_EVENTS = 16_384


@final
@dataclass(frozen=True)
class InputPlan:
    """The units of work of all input files, and what is known of the files before any work.

    Attributes:
        units: Units, file by file.
        first_event: Position of each file's first event in the whole input, by file name.
        inputs: The files.
        entries: Rows of all files.
    """

    units: tuple[Unit, ...]
    first_event: dict[str, int]
    inputs: UsableFiles
    entries: int

    def sampled_schema(self, features: Features) -> Schema:
        """Return the columns of what is sampled for the events of the files.

        Raises:
            DataError: If the files differ in them.
        """
        schemas = {path: features.output_schema(file.columns) for path, file in self.inputs.files.items()}
        first = self.inputs.paths[0]
        other = next((path for path, schema in schemas.items() if schema != schemas[first]), None)
        if other is not None:
            raise DataError(f"{other}: has other columns or types than {first}; sample the two separately.")
        return schemas[first]


@final
@dataclass(frozen=True)
class InputBatch:
    """Some rows of a unit.

    Attributes:
        number: Place of the batch in its unit, from 0.
        table: Its usable rows; those that were not selected are among them, whatever they hold.
        rows: Their positions in the file, shape ``(rows,)``.
        counts: Rows ``read`` and ``skipped``; none in further draws and members of the same rows.
    """

    number: int
    table: Table
    rows: NDArray[np.int64]
    counts: dict[str, int]


def plan_inputs(
    files: Sequence[Path],
    features: Features,
    *,
    tree: str | None,
    rename: Mapping[str, str],
    skip_bad_files: bool,
    draws: int = 1,
    members: int = 1,
    unit_events: int = UNIT_EVENTS,
    further: tuple[str, ...] = (),
) -> InputPlan:
    """Open every file and cut all of them into units.

    Args:
        files: The files.
        features: The meaning of their columns; those that sampling needs must be there.
        tree: Name of the tree.
        rename: Branch in the files by column name.
        skip_bad_files: Leave out files that cannot be used.
        draws: Units for each range that differ by their random numbers.
        members: Units for each range that differ by their model.
        unit_events: Rows a unit.
        further: Columns that are wanted besides.

    Raises:
        DataError: If a file cannot be used, or is a copy of another.
    """
    columns = (*features.columns_to_sample, *further)
    inputs = usable_files(files, features, columns, tree=tree, rename=rename, skip_bad=skip_bad_files)
    units: list[Unit] = []
    first_event: dict[str, int] = {}
    entries = 0
    for path, file in inputs.files.items():
        first_event[str(path)] = entries
        entries += file.entries
        units += plan_units(
            f"{file.sha256} {tree or ''}",
            file.entries,
            unit_events,
            draws,
            source=str(path),
            first_index=len(units),
            members=members,
        )
    distinct_contents({path: file.sha256 for path, file in inputs.files.items()})
    return InputPlan(tuple(units), first_event, inputs, entries)


def usable_batches(
    unit: Unit,
    features: Features,
    *,
    tree: str | None,
    rename: Mapping[str, str],
    skip_bad: int,
    batch_events: int = BATCH_EVENTS,
    further: tuple[str, ...] = (),
) -> Iterator[InputBatch]:
    """Read a unit's range batch by batch, without the rows that cannot be used; arguments as in ``plan_inputs``.

    Raises:
        DataError: If the file cannot be read, or more rows are bad than may be left out.
    """
    policy = BadRowPolicy(skip_bad)
    with open_reader(Path(unit.source), tree, rename, features.data.layout) as reader:
        row = unit.start
        wanted = (*features.columns_to_sample, *further)
        columns = features.readable(wanted, reader.columns(), unit.source)
        for number, table in enumerate(reader.iterate(columns, batch_events, unit.start, unit.stop)):
            rows = np.arange(row, row + len(table))
            row += len(table)
            good = _usable(features, table, rows, unit.source, policy)
            # An event is read once for each draw and member, but it is one event.
            first = unit.draw == unit.member == 0
            counts = {"read": len(table), "skipped": int((~good).sum())} if first else {}
            yield InputBatch(number, table.take(good), rows[good], counts)


def _usable(
    features: Features, table: Table, rows: NDArray[np.int64], where: str, policy: BadRowPolicy
) -> NDArray[np.bool_]:
    """Tell which rows can be used; what was not selected is not looked at, as in training."""
    flagged = features.data.selection in table
    selected = features.selected(table) if flagged else np.ones(len(table), dtype=np.bool_)
    good = ~selected
    chosen, numbers = table.take(selected), rows[selected]
    bad = check_table(chosen, features.input_schema, where, rows=numbers)
    good[selected] = policy.keep(bad | unlike_lists(chosen, features, where, numbers))
    return good


def hold_limit(counts: Mapping[str, int], skip_bad: int, output: Path) -> None:
    """Hold the limit on bad rows over all units; each unit alone only knows its own.

    Raises:
        DataError: If more rows were left out than may be.
    """
    if counts.get("skipped", 0) > skip_bad:
        raise DataError(
            f"{output}: {counts['skipped']} rows of the input cannot be used and --skip-bad allows "
            f"{skip_bad}; mend them or allow more."
        )
