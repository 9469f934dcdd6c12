"""``castalia scan coverage``: from pools of fresh events to a report of pulls, coverage and calibrated thresholds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from castalia import __version__
from castalia.apps.scan.coverage import CoverageSummary, run_coverage
from castalia.apps.scan.coverage_page import coverage_page, draw_coverage
from castalia.apps.scan.events import ObservedEvents, read_observed, read_pool
from castalia.apps.scan.experiment import Laboratory, Plan, open_laboratory
from castalia.apps.scan.model import ScanModel, open_model
from castalia.apps.scan.run import fit_model, refuse_learned
from castalia.data.readers import open_reader
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.reports.document import write_report
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["CoverageRequest", "coverage_of_pool"]

StepProgress = Callable[[float, float, float | None], None]


@dataclass(frozen=True)
class CoverageRequest:
    """What ``castalia scan coverage`` was asked for; see its ``--help`` for each field."""

    run: Path
    pool: tuple[Path, ...]
    output: Path
    experiments: int
    signal_events: float
    background_pool: tuple[Path, ...] = ()
    background_events: float = 0.0
    seed: int = 1
    workers: int = 1
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False


def coverage_of_pool(request: CoverageRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Run pseudo-experiments and write a report folder; each experiment is a row of ``OUTPUT.parquet`` beside it.

    Returns:
        Summary of the result.

    Raises:
        ConfigError: If the output exists and is not to be replaced, or model, pools and plan do not go together.
        DataError: If a pool cannot be used: unreadable, learned from, weighted, too small, or of several points.
        ModelError: If the run folder holds no usable model.
        GateError: If fewer than two experiments converge.
        MachineError: If workers keep dying, or the disk is full.
    """
    started = time.monotonic()
    model = open_model(request.run)
    refuse_report(request.output, request.overwrite)
    laboratory, checksums = _laboratory(model, request)
    if request.dry_run:
        began = time.perf_counter()
        laboratory.run(np.random.Generator(np.random.Philox(key=request.seed)))
        seconds = (time.perf_counter() - began) * request.experiments / request.workers
        return {"dry_run": True, "experiments": request.experiments, "estimated_seconds": round(seconds, 1)}
    settings: dict[str, JsonValue] = {
        "castalia": __version__,
        "command": "scan coverage",
        "model": model.sha256,
        "pools": {**checksums},
        "signal_events": request.signal_events,
        "background_events": request.background_events,
    }
    rows = request.output.with_name(request.output.name + ".parquet")
    summary = run_coverage(
        laboratory,
        request.experiments,
        rows,
        key=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        provenance=settings,
        seed=request.seed,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        progress=progress,
    )
    inputs = {**checksums, "model": model.sha256}
    with ReportFolder.create(request.output, "scan coverage", inputs, request.seed, request.overwrite) as folder:
        folder.write_metrics({"model": model.sha256, **asdict(summary)})
        figures = draw_coverage(folder.figures, summary, _rows(rows))
        provenance = {**settings, "run": str(request.run), "seed": request.seed, "rows": rows.name}
        write_report(coverage_page(summary, figures, provenance), folder.path / "report.html")
    return _shown(summary, request) | {"seconds": round(time.monotonic() - started, 2)}


def _laboratory(model: ScanModel, request: CoverageRequest) -> tuple[Laboratory, dict[str, str]]:
    if bool(request.background_pool) != (request.background_events > 0.0):
        raise ConfigError("--background-pool and --background-events belong together; give both or none.")
    signal, theta = read_pool(model.config, request.pool)
    pools = [signal]
    if request.background_pool:
        pools.append(read_observed(model.config, request.background_pool))
    for pool in pools:
        refuse_learned(model, pool)
        _refuse_weights(pool)
    laboratory = open_laboratory(
        fit_model(model),
        theta,
        signal.x,
        Plan(request.signal_events, request.background_events),
        background=pools[1].x if request.background_pool else None,
        seed=request.seed,
    )
    return laboratory, {path: digest for pool in pools for path, digest in pool.checksums.items()}


def _refuse_weights(pool: ObservedEvents) -> None:
    if pool.weights is not None and np.ptp(pool.weights) > 0.0:
        raise DataError(
            f"{next(iter(pool.checksums))}: its event weights differ, but pseudo-data are drawn event by event; give "
            "an unweighted pool."
        )


def _rows(path: Path) -> Table:
    with open_reader(path) as reader:
        return Table.concatenate(list(reader.iterate(tuple(reader.columns()), 65_536)))


def _shown(summary: CoverageSummary, request: CoverageRequest) -> dict[str, Any]:
    return {
        "report": str(request.output / "report.html"),
        "experiments": summary.experiments,
        "failed": summary.failed,
        "overlap": summary.overlap,
        "parameters": {
            one.name: {
                "bias": one.bias,
                "pull_mean": one.pulls.mean,
                "pull_width": one.pulls.width,
                "coverage": {f"{c.level:.3g}": c.fraction for c in one.profile},
            }
            for one in summary.parameters
        },
        "joint_coverage": {f"{c.level:.3g}": c.fraction for c in summary.joint},
    }
