"""Beam background of the pixel detector as a production task: knobs by event, hits as lists, many units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.detectors.pxd.columns import BASF2_COLUMNS, CONDITION_COLUMNS, HIT_COLUMNS, hit_lists
from castalia.detectors.pxd.conditions import KNOBS, BeamConditions, check_knob
from castalia.detectors.pxd.events import background_events
from castalia.errors import ConfigError
from castalia.processes.points import Choice
from castalia.production.generation import estimate, generate_file, settings_units
from castalia.production.units import Produced, Task, Unit
from castalia.rng import Stream

__all__ = ["PxdRequest", "PxdTask", "generate_pxd"]

# A unit is some seconds of work and 35 MB of hits: long against the start of a worker, small against its memory.
_UNIT_EVENTS: Final = 100
# Events simulated at once: more do not fit the processor's cache. Random numbers are drawn for as many.
_BATCH_EVENTS: Final = 2

_IDENTIFIERS: Final = tuple(
    ColumnSpec(name=name, dtype="int64", role="identifier") for name in ("run", "luminosityBlock", "event")
)


@dataclass(frozen=True)
class PxdRequest:
    """What ``castalia generate pxd`` was asked for; see its ``--help`` for each field.

    Attributes:
        knobs: Per knob of ``castalia.detectors.pxd.conditions`` a value, or an interval ``(low, high)`` from which each
            event draws its own; the others are at the reference.
    """

    events: int
    output: Path
    knobs: Mapping[str, Choice] = field(default_factory=dict)
    seed: int = 1
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class PxdTask(Task):
    """Makes the events of one unit.

    Attributes:
        knobs: A choice for every knob.
        seed: Seed of the run.
        basf2: Whether the lists are in basf2's terms.
    """

    knobs: Mapping[str, Choice]
    seed: int
    basf2: bool

    @property
    def schema(self) -> Schema:
        """Columns of the file: the event, what was set, the hits."""
        return Schema(columns=(*_IDENTIFIERS, *CONDITION_COLUMNS, *(BASF2_COLUMNS if self.basf2 else HIT_COLUMNS)))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything the events depend on, as JSON values."""
        knobs = {name: list(one) if isinstance(one, tuple) else one for name, one in self.knobs.items()}
        return {"knobs": knobs, "seed": self.seed, "unit_events": _UNIT_EVENTS, "batch_events": _BATCH_EVENTS}

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the unit's events; ``luminosityBlock`` counts units and ``event`` the events of the file, from 1."""
        drawn = self._drawn(unit)
        stream = Stream(self.seed, "pixel background", str(unit.index))
        for batch, start in enumerate(range(0, unit.entries, _BATCH_EVENTS)):
            chosen = slice(start, start + _BATCH_EVENTS)
            values = {name: one[chosen] for name, one in drawn.items()}
            made = background_events(BeamConditions(**values), stream.at(batch))
            number = unit.start + start + np.arange(_BATCH_EVENTS)
            columns = {
                "run": np.ones_like(number),
                "luminosityBlock": np.full_like(number, 1 + unit.index),
                "event": number + 1,
                **values,
                "common_factor": made.common_factor,
                **hit_lists(made.hits, basf2=self.basf2),
            }
            # A batch is always whole, so that a longer file begins like a shorter one.
            table = Table(columns).slice(0, unit.entries - start)
            yield Produced(table, {"generated": len(table), "hits": int(np.sum(made.hits.event < len(table)))})

    def _drawn(self, unit: Unit) -> dict[str, NDArray[np.float64]]:
        """Draw the knobs of every event that a whole unit has."""
        rng = Stream(self.seed, "pixel background knobs", str(unit.index)).at()
        return {
            name: rng.uniform(*one, _UNIT_EVENTS) if isinstance(one, tuple) else np.full(_UNIT_EVENTS, float(one))
            for name, one in self.knobs.items()
        }


def generate_pxd(
    request: PxdRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Generate a file of beam background with its sidecar; in basf2's terms where its name ends in ``.root``.

    The same events come out for any number of workers, and the first events of a longer file are those of a shorter.

    Returns:
        Summary with the output's name, counts of events and hits, hash and seconds; for a dry run, the seconds and
        bytes to expect.

    Raises:
        ConfigError: If a knob is unknown or out of range, there are no events, or the output exists.
        MachineError: If a worker is lost three times or the disk is full.
        StoppedError: If SIGTERM arrived.
    """
    task = PxdTask(_checked(request.knobs), request.seed, basf2=request.output.suffix == ".root")
    units = settings_units(task.settings, request.events, _UNIT_EVENTS)
    if request.dry_run:
        return estimate(task, request.events, _UNIT_EVENTS, _UNIT_EVENTS, request.workers, sizes=(2, 20))
    return generate_file(
        task,
        units,
        request.output,
        command="generate pxd",
        settings=task.settings,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        progress=progress,
    )


def _checked(knobs: Mapping[str, Choice]) -> dict[str, Choice]:
    """Return a choice for every knob."""
    for name, choice in knobs.items():
        limits = choice if isinstance(choice, tuple) else (choice,)
        for value in limits:
            check_knob(name, value)
        if limits[0] > limits[-1]:
            raise ConfigError(f"{name} = {limits[0]:g}:{limits[-1]:g} is empty; write the lower value first.")
    return {**KNOBS, **knobs}
