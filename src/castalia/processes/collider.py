"""Truth events of a collider process: Pythia's records, hadronised, reduced to the truth-particles table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import EventRecords, particle_columns
from castalia.data.table import Table
from castalia.errors import ConfigError
from castalia.processes.decay_filter import one_leptonic_w
from castalia.processes.hard import TUNES, HardProcess, find_hard_process
from castalia.processes.points import check_choices, draw_point, is_scattered
from castalia.processes.pythia import MAX_SEED, make_pythia, pythia_batches
from castalia.rng import Stream

__all__ = ["POINT_EVENTS", "collider_blocks", "collider_truth"]

POINT_EVENTS: Final = 500
"""Events made at one point of scattered parameters: a new point starts Pythia anew, which costs as much as 250."""

# Some 400 particles of 45 bytes are kept of an event, and 700 of 150 bytes pass through the memory.
_BATCH = 100
_OUTGOING = 23


def collider_truth(
    process: str | HardProcess,
    events: int,
    seed: int,
    unit: int,
    mpi: bool = False,
    parameters: Mapping[str, float | tuple[float, float]] | None = None,
    tune: str = "monash",
    point_events: int = POINT_EVENTS,
) -> Table:
    """Make the truth of one unit of work in one table; see ``collider_blocks``, which takes less memory.

    Raises:
        ConfigError: As ``collider_blocks``, and if ``events`` is below 1.
        MachineError: As ``collider_blocks``.
    """
    if events < 1:
        raise ConfigError(f"The number of events must be 1 or more, not {events}.")
    return Table.concatenate(list(collider_blocks(process, events, seed, unit, mpi, parameters, tune, point_events)))


def collider_blocks(
    process: str | HardProcess,
    events: int,
    seed: int,
    unit: int,
    mpi: bool = False,
    parameters: Mapping[str, float | tuple[float, float]] | None = None,
    tune: str = "monash",
    point_events: int = POINT_EVENTS,
) -> Iterator[Table]:
    """Make the truth of one unit of work, a block of at most 100 events at a time.

    The result is a function of the arguments and of nothing else, and the first events of a longer unit are those of a
    shorter one.

    Args:
        process: Name of a process of ``castalia.processes.hard``, or one of your own.
        events: How many events to make, at least 0.
        seed: Seed of the run.
        unit: Number of the unit of work in the run.
        mpi: Whether to add the collision's other parton interactions, which take most of the time where they are on.
        parameters: Per parameter of the process a value, or an interval ``(low, high)`` from which a new one is drawn
            every ``point_events`` events; the defaults where nothing is given.
        tune: ``"monash"`` or ``"a14"``.
        point_events: Events at one drawn point, at least 1; without intervals all events are of one point.

    Yields:
        Tables with the columns of ``castalia.data.particles`` and, flat: ``run`` (1), ``luminosityBlock`` (1 + unit),
        ``event`` (from 1 in each unit), ``weight`` (Pythia's), ``process`` (the catalogue's code) and ``theta_NAME``
        for every parameter.

    Raises:
        ConfigError: If the process, a parameter or the tune is unknown or out of range, or Pythia is missing.
        MachineError: If Pythia does not initialise or fails on end.

    References:
        Bierlich et al., A comprehensive guide to the physics and usage of PYTHIA 8.3, arXiv:2203.11601.
    """
    known = find_hard_process(process) if isinstance(process, str) else process
    choices = check_choices(known, parameters or {})
    if tune not in TUNES:
        raise ConfigError(f"There is no tune {tune!r}; choose one of {', '.join(TUNES)}.")
    per_point = point_events if is_scattered(choices) else max(events, 1)
    if point_events < 1:
        raise ConfigError(f"The number of events at a point must be 1 or more, not {point_events}.")
    seeds, points = _streams(seed, known.name, unit)
    # Held here until the last event, as Pythia itself does not keep it alive.
    hook = one_leptonic_w() if known.one_leptonic_w else None
    for number, first in enumerate(range(0, events, per_point)):
        point = draw_point(known, choices, points.at(number))
        settings = (*TUNES[tune], *_settings(known, point), f"PartonLevel:MPI = {'on' if mpi else 'off'}")
        pythia = make_pythia(settings, 1 + seeds.integer(MAX_SEED, number), hook)
        made = first
        for batch in pythia_batches(pythia, min(per_point, events - first), _BATCH):
            rows = np.arange(made, made + len(batch), dtype=np.int64)
            yield Table({**_event_columns(known, point, unit, rows, batch), **particle_columns(_records(batch))})
            made += len(batch)


def _streams(seed: int, process: str, unit: int) -> tuple[Stream, Stream]:
    return Stream(seed, f"truth {process}", str(unit)), Stream(seed, f"parameters {process}", str(unit))


def _settings(process: HardProcess, point: Mapping[str, float]) -> list[str]:
    # repr gives every digit, so that the mass that Pythia uses is the one in the column.
    chosen = [line.format(repr(point[one.name])) for one in process.parameters for line in one.lines]
    return [*process.settings, *chosen]


def _event_columns(
    process: HardProcess, point: Mapping[str, float], unit: int, rows: NDArray[np.int64], batch: Any
) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {
        "run": np.ones(len(rows), dtype=np.int64),
        "luminosityBlock": np.full(len(rows), 1 + unit, dtype=np.int64),
        "event": rows + 1,
        "weight": np.asarray(ak.to_numpy(batch.info.weights[:, 0]), dtype=np.float64),
        "process": np.full(len(rows), process.code, dtype=np.int32),
    }
    return {**columns, **{f"theta_{name}": np.full(len(rows), value) for name, value in point.items()}}


def _records(batch: Any) -> EventRecords:
    """Take out of Pythia's array what the truth-particles table needs."""
    entries = batch.prt
    counts = np.asarray(ak.to_numpy(ak.num(entries, axis=1)), dtype=np.int64)
    flat = ak.flatten(entries, axis=1)
    status, first, second = (np.asarray(ak.to_numpy(flat[name])) for name in ("status", "mother1", "mother2"))
    # Pythia's manual, "Particle Properties": a decay product or a radiated parton has mother2 = 0, a copy has
    # mother2 = mother1, a parton of two joined ones has its flavour's source first; only where mother1 < mother2 are
    # there several mothers on one footing. Entry 0 stands for the whole event.
    only = (first > 0) & (second <= first)
    return EventRecords(
        counts=counts,
        pdg=np.asarray(ak.to_numpy(flat["id"]), dtype=np.int64),
        stable=status > 0,
        hard=np.abs(status) == _OUTGOING,
        mother=np.where(only, first, -1).astype(np.int64),
        momentum=np.stack([np.asarray(ak.to_numpy(flat["p"][name])) for name in ("px", "py", "pz", "e")], axis=-1),
        mass=np.asarray(ak.to_numpy(flat["m"]), dtype=np.float64),
    )
