"""Events of other programs (HepMC3, LHE) through the parametric detector, as a production task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from castalia.data.readers.particles import read_particles
from castalia.data.schema import Schema
from castalia.data.sidecar import input_sha256
from castalia.data.table import Table
from castalia.detectors.parametric.card import Card, load_card
from castalia.errors import ConfigError
from castalia.production.collider import (
    BLOCK_EVENTS,
    EVENT_COLUMNS,
    RECONSTRUCTION_COLUMNS,
    detector_settings,
    reconstructed,
)
from castalia.production.generation import generate_file, row_bytes
from castalia.production.units import Produced, Task, Unit, plan_units

__all__ = ["DetectorRequest", "DetectorTask", "detect"]


@dataclass(frozen=True)
class DetectorRequest:
    """What ``castalia generate detector`` was asked for; see its ``--help`` for each field."""

    inputs: tuple[Path, ...]
    output: Path
    card: str | Path = "cms-like"
    seed: int = 1
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class DetectorTask(Task):
    """Reads one file of events, which is one unit as text cannot be entered in the middle, and reconstructs them."""

    card: Card
    seed: int

    @property
    def schema(self) -> Schema:
        """Columns of the file: the event, what was reconstructed, the truth, what is formed of both."""
        return Schema(columns=(*EVENT_COLUMNS, *RECONSTRUCTION_COLUMNS))

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the file's events; ``luminosityBlock`` counts the files from 1 and ``event`` the events in each."""
        truth = (
            table.with_columns({"luminosityBlock": np.full(len(table), 1 + unit.index, dtype=np.int64)})
            for table in read_particles(Path(unit.source), BLOCK_EVENTS)
        )
        yield from reconstructed(truth, self.card, self.seed, unit.noise_key)


def detect(
    request: DetectorRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Reconstruct the events of generator files into one file with its sidecar; no event is dropped.

    Returns:
        Summary with the output's name, counts of events, hash and seconds; for a dry run, the seconds and bytes of an
        event, from the first block of every file.

    Raises:
        ConfigError: If there is no input, one is named twice, the card cannot be, the output exists, or a library is
            missing.
        DataError: If an input is missing, malformed or cut short.
        MachineError: If a worker is lost three times or the disk is full.
        StoppedError: If SIGTERM arrived.
    """
    if not request.inputs:
        raise ConfigError("There is no file to read; name one or more with --input.")
    for number, path in enumerate(request.inputs):
        if path in request.inputs[:number]:
            raise ConfigError(f"{path}: is named twice as input; name every file once.")
    task = DetectorTask(load_card(request.card), request.seed)
    if request.dry_run:
        return _try_out(task, request)
    hashes = [input_sha256(path) for path in request.inputs]
    units = tuple(
        unit
        for number, (path, digest) in enumerate(zip(request.inputs, hashes, strict=True))
        for unit in plan_units(digest, 1, 1, source=str(path), first_index=number)
    )
    return generate_file(
        task,
        units,
        request.output,
        command="generate detector",
        settings={
            "inputs": [
                {"file": path.name, "sha256": digest} for path, digest in zip(request.inputs, hashes, strict=True)
            ],
            "seed": request.seed,
            **detector_settings(task.card),
        },
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        progress=progress,
    )


def _try_out(task: DetectorTask, request: DetectorRequest) -> dict[str, Any]:
    """Reconstruct the first block of every file; how many events follow, only reading them all would tell."""
    started = time.monotonic()
    tables: list[Table] = []
    for path in request.inputs:
        unit = Unit(index=0, key="dry run", source=str(path), start=0, stop=1)
        tables.extend(piece.table for piece in islice(task.run(unit), 1))
    events = sum(map(len, tables))
    return {
        "dry_run": True,
        "files": len(request.inputs),
        "events_tried": events,
        "seconds_per_event": round((time.monotonic() - started) / events, 5),
        "bytes_per_event": round(row_bytes(tables)),
    }
