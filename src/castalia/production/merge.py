"""Parts to one file: in the order of the units, each exactly once, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from castalia.data.readers import open_reader
from castalia.data.schema import Schema
from castalia.data.writers import Writer, WrittenFile, open_writer
from castalia.errors import MachineError
from castalia.production.parts import Parts
from castalia.production.units import Unit

__all__ = ["Merged", "merge"]

_CHUNK = 65_536


@final
@dataclass(frozen=True)
class Merged:
    """What went into the file.

    Attributes:
        written: Hashes, size and number of rows.
        counts: The tasks' counts, added up.
    """

    written: WrittenFile
    counts: dict[str, int]


def merge(
    finished: Iterable[Unit],
    units: Sequence[Unit],
    parts: Parts,
    output: Path,
    schema: Schema,
    *,
    tree: str,
    accept: Callable[[Mapping[str, int]], None] | None,
    check: Callable[[], None],
) -> Merged:
    """Write the parts of all units to ``output`` while further units are still being computed.

    Args:
        finished: Units in the order in which they are finished; it is read to its end.
        units: All units, in the order of the output.
        parts: Where their rows are.
        output: The file to write.
        schema: Its columns.
        tree: Name of the tree in a ROOT file.
        accept: Given all counts before the file is put in its place; raises to refuse it.
        check: Called between chunks; raises to stop.

    Raises:
        MachineError: If a unit is missing at the end, comes twice, or its rows do not add up.
    """
    ready: set[int] = set()
    rows: list[int] = []
    counts: Counter[str] = Counter()
    with open_writer(output, schema, tree) as writer:
        for unit in finished:
            if unit.index in ready:
                raise MachineError(f"{output}: unit {unit.index} was finished twice; this is a fault of Castalia.")
            ready.add(unit.index)
            while len(rows) < len(units) and units[len(rows)].index in ready:
                rows.append(_append(writer, units[len(rows)], parts, counts, check))
        if len(rows) != len(units):
            raise MachineError(f"{output}: {len(units) - len(rows)} units are missing; pass --resume to make them.")
        if accept is not None:
            accept(counts)
        parts.mark_merging()
    if writer.summary.entries != sum(rows):
        raise MachineError(f"{output}: has {writer.summary.entries} rows, but its parts have {sum(rows)}.")
    return Merged(writer.summary, dict(counts))


def _append(writer: Writer, unit: Unit, parts: Parts, counts: Counter[str], check: Callable[[], None]) -> int:
    """Copy the rows of one part and return how many they were."""
    sidecar, path = parts.sidecar(unit), parts.path(unit)
    if sidecar is None:
        raise MachineError(f"{path}: the part or its sidecar has disappeared; pass --resume to make it again.")
    counts.update(sidecar.counts)
    copied = 0
    if sidecar.file.entries:
        with open_reader(path) as reader:
            for table in reader.iterate(writer.schema.names, _CHUNK):
                check()
                writer.write(table)
                copied += len(table)
    if copied != sidecar.file.entries:
        raise MachineError(f"{path}: has {copied} rows instead of {sidecar.file.entries}; pass --resume to mend it.")
    return copied
