"""Evaluation of a posterior on simulated events: metrics, figures, a report, and the verdict of the gate."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from castalia import __version__
from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.figures import draw_figures
from castalia.apps.unfold.judging import Draws, JudgedEvents, control_draws, detector_table, judge
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.apps.unfold.page import page_of
from castalia.apps.unfold.results import gate_reasons, metrics_of
from castalia.apps.unfold.train import POSTERIOR
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.loading import content_keys
from castalia.data.usable import UsableFiles
from castalia.errors import DataError, GateError
from castalia.reports.document import write_report
from castalia.rng import Stream
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report
from castalia.runs.seen import unseen
from castalia.runs.unlearned import files_to_judge_on, load_unlearned

__all__ = ["EvaluateRequest", "TestSample", "draw_for", "evaluate", "read_test_sample"]

log = logging.getLogger(__name__)

FEWEST_EVENTS = 2_000
"""Events that the joint test with its power and control needs."""

SCORED = 5_000
"""Most events that get many draws."""

_STEPS = ("reading", "drawing the truth", "judging the posterior", "judging the control", "drawing figures")
_DRAWS_PER_SECOND, _START_SECONDS, _EVENTS_PER_SECOND = 4_000.0, 20.0, 400.0


@dataclass(frozen=True)
class EvaluateRequest:
    """What ``castalia unfold evaluate`` was asked for; see its ``--help`` for each field."""

    run: Path
    files: tuple[Path, ...]
    output: Path
    draws: int = 100
    events: int = 50_000
    seed: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    skip_bad_files: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class TestSample:
    """Events to judge on.

    Attributes:
        arrays: Detector level and columns of the truth.
        events: The same as the metrics take them.
        counts: Events read, selected and left out, by name.
        usable: The files.
    """

    arrays: FeatureArrays
    events: JudgedEvents
    counts: dict[str, int]
    usable: UsableFiles


def evaluate(request: EvaluateRequest, progress: StepProgress | None = None) -> tuple[dict[str, Any], GateError | None]:
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
    model = open_model(request.run)
    refuse_report(request.output, request.overwrite)
    sample = read_test_sample(model, request)
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
        **{name: metrics["posterior"][name] for name in ("crps", "joint_auc")},
        "control_crps": metrics["control"]["crps"],
        "gate": "failed" if reasons else "passed",
        "seconds": round(time.monotonic() - started, 2),
    }
    if not reasons:
        return summary, None
    more = f" (and {len(reasons) - 1} more reasons in the report)" if len(reasons) > 1 else ""
    return summary, GateError(f"{request.run}: the quality gate failed: {reasons[0]}{more}")


def read_test_sample(model: PosteriorModel, request: EvaluateRequest) -> TestSample:
    """Read the events that a run is judged on: selected ones with a truth, of which it learned from none.

    Raises:
        ConfigError: If a column is renamed that is not used.
        DataError: If a file, column or row cannot be used, or there are too few events.
    """
    tree, rename, features = request.tree, request.rename, model.features
    usable = files_to_judge_on(request.files, features, tree=tree, rename=rename, skip_bad_files=request.skip_bad_files)
    loaded = load_unlearned(model.folder, features, usable, tree=tree, rename=rename, skip_bad=request.skip_bad)
    arrays = loaded.arrays.reconstructed  # those that have a truth
    new = unseen(model.folder.models / POSTERIOR, content_keys(arrays))
    kept = np.flatnonzero(new)[: request.events]
    counts = {
        **loaded.counts,
        "without_truth": len(loaded.arrays.row) - len(new),
        "learned_from": int((~new).sum()),
        "beyond_the_limit": int(new.sum()) - len(kept),
    }
    if len(kept) < FEWEST_EVENTS:
        raise DataError(
            f"{usable.paths[0]}: only {len(kept)} events are left to judge on (of files that the run was trained on, "
            f"the test split); at least {FEWEST_EVENTS} are needed, so give more events."
        )
    mask = np.zeros(len(new), dtype=np.bool_)
    mask[kept] = True
    arrays = arrays.take(mask)
    if arrays.target is None:
        raise DataError(f"{usable.paths[0]}: has no columns of the truth to compare with; give simulated events.")
    counts["outside_training_range"] = int(model.outside(arrays).sum())
    events = JudgedEvents(
        coordinates=model.coordinates,
        truth=model.coordinates.tree.cartesian(leaves_of_columns(arrays.target)),
        detector=detector_table(arrays),
        weight=arrays.weight,
        scored=min(SCORED, len(kept)),
        seed=request.seed,
    )
    return TestSample(arrays, events, counts, usable)


def draw_for(model: PosteriorModel, sample: TestSample, draws: int) -> Draws:
    """Draw once for every event, and ``draws`` times for those that are scored."""
    stream, some = Stream(sample.events.seed, "evaluation draws"), np.zeros(len(sample.arrays.row), dtype=np.bool_)
    some[: sample.events.scored] = True
    one = model.numbers(model.draw(sample.arrays, 1, stream.at())[:, 0])
    many = model.draw(sample.arrays.take(some), draws, stream.at(1))
    # In single precision, as the model draws: a hundred draws of five thousand events are 220 MB in double.
    pieces = [model.numbers(piece).astype(np.float32) for piece in np.array_split(many, max(1, len(many) // 500))]
    return Draws(one, np.concatenate(pieces))


def _provenance(model: PosteriorModel, request: EvaluateRequest, sample: TestSample) -> dict[str, Any]:
    return {
        "castalia": __version__,
        "command": "unfold evaluate",
        "run": str(request.run),
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
