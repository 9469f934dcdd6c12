"""Units of work: what is computed independently, on whatever process, with the same result."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import final

from castalia.data.schema import Schema
from castalia.data.table import Table
from castalia.errors import ConfigError

__all__ = ["Produced", "Task", "Unit", "plan_units"]


@final
@dataclass(frozen=True)
class Unit:
    """A range of entries of one source, for one draw of one member of an ensemble.

    Attributes:
        index: Place of the unit's rows in the output, counted from 0 without gaps.
        key: Hexadecimal digest of the source's content (or of the settings, where events are generated), of the
            range, of the draw and of the member; equal keys mean equal work.
        source: Path of the input file, empty where there is none.
        start: First entry.
        stop: Entry after the last.
        draw: Which of several draws per entry, counted from 0.
        member: Which member of an ensemble of models, counted from 0.
        noise_key: The same as ``key`` without the member: random numbers are called after it, so that members differ by
            their models and not by their dice.
    """

    index: int
    key: str
    source: str
    start: int
    stop: int
    draw: int = 0
    member: int = 0
    noise_key: str = ""

    @property
    def entries(self) -> int:
        """Number of entries in the range."""
        return self.stop - self.start


@final
@dataclass(frozen=True)
class Produced:
    """Rows with what was counted while they were made.

    Attributes:
        table: The rows; a table without rows need not have the columns of the output.
        counts: Numbers to add up over the whole output, such as ``{"read": 512, "flagged": 3}``.
    """

    table: Table
    counts: Mapping[str, int] = field(default_factory=dict)


class Task(ABC):
    """What is done with each unit; an instance is sent to every worker, so it must survive being sent.

    ``run`` must depend on the unit and on what the provenance names only: not on other units, on the worker, or on
    the clock. It cuts its unit into batches of a fixed size and takes its random numbers from a
    ``castalia.rng.Stream`` of the unit. A task that uses torch imports it in its own module, so that its threads can
    be limited.
    """

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """Columns of the tables that ``run`` yields, in the order of the output."""

    @abstractmethod
    def run(self, unit: Unit) -> Iterator[Table | Produced]:
        """Yield the rows of ``unit`` in order, as tables or with counts.

        Args:
            unit: The unit to work on.
        """


def plan_units(
    source_key: str,
    entries: int,
    unit_size: int,
    draws: int = 1,
    source: str = "",
    first_index: int = 0,
    members: int = 1,
) -> tuple[Unit, ...]:
    """Cut a source into units: range by range, within a range draw by draw, and within a draw member by member.

    Args:
        source_key: Digest of the input's content, or of the settings where there is no input.
        entries: Number of entries of the source.
        unit_size: Entries a unit; the last has what is left.
        draws: Draws per entry.
        source: Path of the input file.
        first_index: Index of the first unit, to continue after the units of another source.
        members: Members of an ensemble.

    Raises:
        ConfigError: If one of the numbers is below one.
    """
    for name, number in (("entries", entries), ("unit size", unit_size), ("draws", draws), ("members", members)):
        if number < 1:
            raise ConfigError(f"The number of {name} is {number}{f' for {source}' if source else ''}; give at least 1.")
    ranges = [(start, min(start + unit_size, entries)) for start in range(0, entries, unit_size)]
    places = [(*limits, draw, member) for limits in ranges for draw in range(draws) for member in range(members)]
    units = []
    for number, (start, stop, draw, member) in enumerate(places):
        noise_key = _digest(source_key, start, stop, draw)
        key = _digest(source_key, start, stop, draw, member) if member else noise_key
        units.append(Unit(first_index + number, key, source, start, stop, draw, member, noise_key))
    return tuple(units)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
