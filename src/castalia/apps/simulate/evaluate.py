"""Evaluation of a response model on files: metrics, figures, a report, and the verdict of the gate."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from castalia import __version__
from castalia.apps.simulate.efficiency import closure
from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.figures import draw_figures
from castalia.apps.simulate.judging import judge_sampler, measure_truth
from castalia.apps.simulate.model import ResponseModel, open_model
from castalia.apps.simulate.page import page_of
from castalia.apps.simulate.results import Systems, diphoton_system, metrics_of
from castalia.apps.simulate.truth import analytic_truth, is_diphoton
from castalia.data.loading import LoadedArrays, content_keys
from castalia.data.usable import UsableFiles
from castalia.errors import DataError, GateError
from castalia.estimators.base import Estimator
from castalia.metrics.efficiency import EfficiencyCheck
from castalia.reports.document import write_report
from castalia.runs.inputs import common_truth
from castalia.runs.report_folder import ReportFolder, refuse_report
from castalia.runs.seen import unseen
from castalia.runs.unlearned import files_to_judge_on, load_unlearned

__all__ = ["EvaluateRequest", "evaluate"]

log = logging.getLogger(__name__)
StepProgress = Callable[[float, float, float | None, str], None]

# As measured on one core for 20,000 and 30,000 test events: figures cost the same for any number of events.
START_SECONDS, EVENTS_PER_SECOND = 15.0, 1_400.0
FEWEST_EVENTS = 600  # of the two-sample test with its control


@dataclass(frozen=True)
class EvaluateRequest:
    """What ``castalia simulate evaluate`` was asked for; see its ``--help`` for each field."""

    run: Path
    files: tuple[Path, ...]
    output: Path
    seed: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    skip_bad_files: bool = False
    overwrite: bool = False
    dry_run: bool = False


def evaluate(request: EvaluateRequest, progress: StepProgress | None = None) -> tuple[dict[str, Any], GateError | None]:
    """Judge a model and write a report folder.

    Returns:
        Summary of the result, and the error to raise where the gate fails (the report is complete all the same).

    Raises:
        ConfigError: If the report folder exists and is not to be replaced.
        DataError: If a file, column or row cannot be used.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()
    steps = _Steps(progress, started)
    model = open_model(request.run)
    refuse_report(request.output, request.overwrite)
    steps.begin("reading")
    tree, rename = request.tree, request.rename
    usable = files_to_judge_on(
        request.files, model.features, tree=tree, rename=rename, skip_bad_files=request.skip_bad_files
    )
    request = replace(request, files=usable.paths)
    loaded = load_unlearned(model.folder, model.features, usable, tree=tree, rename=rename, skip_bad=request.skip_bad)
    events, efficiencies, counts = _judged_events(model, request, loaded)
    counts["skipped_files"] = len(usable.skipped)
    if request.dry_run:
        seconds = START_SECONDS + len(events) / EVENTS_PER_SECOND
        return {"dry_run": True, "test_events": len(events), "estimated_seconds": round(seconds, 1)}, None
    inputs = {**usable.checksums, "model": model.sha256}
    with ReportFolder.create(request.output, "simulate evaluate", inputs, request.seed, request.overwrite) as folder:
        metrics = _write(folder, model, request, events, efficiencies, counts, usable, steps)
    seconds = time.monotonic() - started
    gate = metrics["gate"]
    summary = {
        "report": str(request.output / "report.html"),
        **{name: metrics[name] for name in ("kl_per_event", "mean_wasserstein", "two_sample_auc")},
        "largest_width_discrepancy": metrics["resolution"]["largest_discrepancy"],
        "gate": "passed" if gate["passed"] else "failed",
        "skipped_files": len(usable.skipped),
        "seconds": round(seconds, 2),
    }
    if gate["passed"]:
        return summary, None
    return summary, GateError.of_report(request.run, gate["reasons"])


