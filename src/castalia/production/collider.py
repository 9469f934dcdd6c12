"""Collider events as a production task: truth from a process or from a file, a detector by its card, observables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Regrouper, Table
from castalia.detectors.ancestry import ANCESTRY_COLUMNS, ancestry_columns
from castalia.detectors.observables import SEMILEPTONIC_COLUMNS, semileptonic_columns
from castalia.detectors.parametric.card import Card, load_card
from castalia.detectors.parametric.columns import RECONSTRUCTED_COLUMNS
from castalia.detectors.parametric.reconstruct import reconstruct
from castalia.detectors.truth_leaves import TRUTH_LEAF_COLUMNS, particle_level_columns, parton_columns
from castalia.errors import ConfigError
from castalia.processes.collider import POINT_EVENTS, collider_blocks
from castalia.processes.hard import TUNES, HardProcess, find_hard_process
from castalia.processes.points import Choice, check_choices, is_scattered
from castalia.production.generation import estimate, generate_file, settings_units
from castalia.production.units import Produced, Task, Unit

__all__ = [
    "BLOCK_EVENTS",
    "EVENT_COLUMNS",
    "RECONSTRUCTION_COLUMNS",
    "ColliderRequest",
    "ColliderTask",
    "detector_settings",
    "generate_collider",
    "reconstructed",
]

BLOCK_EVENTS: Final = 500
"""Events that the detector sees at a time; random numbers are drawn block by block, so this decides the events."""

# A unit is some ten seconds of work: long against the start of Pythia, short against the whole job.
_UNIT_EVENTS: Final = 4_000

EVENT_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    *(ColumnSpec(name=name, dtype="int64", role="identifier") for name in ("run", "luminosityBlock", "event")),
    ColumnSpec(name="weight", role="weight"),
    ColumnSpec(name="process", dtype="int32"),
)
"""What every event has, whatever made it."""

RECONSTRUCTION_COLUMNS: Final = (
    *RECONSTRUCTED_COLUMNS,
    *SEMILEPTONIC_COLUMNS,
    *TRUTH_LEAF_COLUMNS,
    *ANCESTRY_COLUMNS,
)
"""What ``reconstructed`` adds to it: what is seen, the truth, observables, decay products of top quarks, ancestors."""


@dataclass(frozen=True)
class ColliderRequest:
    """What ``castalia generate PROCESS`` was asked for; see its ``--help`` for each field.

    Attributes:
        process: Name of a process of ``castalia.processes.hard``, or one of your own.
        parameters: Per parameter of the process a value or an interval ``(low, high)``.
        card: Name of a shipped detector card, or a TOML file.
    """

    process: str | HardProcess
    events: int
    output: Path
    parameters: Mapping[str, Choice] = field(default_factory=dict)
    card: str | Path = "cms-like"
    mpi: bool = False
    tune: str = "monash"
    point_events: int = POINT_EVENTS
    seed: int = 1
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class ColliderTask(Task):
    """Makes the events of one unit: Pythia's truth, the detector's view of it, the observables."""

    process: HardProcess
    parameters: Mapping[str, Choice]
    card: Card
    mpi: bool
    tune: str
    point_events: int
    seed: int

    @property
    def schema(self) -> Schema:
        """Columns of the file: the event, its point, what was reconstructed, the truth, what is formed of both."""
        theta = (ColumnSpec(name=f"theta_{one.name}", role="parameter") for one in self.process.parameters)
        return Schema(columns=(*EVENT_COLUMNS, *theta, *RECONSTRUCTION_COLUMNS))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the events depend on, as JSON values."""
        return {
            "process": self.process.name,
            # As JSON has it: lists for tuples.
            "definition": json.loads(json.dumps(asdict(self.process))),
            "parameters": {
                name: list(value) if isinstance(value, tuple) else value for name, value in self.parameters.items()
            },
            "tune": {"name": self.tune, "settings": list(TUNES[self.tune])},
            "mpi": self.mpi,
            "point_events": self.point_events,
            "seed": self.seed,
            "unit_events": _UNIT_EVENTS,
            **detector_settings(self.card),
        }

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the unit's events; ``luminosityBlock`` counts the units and ``event`` the events in each, from 1."""
        truth = collider_blocks(
            self.process,
            unit.entries,
            self.seed,
            unit.index,
            self.mpi,
            self.parameters,
            self.tune,
            self.point_events,
        )
        yield from reconstructed(truth, self.card, self.seed, f"{self.process.name} {unit.index}")


def generate_collider(
    request: ColliderRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Generate a file of collider events with its sidecar; every event made is in it, selected or not.

    The same events come out for any number of workers, and the first events of a longer file are those of a shorter.

    Returns:
        Summary with the output's name, counts of events (``selected`` by the card, ``semileptonic``), hash and seconds;
        for a dry run, the seconds and bytes to expect.

    Raises:
        ConfigError: If the process, a parameter, the tune or the card cannot be, the output exists, or Pythia or
            fastjet is not installed.
        MachineError: If Pythia fails, a worker is lost three times or the disk is full.
        StoppedError: If SIGTERM arrived.
    """
    task = _task(request)
    if request.dry_run:
        start = min(request.point_events if is_scattered(task.parameters) else _UNIT_EVENTS, _UNIT_EVENTS)
        return estimate(task, request.events, _UNIT_EVENTS, start, request.workers)
    return generate_file(
        task,
        settings_units(task.settings, request.events, _UNIT_EVENTS),
        request.output,
        command=f"generate {task.process.name}",
        settings=task.settings,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        progress=progress,
    )


def detector_settings(card: Card) -> dict[str, Any]:
    """Return what a sidecar says about the detector: the whole card, the hash of its text, the events of a block."""
    digest = hashlib.sha256(card.to_toml().encode()).hexdigest()
    whole = card.model_dump(mode="json", exclude_none=True)
    return {"card": whole, "card_sha256": digest, "block_events": BLOCK_EVENTS}


def reconstructed(truth: Iterable[Table], card: Card, seed: int, unit: str) -> Iterator[Produced]:
    """Yield what the detector makes of truth events, with what is formed of it, in blocks of ``BLOCK_EVENTS``.

    Args:
        truth: Tables of truth events, of any length: which events share a block depends on their order only.
        card: The detector.
        seed: Seed of the run.
        unit: Name of the unit of work.
    """
    for number, block in enumerate(_blocks(truth)):
        events = reconstruct(block, card, seed, f"{unit} {number}")
        events = events.with_columns(
            {
                **semileptonic_columns(events),
                **parton_columns(events),
                **particle_level_columns(events),
                **ancestry_columns(events),
            }
        )
        passed = {name: int(events[name].sum()) for name in ("selected", "semileptonic")}
        yield Produced(events, {"generated": len(events), **passed})


def _blocks(tables: Iterable[Table]) -> Iterator[Table]:
    regrouper = Regrouper(BLOCK_EVENTS)
    for table in tables:
        yield from regrouper.push(table)
    rest = regrouper.rest()
    if rest is not None:
        yield rest


def _task(request: ColliderRequest) -> ColliderTask:
    process = find_hard_process(request.process) if isinstance(request.process, str) else request.process
    if request.tune not in TUNES:
        raise ConfigError(f"There is no tune {request.tune!r}; choose one of {', '.join(TUNES)}.")
    return ColliderTask(
        process,
        check_choices(process, request.parameters),
        load_card(request.card),
        request.mpi,
        request.tune,
        request.point_events,
        request.seed,
    )
