"""Tasks for the tests of production: quick, checkable, and able to die or fail on command."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table, jagged
from castalia.errors import DataError
from castalia.production.pool import ProducedFile, produce
from castalia.production.units import Produced, Task, Unit, plan_units
from castalia.rng import Stream

BATCH = 64
SCHEMA = Schema(
    columns=(
        ColumnSpec(name="event", dtype="int64", role="identifier"),
        ColumnSpec(name="x", unit="GeV"),
        ColumnSpec(name="pair", dtype="float32", shape=2),
        ColumnSpec(name="list", shape="jagged"),
    )
)


@dataclass(frozen=True)
class CountingTask(Task):
    """Random rows, a function of (seed, unit, batch)."""

    seed: int = 1
    pause: float = 0.0
    fail_in: frozenset[int] = frozenset()
    empty_in: frozenset[int] = frozenset()
    die_in: Mapping[int, str] = field(default_factory=dict)  # unit: marker file (dies once) or "" (always dies)

    @property
    def schema(self) -> Schema:
        return SCHEMA

    def run(self, unit: Unit) -> Iterator[Produced]:
        self._suffer(unit)
        stream = Stream(self.seed, "counting", unit.key)
        for batch, start in enumerate(range(unit.start, unit.stop, BATCH)):
            rows = np.arange(start, min(start + BATCH, unit.stop))
            rng = stream.at(batch)
            lengths = rng.integers(0, 4, len(rows))
            table = Table(
                {
                    "event": rows + 1,
                    "x": rng.normal(size=len(rows)),
                    "pair": rng.normal(size=(len(rows), 2)).astype(np.float32),
                    "list": jagged(lengths, rng.normal(size=int(lengths.sum()))),
                }
            )
            time.sleep(self.pause)
            yield Produced(Table({}) if unit.index in self.empty_in else table, {"read": len(rows), "odd": 1})

    def _suffer(self, unit: Unit) -> None:
        if unit.index in self.fail_in:
            raise DataError(f"input.root: row {unit.start} is bad")
        if unit.index in self.die_in:
            marker = self.die_in[unit.index]
            if not marker or not Path(marker).exists():
                if marker:
                    Path(marker).touch()
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class WorkerTask(Task):
    """A wrong task: its rows depend on the process that runs it."""

    @property
    def schema(self) -> Schema:
        return Schema(columns=(ColumnSpec(name="process", dtype="int64"),))

    def run(self, unit: Unit) -> Iterator[Table]:
        yield Table({"process": np.full(unit.entries, os.getpid())})


_KEPT: list[Table] = []


@dataclass(frozen=True)
class WideTask(Task):
    """Many rows in constant memory, or (``leak``) a wrong task that keeps them all."""

    leak: bool = False

    @property
    def schema(self) -> Schema:
        return Schema(columns=tuple(ColumnSpec(name=f"x{i}") for i in range(8)))

    def run(self, unit: Unit) -> Iterator[Table]:
        values = Stream(1, "wide", unit.key).at().normal(size=(unit.entries, 8))
        table = Table({f"x{i}": values[:, i].copy() for i in range(8)})
        if self.leak:
            _KEPT.append(table)
        yield table


def make(
    output: Path, task: Task | None = None, entries: int = 1000, unit_size: int = 150, **options: Any
) -> ProducedFile:
    """Call ``produce`` with what most tests have in common."""
    settings: dict[str, Any] = {"workers": 1, "resume": False, "overwrite": False, "provenance": {"seed": 1}}
    units = plan_units("settings", entries, unit_size)
    return produce(task or CountingTask(), units, output, **{**settings, **options})
