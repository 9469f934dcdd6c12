"""Evaluation of a model of pixel hits on events it did not learn from: metrics, figures and a report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia import __version__
from castalia.apps.pixels.events import PixelSample
from castalia.apps.pixels.figures import draw_figures
from castalia.apps.pixels.gathered import FEWEST_EVENTS, Gathered, bounds, gather, pieces_of
from castalia.apps.pixels.judging import Judgement, judge
from castalia.apps.pixels.model import PixelModel, UnlearnedEvents, open_model
from castalia.apps.pixels.page import page_of
from castalia.apps.pixels.results import goals_of, metrics_of
from castalia.apps.pixels.sampled import read_sampled
from castalia.data.sidecar import input_sha256
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.errors import DataError
from castalia.reports.document import write_report
from castalia.rng import Stream
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["EvaluateRequest", "evaluate"]

log = logging.getLogger(__name__)

_STEPS: Final = ("reading", "looking at true events", "sampling", "judging", "drawing figures")
_START_SECONDS, _SECONDS_AN_EVENT = 40.0, 0.11  # as measured on one core: both samples of events of 60,000 hits
_TIMED: Final = 2  # events that a model is timed on


@dataclass(frozen=True)
class EvaluateRequest:
    """What ``castalia pixels evaluate`` was asked for; see its ``--help`` for each field."""

    run: Path
    files: tuple[Path, ...]
    output: Path
    sampled: Path | None = None
    seed: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    skip_bad_files: bool = False
    overwrite: bool = False
    dry_run: bool = False


def evaluate(request: EvaluateRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Judge a model and write a report folder.

    Returns:
        Summary of the result.

    Raises:
        ConfigError: If the report folder exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, there are too few events, or sampled events are not those
            of the files.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()

    def begin(step: int) -> None:
        if progress is not None:
            progress(step, len(_STEPS), None, _STEPS[step])

    begin(0)
    model = open_model(request.run)
    refuse_report(request.output, request.overwrite)
    read = model.events(
        request.files,
        tree=request.tree,
        rename=request.rename,
        skip_bad=request.skip_bad,
        skip_bad_files=request.skip_bad_files,
    )
    events = read.sample
    if len(events) < FEWEST_EVENTS:
        raise DataError(
            f"{next(iter(read.checksums))}: only {len(events)} events are left to judge on (of files that the run was "
            f"trained on, the test split); at least {FEWEST_EVENTS} are needed, so give more."
        )
    if request.dry_run:
        return {"dry_run": True, "test_events": len(events), "estimated_seconds": _estimated(model, request, events)}
    sampled = (
        None if request.sampled is None else read_sampled(request.sampled, model.config.features(), events.condition)
    )
    inputs = {**read.checksums, "model": model.sha256}
    if request.sampled is not None:
        inputs[str(request.sampled)] = input_sha256(request.sampled)
    with ReportFolder.create(request.output, "pixels evaluate", inputs, request.seed, request.overwrite) as folder:
        begin(1)
        truth = gather(pieces_of(events.hits), request.seed, control=True)
        begin(2)
        drawn = _drawn(model, events.condition, request.seed) if sampled is None else pieces_of(sampled)
        made = gather(drawn, request.seed)
        begin(3)
        judged = judge(truth, made, events.condition, request.seed)
        folder.write_metrics({"test_events": len(events), **metrics_of(judged, read.counts)})
        folder.note({"skipped_files": {**read.skipped}})
        begin(4)
        _write(folder, model, request, read, (truth, made), judged)
    return {
        "report": str(request.output / "report.html"),
        "test_events": len(events),
        **{
            one.key: {"value": one.value, "error": one.error, "unit": one.unit, "met": one.met}
            for one in goals_of(judged)
        },
        "seconds": round(time.monotonic() - started, 2),
    }


def _drawn(model: PixelModel, condition: NDArray[np.float64], seed: int) -> Iterator[PixelHits]:
    """Draw one event for each, piece by piece, so that what is drawn need not be kept."""
    stream = Stream(seed, "evaluated background")
    for number, (first, last) in enumerate(bounds(len(condition))):
        yield model.draw(condition[first:last], stream.at(number))


def _estimated(model: PixelModel, request: EvaluateRequest, events: PixelSample) -> float:
    begin = time.monotonic()
    if request.sampled is None:
        model.draw(events.condition[:_TIMED], Stream(request.seed, "timed background").at())
    each = (time.monotonic() - begin) / _TIMED
    return round(_START_SECONDS + len(events) * (_SECONDS_AN_EVENT + each), 1)


def _write(
    folder: ReportFolder,
    model: PixelModel,
    request: EvaluateRequest,
    read: UnlearnedEvents,
    samples: tuple[Gathered, Gathered],
    judged: Judgement,
) -> None:
    events = read.sample
    figures = draw_figures(folder.figures, *samples, judged, events.condition, events.names, request.seed)
    provenance = {
        "castalia": __version__,
        "command": "pixels evaluate",
        "run": str(request.run),
        "model": model.sha256,
        "estimator": type(model.estimator).__name__,
        "seed": request.seed,
        "files": dict(read.checksums),
        **({"sampled": str(request.sampled)} if request.sampled is not None else {}),
        **({"skipped files": dict(read.skipped)} if read.skipped else {}),
        "rename": dict(request.rename),
        "training": model.config.training.model_dump(mode="json", exclude_none=True),
        "test events": dict(read.counts),
    }
    write_report(page_of(judged, len(events), figures, provenance), folder.path / "report.html")
