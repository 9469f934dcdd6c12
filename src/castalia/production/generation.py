"""What every ``castalia generate`` command does with its task: plan units by its settings, estimate, write one file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from castalia import __version__
from castalia.data.sidecar import Truth
from castalia.data.table import Table
from castalia.production.pool import produce
from castalia.production.units import Produced, Task, Unit, plan_units

__all__ = ["estimate", "generate_file", "row_bytes", "settings_units"]


def settings_units(settings: Mapping[str, JsonValue], events: int, unit_events: int) -> tuple[Unit, ...]:
    """Cut a number of events into units that are called after the settings that decide the events.

    Args:
        settings: Everything the events depend on, seed included.
        events: Events in all.
        unit_events: Events a unit.

    Raises:
        ConfigError: If a number is below one.
    """
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return plan_units(key, events, unit_events)


def generate_file(
    task: Task,
    units: Sequence[Unit],
    output: Path,
    *,
    command: str,
    settings: Mapping[str, JsonValue],
    workers: int,
    resume: bool,
    overwrite: bool,
    truth: Truth | None = None,
    progress: Callable[[float, float, float | None], None] | None = None,
) -> dict[str, Any]:
    """Produce the file with its sidecar, in which version, command and settings are the provenance.

    Returns:
        Summary with the output's name, its events, the task's counts, the hash and the seconds.

    Raises:
        ConfigError: As ``castalia.production.pool.produce``.
        MachineError: As ``produce``.
        StoppedError: As ``produce``.
    """
    started = time.monotonic()
    produced = produce(
        task,
        units,
        output,
        workers=workers,
        resume=resume,
        overwrite=overwrite,
        provenance={"castalia": __version__, "command": command, **settings},
        truth=truth,
        progress=progress,
    )
    return {
        "output": str(output),
        "events": produced.entries,
        **produced.counts,
        "sha256": produced.sha256,
        "seconds": round(time.monotonic() - started, 2),
    }


def estimate(
    task: Task, events: int, unit_events: int, start_events: int, workers: int, *, sizes: tuple[int, int] = (50, 500)
) -> dict[str, Any]:
    """Time two batches of different size, so that the cost of a start and that of an event come apart.

    Args:
        task: What makes the events.
        events: Events in all.
        unit_events: Events a unit.
        start_events: Events after which the task starts anew, as its process does for each unit or each point.
        workers: Number of processes.
        sizes: Events of the two batches.

    Returns:
        Units, seconds and bytes before compression, as a dry run shows them.
    """
    # The first is not counted: it loads what the process needs, once.
    small, large = sizes
    seconds, size = [], 0.0
    for number in (small, small, large):
        started = time.monotonic()
        unit = Unit(index=0, key="dry run", source="", start=0, stop=number)
        tables = [piece.table if isinstance(piece, Produced) else piece for piece in task.run(unit)]
        seconds.append(time.monotonic() - started)
        size = row_bytes(tables)
    # Where a busy machine made the small one as slow as the large one, the large one's mean is what is known.
    per_event = (seconds[2] - seconds[1]) / (large - small) if seconds[2] > seconds[1] else seconds[2] / large
    start = max(seconds[1] - small * per_event, 0.0)
    return {
        "dry_run": True,
        "events": events,
        "units": -(-events // unit_events),
        "estimated_seconds": round((events * per_event + -(-events // start_events) * start) / workers, 1),
        "estimated_bytes": round(events * size),
    }


def row_bytes(tables: Sequence[Table]) -> float:
    """Return the mean memory of a row, in bytes; 0 without rows."""
    rows = sum(map(len, tables))
    return sum(int(table[name].nbytes) for table in tables for name in table.names) / rows if rows else 0.0
