"""Comparison of posteriors: several runs judged on the same events, which none of them learned from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from castalia import __version__
from castalia.apps.unfold.compare_page import comparison_page, draw_comparison
from castalia.apps.unfold.comparison import Comparison, Contender, comparison_metrics
from castalia.apps.unfold.costs import cost_of
from castalia.apps.unfold.judged_sample import JudgeRequest, TestSample, draw_for, read_test_sample
from castalia.apps.unfold.judging import control_draws, judge
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.errors import ConfigError, DataError
from castalia.reports.comparison import distinct_names
from castalia.reports.document import write_report
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["JudgeRequest", "compare", "compared", "contend", "open_comparable"]

_DRAWS_PER_SECOND, _START_SECONDS, _EVENTS_PER_SECOND = 4_000.0, 20.0, 800.0


def compare(request: JudgeRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Judge several runs on the same events with the same draws and seeds, and write a report folder.

    Returns:
        Summary of the result: the models in the order of their scores.

    Raises:
        ConfigError: If there is only one run, or the report folder exists and is not to be replaced.
        DataError: If a run is named twice or cannot be compared with the first, a file, column or row cannot be used,
            or too few events are left that no run learned from.
        ModelError: If a run folder holds no usable model.
    """
    started = time.monotonic()
    models = open_comparable(request)
    refuse_report(request.output, request.overwrite)
    sample = read_test_sample(list(models.values()), request)
    number, drawn = len(sample.events.truth), sample.events.scored * request.draws
    if request.dry_run:
        each = (number + drawn) / _DRAWS_PER_SECOND + number / _EVENTS_PER_SECOND
        return {
            "dry_run": True,
            "test_events": number,
            "estimated_seconds": round(_START_SECONDS + (len(models) + 1) * each, 1),
        }
    inputs = {**sample.usable.checksums, **{name: model.sha256 for name, model in models.items()}}
    with ReportFolder.create(request.output, "unfold compare", inputs, request.seed, request.overwrite) as folder:
        found = compared(models, sample, request.draws, progress)
        metrics = comparison_metrics(found, sample.counts)
        folder.write_metrics(metrics)
        folder.note({"skipped_files": {**sample.usable.skipped}})
        figures = draw_comparison(folder.figures, found)
        page = comparison_page(found, figures, _provenance(models, request, sample))
        write_report(page, folder.path / "report.html")
    return {
        "report": str(request.output / "report.html"),
        "test_events": number,
        "outside_training_range": sample.counts["outside_training_range"],
        "ranking": list(found.ranking),
        "crps": {name: round(found.models[name].judged.crps.value, 4) for name in found.ranking},
        "control_crps": round(found.control.crps.value, 4),
        "seconds": round(time.monotonic() - started, 2),
    }


def open_comparable(request: JudgeRequest) -> dict[str, PosteriorModel]:
    """Open the runs of a comparison, by names that tell them apart.

    Raises:
        ConfigError: If there is only one.
        DataError: If one is named twice, is a copy of another, or cannot be compared with the first.
        ModelError: If a run folder holds no usable model.
    """
    if len(request.runs) < 2:
        raise ConfigError("One run alone cannot be compared; name two or more, or use `castalia unfold evaluate`.")
    models = {name: open_model(path) for name, path in zip(distinct_names(request.runs), request.runs, strict=True)}
    for (name, first), (other_name, other) in combinations(models.items(), 2):
        if first.sha256 == other.sha256:
            raise DataError(f"{other_name}: is a copy of {name}, with the same model; name every run once.")
    (name, first), *others = models.items()
    for other_name, other in others:
        differing = _differing(first, other)
        if differing:
            raise DataError(
                f"{other_name}: differs from {name} in {differing}; compare runs that see the same columns of the "
                "detector and unfold to the same particles."
            )
    return models


def compared(
    models: Mapping[str, PosteriorModel], sample: TestSample, draws: int, progress: StepProgress | None = None
) -> Comparison:
    """Judge models on the same events.

    Args:
        models: The models by name.
        sample: The events.
        draws: Draws of each event that is scored.
        progress: Called before each step.

    Raises:
        DataError: If there are too few events for one of the measures.
    """
    steps = [*models, "control"]

    def begin(step: int) -> None:
        if progress is not None:
            progress(step, len(steps), None, f"judging {steps[step]}")

    found = {}
    for step, (name, model) in enumerate(models.items()):
        begin(step)
        # What the joint classifier can see depends on the events alone.
        found[name] = contend(model, sample, draws, with_power=step == 0)
    begin(len(models))
    prior = next(iter(models.values()))
    control = control_draws(sample.events, prior.coordinates.tree.cartesian(prior.prior), draws)
    return Comparison(sample.events, found, judge(sample.events, control, with_power=False))


def contend(model: PosteriorModel, sample: TestSample, draws: int, *, with_power: bool) -> Contender:
    """Judge one model, and time its draws.

    Args:
        model: The model.
        sample: The events.
        draws: Draws of each event that is scored.
        with_power: Test the joint classifier itself as well.

    Raises:
        DataError: If there are too few events for one of the measures.
    """
    before = time.process_time()
    drawn = draw_for(model, sample, draws)
    cost = cost_of(model, len(drawn.one) + len(drawn.many) * draws, time.process_time() - before)
    return Contender(judge(sample.events, drawn, with_power=with_power), cost)


def _differing(one: PosteriorModel, other: PosteriorModel) -> str:
    """Return what makes two runs incomparable, in words; empty where nothing does.

    The coordinates that they learn may differ, and the resonances that define them: the paper's numbers are the same.
    """
    read = one.config.data, other.config.data
    for words, mine, theirs in (
        ("the columns of [condition]", _columns(one), _columns(other)),
        ("the columns of [lists]", _list_columns(one), _list_columns(other)),
        ("[truth.particles]", [*one.config.truth.particles.items()], [*other.config.truth.particles.items()]),
        ("[truth.composites]", [*one.config.truth.composites.items()], [*other.config.truth.composites.items()]),
        ("[truth] defined", one.config.truth.defined, other.config.truth.defined),
        ("[data] identifiers", read[0].identifiers, read[1].identifiers),
        ("[data] selection", read[0].selection, read[1].selection),
        ("[data] weight", read[0].weight, read[1].weight),
        ("the particles whose mass varies", one.coordinates.continuous, other.coordinates.continuous),
    ):
        if mine != theirs:
            return words
    return ""


def _columns(model: PosteriorModel) -> list[tuple[str, str]]:
    return [(name, one.column) for name, one in model.config.condition.items()]


def _list_columns(model: PosteriorModel) -> list[tuple[str, str, str]]:
    lists = model.config.lists.items()
    return [(owner, name, one.column) for owner, features in lists for name, one in features.items()]


def _provenance(models: Mapping[str, PosteriorModel], request: JudgeRequest, sample: TestSample) -> dict[str, Any]:
    return {
        "castalia": __version__,
        "command": "unfold compare",
        "runs": {
            name: {
                "run": str(path),
                "model": model.sha256,
                "preset": model.config.model.preset,
                "estimator": type(model.estimator).__name__,
                "coordinates": model.coordinates.kind,
                "training seed": model.config.training.seed,
            }
            for (name, model), path in zip(models.items(), request.runs, strict=True)
        },
        "seed": request.seed,
        "draws": request.draws,
        "files": sample.usable.checksums,
        **({"skipped files": dict(sample.usable.skipped)} if sample.usable.skipped else {}),
        "rename": dict(request.rename),
        "test events": {"judged": len(sample.events.truth), **sample.counts},
    }
