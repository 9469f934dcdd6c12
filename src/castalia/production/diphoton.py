"""Diphoton events as a production task: truth from a process, response from a detector model, many units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from castalia.data.schema import Schema
from castalia.data.sidecar import Truth
from castalia.detectors.diphoton import DIPHOTON_SCHEMA, apply_response
from castalia.detectors.photon_response import PhotonResponse
from castalia.errors import ConfigError
from castalia.processes.diphoton import diphoton_truth
from castalia.production.generation import estimate, generate_file, settings_units
from castalia.production.units import Produced, Task, Unit

__all__ = ["DiphotonRequest", "DiphotonTask", "generate_diphoton"]

# A unit starts Pythia anew (about a second), so it must be long against that and short against the whole job.
UNIT_EVENTS = {"ttH": 10_000, "ggH": 10_000, "toy": 100_000}
DEFAULT_RHO = {"correlated": 0.5}


@dataclass(frozen=True)
class DiphotonRequest:
    """What ``castalia generate diphoton`` was asked for; see its ``--help`` for each field."""

    process: str
    events: int
    output: Path
    scenario: str = "baseline"
    rho: float | None = None
    parametrisation: str = "repaired"
    mixture: str = "amplitude"
    seed: int = 1
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False

    def response(self) -> PhotonResponse:
        """Return the detector response asked for.

        Raises:
            ConfigError: If ``rho`` is given for a scenario whose photons are independent.
        """
        if self.rho and self.scenario != "correlated":
            raise ConfigError(
                f"--rho {self.rho}: the {self.scenario} scenario has independent photons; use correlated."
            )
        rho = DEFAULT_RHO.get(self.scenario, 0.0) if self.rho is None else self.rho
        return PhotonResponse(
            scenario=self.scenario, rho=rho, parametrisation=self.parametrisation, mixture=self.mixture
        )


@dataclass(frozen=True)
class DiphotonTask(Task):
    """Produces the events of one unit: truth, pile-up and response, each from its own random stream."""

    process: str
    response: PhotonResponse
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """Columns of the diphoton file."""
        return DIPHOTON_SCHEMA

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the unit's events; ``event`` counts from 1 over the whole file."""
        events = unit.stop - unit.start
        truth = diphoton_truth(self.process, events, self.seed, unit.index)
        rows = np.arange(unit.start, unit.stop, dtype=np.int64)
        identified = truth.with_columns(
            {
                "run": np.ones(events, dtype=np.int64),
                "luminosityBlock": 1 + rows // 10_000,
                "event": rows + 1,
                "weight": np.ones(events),
            }
        )
        table, refused = apply_response(identified, self.response, self.seed, f"{self.process} {unit.index}")
        yield Produced(table, {"generated": events, "refused": refused})


def generate_diphoton(
    request: DiphotonRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Generate a diphoton file with its sidecar.

    The same events come out for any number of workers, and the first events of a longer file are those of a shorter.

    Returns:
        Summary with the output's name, event counts, content hash and seconds.

    Raises:
        ConfigError: If options contradict each other, the output exists, or Pythia is not installed.
        MachineError: If a worker is lost three times or the disk is full.
    """
    task = _task(request)
    unit_events = UNIT_EVENTS[request.process]
    if request.dry_run:
        return estimate(task, request.events, unit_events, unit_events, request.workers)
    return generate_file(
        task,
        settings_units(task.settings, request.events, unit_events),
        request.output,
        command="generate diphoton",
        settings=task.settings,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        truth=Truth(
            process=request.process,
            scenario=request.scenario,
            rho=task.response.rho,
            parametrisation=request.parametrisation,
            mixture=request.mixture,
        ),
        progress=progress,
    )


def _task(request: DiphotonRequest) -> DiphotonTask:
    if request.process not in UNIT_EVENTS:
        raise ConfigError(f"Unknown process {request.process!r}; known: {', '.join(UNIT_EVENTS)}.")
    response = request.response()
    settings = {
        "process": request.process,
        "response": {name: value for name, value in asdict(response).items()},
        "seed": request.seed,
        "unit_events": UNIT_EVENTS[request.process],
    }
    return DiphotonTask(request.process, response, request.seed, settings)