def _judged_events(
    model: ResponseModel, request: EvaluateRequest, loaded: LoadedArrays
) -> tuple[JudgedEvents, tuple[EfficiencyCheck, ...], dict[str, int]]:
    """Return the events that the response is judged on, the closure of the efficiency, and counts of all others."""
    arrays, features = loaded.arrays, model.features
    if arrays.target is None:
        raise DataError(f"{request.files[0]}: has no target columns to compare with; give reconstructed events.")
    flagged = model.outside(arrays.condition)
    new = unseen(model.folder.models / "response", content_keys(arrays))
    if not new.any():
        raise DataError(f"{request.files[0]}: the run learned from all of its events; evaluate on other files.")
    counts = {
        **loaded.counts,
        "outside_training_range": int(flagged.sum()),
        "learned_from": int((~new).sum()),
    }
    if flagged.any():
        log.warning("%d of %d events lie outside the training range", counts["outside_training_range"], len(flagged))
    if np.ptp(arrays.weight) > 0:
        log.warning("event weights vary; the response is judged event by event, without them")
    kept, efficiencies = new, tuple[EfficiencyCheck, ...]()
    if model.efficiency is not None and arrays.found is not None:
        efficiencies = closure(model.efficiency, features, arrays.condition[new], arrays.found[new])
        kept = new & arrays.found
        counts["lost"] = int(new.sum() - kept.sum())
    events = JudgedEvents(
        features=features,
        condition=arrays.condition[kept],
        target=arrays.target[kept],
        reference=arrays.reference[kept],
        scales=model.scales,
        truth=analytic_truth(features, common_truth(request.files)),
        bound=_bound(model.estimator, len(features.layout.target)),
        seed=request.seed,
        left_out=0,
    )
    judged = events.inside()
    if len(judged) < FEWEST_EVENTS:
        raise DataError(
            f"{request.files[0]}: only {len(judged)} events are left to judge on (of files that the run was "
            f"trained on, the test split); at least {FEWEST_EVENTS} are needed, so give more events."
        )
    return judged, efficiencies, counts


def _bound(estimator: Estimator, targets: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the symmetric truncation of a model's targets; infinite where it has none."""
    support = getattr(estimator, "support", None)
    if support is None:
        return np.full(targets, np.inf)
    low, high = (end.double().cpu().numpy() for end in support())
    return np.where(low == -high, high, np.inf)


def _write(
    folder: ReportFolder,
    model: ResponseModel,
    request: EvaluateRequest,
    events: JudgedEvents,
    efficiencies: tuple[EfficiencyCheck, ...],
    counts: dict[str, int],
    usable: UsableFiles,
    steps: _Steps,
) -> dict[str, Any]:
    steps.begin("measuring the truth")
    truths = measure_truth(events)
    steps.begin("judging the model")
    judged = judge_sampler(
        "response", model.estimator, model.sampler, events, truths, with_power=True, efficiencies=efficiencies
    )
    steps.begin("judging parametric smearing")
    rival = judge_sampler("rival", model.rival, model.rival_sampler, events, truths, with_power=False)
    systems = None
    if is_diphoton(events.features):
        systems = Systems(
            *(diphoton_system(events, values) for values in (events.target, judged.generated, rival.generated))
        )
    metrics = metrics_of(events, judged, rival, systems, counts)
    folder.write_metrics(metrics)
    folder.note({"gate": "passed" if judged.gate.passed else "failed", "skipped_files": {**usable.skipped}})
    steps.begin("drawing figures")
    figures = draw_figures(folder.figures, model, events, judged, rival, systems)
    provenance = {
        "castalia": __version__,
        "command": "simulate evaluate",
        "run": str(request.run),
        "model": model.sha256,
        "estimator": type(model.estimator).__name__,
        "seed": request.seed,
        "files": usable.checksums,
        **({"skipped files": dict(usable.skipped)} if usable.skipped else {}),
        "rename": dict(request.rename),
        "training": model.config.training.model_dump(mode="json", exclude_none=True),
        "test events": {"judged": len(events), **counts},
    }
    title = "Detector response of " + (model.config.objects.collection + "s" if model.config.objects else "events")
    write_report(page_of(title, events, judged, rival, systems, figures, provenance), folder.path / "report.html")
    return metrics


class _Steps:
    """Tells the progress callback which of the evaluation's steps has begun."""

    names = ("reading", "measuring the truth", "judging the model", "judging parametric smearing", "drawing figures")
    shares = (0.02, 0.03, 0.55, 0.72, 1.0)  # fraction of the time after each step, as measured

    def __init__(self, progress: StepProgress | None, started: float) -> None:
        self._progress = progress
        self._started = started

    def begin(self, name: str) -> None:
        number = self.names.index(name)
        log.debug("evaluation: %s", name)
        if self._progress is None:
            return
        spent = time.monotonic() - self._started
        done = self.shares[number - 1] if number else 0.0
        left = spent / done * (1 - done) if done else None
        self._progress(number, len(self.names), left, name)
