"""Evaluation of a posterior on simulated events: metrics, figures, a report, and the verdict of the gate."""

from __future__ import annotations

import logging
import time
from typing import Any

from castalia import __version__
from castalia.apps.unfold.figures import draw_figures
from castalia.apps.unfold.judged_sample import JudgeRequest, TestSample, draw_for, read_test_sample
from castalia.apps.unfold.judging import control_draws, judge
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.apps.unfold.page import page_of
from castalia.apps.unfold.results import gate_reasons, metrics_of
from castalia.errors import GateError
from castalia.reports.document import write_report
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["JudgeRequest", "evaluate"]

log = logging.getLogger(__name__)

_STEPS = ("reading", "drawing the truth", "judging the posterior", "judging the control", "drawing figures")
_DRAWS_PER_SECOND, _START_SECONDS, _EVENTS_PER_SECOND = 4_000.0, 20.0, 400.0


def evaluate(request: JudgeRequest, progress: StepProgress | None = None) -> tuple[dict[str, Any], GateError | None]:
    """Judge a posterior beside the control, and write a report folder.

    Returns:
        Summary of the result, and the error to raise where the gate fails (the report is complete all the same).

    Raises:
        ConfigError: If the report folder exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, or there are too few events.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()

    def begin(step: int) -> None:
        if progress is not None:
            progress(step, len(_STEPS), None, _STEPS[step])

    begin(0)
    (run,) = request.runs
    model = open_model(run)
    refuse_report(request.output, request.overwrite)
    sample = read_test_sample([model], request)
    if request.dry_run:
        number, drawn = len(sample.events.truth), sample.events.scored * request.draws
        seconds = _START_SECONDS + (number + drawn) / _DRAWS_PER_SECOND + number / _EVENTS_PER_SECOND
        return {"dry_run": True, "test_events": number, "estimated_seconds": round(seconds, 1)}, None
    inputs = {**sample.usable.checksums, "model": model.sha256}
    with ReportFolder.create(request.output, "unfold evaluate", inputs, request.seed, request.overwrite) as folder:
        begin(1)
        draws = draw_for(model, sample, request.draws)
        begin(2)
        judged = judge(sample.events, draws, with_power=True)
        begin(3)
        prior = model.coordinates.tree.cartesian(model.prior)
        control = judge(sample.events, control_draws(sample.events, prior, request.draws), with_power=False)
        reasons = gate_reasons(judged, control)
        metrics = metrics_of(sample.events, judged, control, reasons, sample.counts)
        folder.write_metrics(metrics)
        folder.note({"gate": "failed" if reasons else "passed", "skipped_files": {**sample.usable.skipped}})
        begin(4)
        figures = draw_figures(folder.figures, sample.events, draws, judged)
        provenance = _provenance(model, request, sample)
        page = page_of(sample.events, judged, control, reasons, figures, provenance)
        write_report(page, folder.path / "report.html")
    summary = {
        "report": str(request.output / "report.html"),
        "test_events": len(sample.events.truth),
        "outside_training_range": sample.counts["outside_training_range"],
        **{name: metrics["posterior"][name] for name in ("crps", "joint_auc")},
        "control_crps": metrics["control"]["crps"],
        "gate": "failed" if reasons else "passed",
        "seconds": round(time.monotonic() - started, 2),
    }
    return summary, GateError.of_report(run, reasons) if reasons else None


def _provenance(model: PosteriorModel, request: JudgeRequest, sample: TestSample) -> dict[str, Any]:
    return {
        "castalia": __version__,
        "command": "unfold evaluate",
        "run": str(request.runs[0]),
        "model": model.sha256,
        "estimator": type(model.estimator).__name__,
        "coordinates": model.coordinates.kind,
        "seed": request.seed,
        "draws": request.draws,
        "files": sample.usable.checksums,
        **({"skipped files": dict(sample.usable.skipped)} if sample.usable.skipped else {}),
        "rename": dict(request.rename),
        "training": model.config.training.model_dump(mode="json", exclude_none=True),
        "test events": {"judged": len(sample.events.truth), **sample.counts},
    }
