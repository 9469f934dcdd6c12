"""``castalia scan coverage``: from pools of fresh events to a report of pulls, coverage and calibrated thresholds."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from castalia import __version__
from castalia.apps.scan.admission import admit
from castalia.apps.scan.coverage import SEARCHED, CoverageSummary, run_coverage
from castalia.apps.scan.coverage_page import coverage_page, draw_coverage
from castalia.apps.scan.events import ObservedEvents, read_observed, read_pool
from castalia.apps.scan.experiment import Laboratory, Plan, open_laboratory
from castalia.apps.scan.model import ScanModel, open_model
from castalia.apps.scan.run import fit_model
from castalia.data.readers import open_reader
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError, GateError
from castalia.metrics.coverage import Coverage
from castalia.reports.document import write_report
from castalia.rng import Stream
from castalia.runs.record import read_record
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["CoverageRequest", "coverage_of_pool"]

StepProgress = Callable[[float, float, float | None], None]

_FAILED, _MOST_FAILED = 0.01, 0.1
"""Shares of failed fits above which the report warns, and above which the command fails."""


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


def coverage_of_pool(
    request: CoverageRequest, progress: StepProgress | None = None
) -> tuple[dict[str, Any], GateError | None]:
    """Run pseudo-experiments and write a report folder; each experiment is a row of ``OUTPUT.parquet`` beside it.

    Returns:
        Summary of the result, and the error to raise where more than a tenth of the fits failed (the report is there).
        With ``resume`` a finished report of the same job is left as it is.

    Raises:
        ConfigError: If the output exists and is not to be replaced, or model, pools and plan do not go together.
        DataError: If a pool cannot be used: unreadable, learned from, weighted, too small, or of several points.
        ModelError: If the run folder holds no usable model.
        MachineError: If workers keep dying, or the disk is full.
    """
    started = time.monotonic()
    model = open_model(request.run)
    pools, theta = _pools(model, request)
    checksums = {path: digest for pool in pools for path, digest in pool.checksums.items()}
    settings: dict[str, JsonValue] = {
        "castalia": __version__,
        "command": "scan coverage",
        "model": model.sha256,
        "identity": model.identity,
        "pools": {**checksums},
        "signal_events": request.signal_events,
        "background_events": request.background_events,
    }
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    job: dict[str, JsonValue] = {"laboratory": key, "seed": request.seed, "experiments": request.experiments}
    if request.resume and (finished := _finished(request.output, job)) is not None:
        return finished, _failure(finished, request)
    refuse_report(request.output, request.overwrite)
    plan = Plan(request.signal_events, request.background_events)
    background = pools[1].x if len(pools) > 1 else None
    laboratory = open_laboratory(fit_model(model), theta, pools[0].x, plan, background=background, seed=request.seed)
    if request.dry_run:
        return _estimate(laboratory, request), None
    rows = request.output.with_name(request.output.name + ".parquet")
    summary = run_coverage(
        laboratory,
        request.experiments,
        rows,
        key=key,
        provenance=settings,
        seed=request.seed,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        progress=progress,
    )
    warnings = (*(word for pool in pools for word in pool.warnings), *_doubts(summary))
    shown = _shown(summary, request, warnings) | {"seconds": round(time.monotonic() - started, 2)}
    inputs = {**checksums, "model": model.sha256}
    with ReportFolder.create(request.output, "scan coverage", inputs, request.seed, request.overwrite) as folder:
        made_of = {"model": model.sha256, "identity": model.identity, "plan": asdict(plan)}
        folder.write_metrics({**made_of, **_numbers(summary), "warnings": warnings})
        folder.note({"job": job, "summary": _plain(shown)})
        figures = draw_coverage(folder.figures, summary, _rows(rows))
        provenance = {**settings, "run": str(request.run), "seed": request.seed, "rows": rows.name}
        write_report(coverage_page(summary, figures, provenance, warnings), folder.path / "report.html")
    return shown, _failure(shown, request)


def _pools(model: ScanModel, request: CoverageRequest) -> tuple[list[ObservedEvents], NDArray[np.float64]]:
    """Read the pools, signal first, and the true parameters of the signal."""
    if bool(request.background_pool) != (request.background_events > 0.0):
        raise ConfigError("--background-pool and --background-events belong together; give both or none.")
    signal, theta = read_pool(model.config, request.pool)
    pools = [signal]
    if request.background_pool:
        pools.append(read_observed(model.config, request.background_pool))
    for pool in pools:
        _refuse_weights(pool)
    return [admit(model, pool) for pool in pools], theta


def _finished(output: Path, job: Mapping[str, JsonValue]) -> dict[str, Any] | None:
    """Return the summary of a finished report of the same job."""
    path = output / "run.json"
    results = read_record(path).results if path.exists() else {}
    summary = results.get("summary")
    return summary if results.get("job") == job and isinstance(summary, dict) else None


def _estimate(laboratory: Laboratory, request: CoverageRequest) -> dict[str, Any]:
    """Time one experiment that is searched and one that is not, as one in ten is."""
    seconds = []
    for number in range(2):
        began = time.perf_counter()
        laboratory.run(Stream(request.seed, "pseudo-experiments").at(number), searched=number == 0)
        seconds.append(time.perf_counter() - began)
    each = (seconds[0] + (SEARCHED - 1) * seconds[1]) / SEARCHED
    total = round(each * request.experiments / request.workers, 1)
    return {"dry_run": True, "experiments": request.experiments, "estimated_seconds": total}


def _doubts(summary: CoverageSummary) -> list[str]:
    """Return what has to be known before the numbers are believed."""
    words = []
    if summary.failed > _FAILED * summary.experiments:
        words.append(
            f"{summary.failed} of {summary.experiments} fits did not converge: coverage is that of the others, and "
            "'of all' counts the failed ones as not covering."
        )
    if summary.elsewhere:
        words.append(
            f"in {summary.elsewhere} of {summary.searched} experiments that were searched the lowest minimum is not "
            "the one nearest the truth"
            + (
                ": so it is in as large a share of the others, of which only the nearest is known here."
                if summary.searched < summary.experiments - summary.failed
                else "."
            )
        )
    return words


def _failure(summary: Mapping[str, Any], request: CoverageRequest) -> GateError | None:
    failed, experiments = summary["failed"], summary["experiments"]
    if failed <= _MOST_FAILED * experiments:
        return None
    return GateError(
        f"{request.output}: {failed} of {experiments} pseudo-experiments did not converge; mend the fit, plan more "
        "events, or fix or constrain a parameter."
    )


def _numbers(summary: CoverageSummary) -> dict[str, Any]:
    """Return a summary for ``metrics.json``, each coverage with its fraction of all experiments."""

    def with_all(found: Sequence[Coverage]) -> list[dict[str, Any]]:
        return [{**asdict(one), "of_all": one.of_all} for one in found]

    parameters = [
        {**asdict(one), "errors": with_all(one.errors), "profile": with_all(one.profile)} for one in summary.parameters
    ]
    return {**asdict(summary), "parameters": parameters, "joint": with_all(summary.joint)}


def _refuse_weights(pool: ObservedEvents) -> None:
    if pool.weights is not None and np.ptp(pool.weights) > 0.0:
        raise DataError(
            f"{next(iter(pool.checksums))}: its event weights differ, but pseudo-data are drawn event by event; give "
            "an unweighted pool."
        )


def _rows(path: Path) -> Table:
    with open_reader(path) as reader:
        return Table.concatenate(list(reader.iterate(tuple(reader.columns()), 65_536)))


def _plain(numbers: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return numbers as JSON holds them, null for what is not known."""
    kept: dict[str, JsonValue] = json.loads(json.dumps(numbers), parse_constant=lambda _: None)
    return kept


def _shown(summary: CoverageSummary, request: CoverageRequest, warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "report": str(request.output / "report.html"),
        "experiments": summary.experiments,
        "failed": summary.failed,
        "searched": summary.searched,
        "elsewhere": summary.elsewhere,
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
        "warnings": list(warnings),
    }
