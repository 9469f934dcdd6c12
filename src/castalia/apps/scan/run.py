"""``castalia scan fit``: from files of observed events to a report folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from castalia import __version__
from castalia.apps.scan.admission import admit
from castalia.apps.scan.calibration import read_calibration
from castalia.apps.scan.events import ObservedEvents, read_observed
from castalia.apps.scan.expected import expected_parts
from castalia.apps.scan.figures import draw_fit
from castalia.apps.scan.fit import FitModel, FitResult, FitSettings, build_likelihood, fit
from castalia.apps.scan.goodness import fitted_goodness, load_held_out
from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.model import BACKGROUND, SIGNAL, ScanModel, open_model
from castalia.apps.scan.nearby import nearby
from castalia.apps.scan.page import fit_page
from castalia.apps.scan.projection import project, tests_of
from castalia.apps.scan.results import FitStudy, metrics_of, study_contours, study_profiles
from castalia.data.atomic import write_json
from castalia.errors import ConfigError, DataError, GateError
from castalia.reports.document import write_report
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["FitRequest", "fit_files", "fit_model"]

log = logging.getLogger(__name__)
StepProgress = Callable[[float, float, float | None, str], None]
Asked = ParamSpec("Asked")
Found = TypeVar("Found")

_STEPS = 6
_EVALUATIONS = (400.0, 450.0)  # of a fit with profiles, for each parameter; for each pair's contours; as measured


@dataclass(frozen=True)
class FitRequest:
    """What ``castalia scan fit`` was asked for; see its ``--help`` for each field.

    Attributes:
        fixed: Values of parameters that are not fitted, by name.
        truth: True values to show in figures and tables, by name.
        thresholds: Report of ``castalia scan coverage`` whose calibrated thresholds are to be used.
    """

    run: Path
    files: tuple[Path, ...]
    output: Path
    fixed: Mapping[str, float] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    thresholds: Path | None = None
    seed: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    overwrite: bool = False
    dry_run: bool = False


def fit_files(request: FitRequest, progress: StepProgress | None = None) -> tuple[dict[str, Any], GateError | None]:
    """Fit observed events and write a report folder.

    Returns:
        Summary of the result, and the error to raise where the fit did not converge (the report says why).

    Raises:
        ConfigError: If the report folder exists and is not to be replaced, or a parameter is unknown.
        DataError: If a file, column or row cannot be used, the run learned from the events, or they lie where no
            simulation does.
        ModelError: If the run folder holds no usable model, or the thresholds are of another run.
    """
    started = time.monotonic()
    steps = _Steps(progress)
    model = open_model(request.run)
    refuse_report(request.output, request.overwrite)
    steps.begin("reading")
    events = admit(
        model,
        read_observed(model.config, request.files, rename=request.rename, tree=request.tree, skip_bad=request.skip_bad),
    )
    likelihood = build_likelihood(fit_model(model), events.x, events.weights)
    _check_names(likelihood, request.truth)
    calibration = None if request.thresholds is None else read_calibration(request.thresholds, model.identity)
    thresholds = {} if calibration is None else calibration.thresholds
    if request.dry_run:
        return {"dry_run": True, "events": len(events), "estimated_seconds": _estimate(likelihood)}, None
    steps.begin("fit")
    settings = FitSettings(fixed=request.fixed, thresholds=thresholds, seed=request.seed)
    result = fit(fit_model(model), events.x, events.weights, settings)
    doubts = () if calibration is None else calibration.doubts(float(likelihood.weights.sum()))
    result = replace(result, warnings=(*events.warnings, *doubts, *result.warnings))
    inputs = {**events.checksums, "model": model.sha256}
    with ReportFolder.create(request.output, "scan fit", inputs, request.seed, request.overwrite) as folder:
        study = _study(folder, model, result, events, request, thresholds, steps)
        _write(folder, model, study, events, request, steps)
    numbers = study.fit.to_json()
    summary = {
        "report": str(request.output / "report.html"),
        "events": len(events),
        "converged": result.converged,
        "parameters": {name: {k: v[k] for k in _SHOWN} for name, v in numbers["parameters"].items()},
        "goodness_of_fit": None if study.goodness is None else study.goodness.p_value,
        "warnings": numbers["warnings"],
        "evaluations": numbers["evaluations"],
        "seconds": round(time.monotonic() - started, 2),
    }
    if result.converged:
        return summary, None
    return summary, GateError(f"{request.files[0]}: the fit did not converge: {result.fitted.failure}")


def fit_model(model: ScanModel) -> FitModel:
    """Return what a fit needs of a trained model."""
    return FitModel(
        parameters=model.parameters,
        signal=model.signal,
        support=model.support,
        background=model.background,
        expected_signal=model.expected_signal,
        background_yield=model.background_yield,
        members=model.members,
    )


_SHOWN = ("value", "error", "minos_low", "minos_high")


def _study(
    folder: ReportFolder,
    model: ScanModel,
    result: FitResult,
    events: ObservedEvents,
    request: FitRequest,
    thresholds: Mapping[str, float],
    steps: _Steps,
) -> FitStudy:
    """Find out about a fit what its report shows; of one without convergence, nothing."""
    study = FitStudy(result, truth=request.truth, thresholds=thresholds)
    if not result.converged:
        return study
    steps.begin("profiles")
    near = nearby(result)
    study = replace(study, profiles=study_profiles(result, near))
    steps.begin("contours")
    study = replace(study, contours=study_contours(result, near))
    steps.begin("goodness of fit")
    densities = fit_model(model)
    parts = expected_parts(densities, result, request.seed)
    names = [variable.name for variable in model.observables]
    kept = {"Signal": load_held_out(model.folder.models / SIGNAL)}
    if model.background is not None:
        kept["Background"] = load_held_out(model.folder.models / BACKGROUND)
    held_out = {label: events for label, events in kept.items() if events is not None}
    goodness, doubts = _tried(
        "goodness of fit", fitted_goodness, densities, result, parts, names, held_out, request.seed
    )
    uncorrected = goodness
    if held_out and goodness is not None:
        uncorrected, _ = _tried("goodness of fit", fitted_goodness, densities, result, parts, names, {}, request.seed)
    workspace, unbinned = _tried("workspace", project, names, events.x, events.weights, parts, model.background_yield)
    tests = None
    if workspace is not None:
        write_json(folder.path / "workspace.json", workspace)
        tests = tests_of(workspace) if model.background is not None else None
    tested = None if goodness is None else asdict(goodness)
    fitted = replace(result, goodness_of_fit=tested, warnings=(*result.warnings, *doubts, *unbinned))
    return replace(study, fit=fitted, expected=parts, goodness=goodness, uncorrected=uncorrected, tests=tests)


def _tried(
    what: str, function: Callable[Asked, Found], *given: Asked.args, **named: Asked.kwargs
) -> tuple[Found | None, tuple[str, ...]]:
    """Return what is only worth having beside a fit, or the reason why these events have none."""
    try:
        return function(*given, **named), ()
    except DataError as error:
        log.warning("no %s: %s", what, error)
        return None, (f"there is no {what}: {error}",)


def _write(
    folder: ReportFolder,
    model: ScanModel,
    study: FitStudy,
    events: ObservedEvents,
    request: FitRequest,
    steps: _Steps,
) -> None:
    write_json(folder.path / "fit.json", study.fit.to_json())
    folder.write_metrics(metrics_of(study, events.counts))
    folder.note({"converged": study.fit.converged, "model": model.sha256})
    steps.begin("drawing figures")
    figures = draw_fit(folder.figures, study, model.observables, events.x, events.weights)
    provenance = {
        "castalia": __version__,
        "command": "scan fit",
        "run": str(request.run),
        "model": model.sha256,
        "seed": request.seed,
        "files": events.checksums,
        "rename": dict(request.rename),
        "fixed": dict(request.fixed),
        "thresholds": None if request.thresholds is None else str(request.thresholds),
        "events": events.counts,
    }
    title = "Fit of " + ", ".join(parameter.name for parameter in study.fit.parameters)
    write_report(fit_page(title, study, figures, provenance), folder.path / "report.html")


def _check_names(likelihood: Likelihood, truth: Mapping[str, float]) -> None:
    names = [parameter.name for parameter in likelihood.parameters]
    unknown = next((name for name in truth if name not in names), None)
    if unknown is not None:
        raise ConfigError(f"--truth {unknown}=…: this fit has no such parameter; it has {', '.join(names)}.")


def _estimate(likelihood: Likelihood) -> float:
    """Time one evaluation and multiply by how many a fit with profiles and contours takes."""
    middle = (likelihood.low + 0.5 * likelihood.range)[None]
    began = time.perf_counter()
    likelihood.value_and_gradient(np.asarray(middle))
    count = len(likelihood.parameters)
    evaluations = _EVALUATIONS[0] * count + _EVALUATIONS[1] * min(count * (count - 1) // 2, 6)
    return round((time.perf_counter() - began) * evaluations, 1)


class _Steps:
    """Tells the progress callback which step has begun."""

    def __init__(self, progress: StepProgress | None) -> None:
        self._progress = progress
        self._number = 0

    def begin(self, name: str) -> None:
        log.debug("fit: %s", name)
        if self._progress is not None:
            self._progress(self._number, _STEPS, None, name)
        self._number += 1
