"""Evaluation of a classifier on labelled events: metrics, figures, a report, and the verdict of the gate."""

from __future__ import annotations

import logging
import time
from typing import Any

from castalia import __version__
from castalia.apps.classify.figures import draw_figures
from castalia.apps.classify.importances import IMPORTANCE_EVENTS, importances
from castalia.apps.classify.judged_sample import JudgedSample, JudgeRequest, expectation_of, read_judged_sample
from castalia.apps.classify.judging import judge
from castalia.apps.classify.model import ClassifierRun
from castalia.apps.classify.page import page_of
from castalia.apps.classify.relations import recognised_relations
from castalia.apps.classify.results import gate_reasons, metrics_of
from castalia.errors import GateError
from castalia.reports.document import write_report
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["JudgeRequest", "evaluate"]

log = logging.getLogger(__name__)

_STEPS = ("reading", "judging", "exchanging features", "drawing figures")
_START_SECONDS, _EVENTS_PER_SECOND = 20.0, 10_000.0  # of figures, and of the bootstrap of events
_TIMED, _EXCHANGES = 500, 10  # events that the model is timed on; exchanges of features of a type of object


def evaluate(request: JudgeRequest, progress: StepProgress | None = None) -> tuple[dict[str, Any], GateError | None]:
    """Judge a classifier, and write a report folder.

    Returns:
        Summary of the result, and the error to raise where the gate fails (the report is complete all the same).

    Raises:
        ConfigError: If the report folder exists and is not to be replaced, or files or numbers do not go with the
            classes.
        DataError: If a file, column or row cannot be used, or a class has too few events.
        ModelError: If the run folder holds no usable classifier.
    """
    started = time.monotonic()

    def begin(step: int) -> None:
        if progress is not None:
            progress(step, len(_STEPS), None, _STEPS[step])

    begin(0)
    (path,) = request.runs
    run = ClassifierRun.open(path)
    expectation = expectation_of(request, run.classes)
    refuse_report(request.output, request.overwrite)
    sample = read_judged_sample([run], request)
    number = len(sample.events.label)
    if request.dry_run:
        return {"dry_run": True, "test_events": number, "estimated_seconds": _estimated_seconds(run, sample)}, None
    inputs = {**sample.checksums, "model": run.sha256}
    (batch,) = sample.batches
    with ReportFolder.create(request.output, "classify evaluate", inputs, request.seed, request.overwrite) as folder:
        begin(1)
        probability = run.probabilities(batch)
        judged = judge(sample.events, probability, expectation)
        relations = recognised_relations(run, batch)
        begin(2)
        importance = importances(run, sample.events, batch)
        reasons = gate_reasons(judged, request.goal)
        metrics = metrics_of(judged, relations, importance, reasons, sample.counts)
        folder.write_metrics({"test_events": number, "classes": list(run.classes), **metrics})
        folder.note({"gate": "failed" if reasons else "passed", "skipped_files": {**sample.skipped}})
        begin(3)
        figures = draw_figures(folder.figures, sample.events, probability, judged, importance)
        provenance = _provenance(run, request, sample)
        page = page_of(sample.events, judged, relations, importance, reasons, figures, provenance)
        write_report(page, folder.path / "report.html")
    worst = max(judged.reliabilities, key=lambda one: one.error.value).error
    summary = {
        "report": str(request.output / "report.html"),
        "test_events": number,
        "auc": metrics["auc"],
        "calibration_error": {"value": worst.value, "error": worst.error, "floor": worst.floor},
        "gate": "failed" if reasons else "passed",
        "seconds": round(time.monotonic() - started, 2),
    }
    return summary, GateError.of_report(path, reasons) if reasons else None


def _estimated_seconds(run: ClassifierRun, sample: JudgedSample) -> float:
    """Time the model on some events; most of the time goes into scoring again what was exchanged."""
    (batch,) = sample.batches
    few, begin = next(batch.chunks(_TIMED)), time.monotonic()
    run.probabilities(few)
    each = (time.monotonic() - begin) / len(few)
    scored = len(batch) + _EXCHANGES * len(run.config.objects) * min(len(batch), IMPORTANCE_EVENTS)
    return round(_START_SECONDS + len(batch) / _EVENTS_PER_SECOND + each * scored, 1)


def _provenance(run: ClassifierRun, request: JudgeRequest, sample: JudgedSample) -> dict[str, Any]:
    return {
        "castalia": __version__,
        "command": "classify evaluate",
        "run": str(request.runs[0]),
        "model": run.sha256,
        "estimator": type(run.estimator).__name__,
        "seed": request.seed,
        "files": dict(sample.checksums),
        **({"skipped files": dict(sample.skipped)} if sample.skipped else {}),
        "rename": dict(request.rename),
        "training": run.config.training.model_dump(mode="json", exclude_none=True),
        "test events": sample.counts,
    }
