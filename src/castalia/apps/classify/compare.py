"""Comparison of classifiers: several runs judged on the same events, which none of them learned from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from castalia import __version__
from castalia.apps.classify.compare_page import comparison_page, draw_comparison
from castalia.apps.classify.comparison import Comparison, Contender, comparison_metrics
from castalia.apps.classify.judged_sample import JudgedSample, JudgeRequest, expectation_of, read_judged_sample
from castalia.apps.classify.judging import Expectation, JudgedClasses, judge
from castalia.apps.classify.model import ClassifierRun
from castalia.apps.classify.relations import recognised_relations
from castalia.errors import ConfigError, DataError, ModelError
from castalia.estimators.base import Batch
from castalia.reports.comparison import distinct_names
from castalia.reports.document import write_report
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["compare", "open_comparable", "recipes_of"]

_EVENTS_PER_SECOND, _START_SECONDS = 8_000.0, 10.0


def compare(request: JudgeRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Judge several runs on the same events, and write a report folder.

    Returns:
        Summary of the result: the models in the order of their AUC.

    Raises:
        ConfigError: If there is only one run, or the report folder exists and is not to be replaced.
        DataError: If a run is named twice or cannot be compared with the first, a file, column or row cannot be used,
            or too few events are left that no run learned from.
        ModelError: If a run folder holds no usable classifier.
    """
    started = time.monotonic()
    runs = open_comparable(request)
    expectation = expectation_of(request, next(iter(runs.values())).classes)
    refuse_report(request.output, request.overwrite)
    sample = read_judged_sample(list(runs.values()), request)
    number = len(sample.events.label)
    if request.dry_run:
        seconds = _START_SECONDS + len(runs) * number / _EVENTS_PER_SECOND
        return {"dry_run": True, "test_events": number, "estimated_seconds": round(seconds, 1)}
    inputs = {**sample.checksums, **{name: run.sha256 for name, run in runs.items()}}
    with ReportFolder.create(request.output, "classify compare", inputs, request.seed, request.overwrite) as folder:
        models: dict[str, Contender] = {}
        recipes = request.recipes or ("",) * len(runs)
        for step, ((name, run), recipe) in enumerate(zip(runs.items(), recipes, strict=True)):
            if progress is not None:
                progress(step, len(runs), None, f"judging {name}")
            models[name] = _contend(run, sample.events, sample.batches[step], recipe, expectation)
        found = Comparison(sample.events, models)
        metrics = comparison_metrics(found, sample.counts)
        folder.write_metrics(metrics)
        folder.note({"skipped_files": {**sample.skipped}})
        figures = draw_comparison(folder.figures, found)
        write_report(
            comparison_page(found, figures, _provenance(runs, request, sample)), folder.path / "report.html"
        )  # fmt: skip
    return {
        "report": str(request.output / "report.html"),
        "test_events": number,
        "ranking": list(found.ranking),
        "auc": {name: round(found.models[name].judged.mean_auc.value, 4) for name in found.ranking},
        "seconds": round(time.monotonic() - started, 2),
    }


def recipes_of(words: list[str]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Turn ``RUN`` or ``RECIPE=RUN`` words into the runs and the names of their recipes.

    Args:
        words: What the command line says; runs of one recipe and of several training sizes make a learning curve.
    """
    pairs = [word.partition("=") for word in words]
    recipes = tuple(name if equals else "" for name, equals, _ in pairs)
    return tuple(Path(path if equals else name) for name, equals, path in pairs), recipes


def open_comparable(request: JudgeRequest) -> dict[str, ClassifierRun]:
    """Open the runs of a comparison, by names that tell them apart.

    Raises:
        ConfigError: If there is only one, or the files to judge on are not named.
        DataError: If one is named twice, is a copy of another, or cannot be compared with the first.
        ModelError: If a run folder holds no usable classifier.
    """
    if len(request.runs) < 2:
        raise ConfigError("One run alone cannot be compared; name two or more, or use `castalia classify evaluate`.")
    runs = {
        name: ClassifierRun.open(path) for name, path in zip(distinct_names(request.runs), request.runs, strict=True)
    }
    for (name, first), (other_name, other) in combinations(runs.items(), 2):
        if first.sha256 == other.sha256:
            raise DataError(f"{other_name}: is a copy of {name}, with the same model; name every run once.")
    (name, first), *others = runs.items()
    for other_name, other in others:
        if first.classes != other.classes:
            raise DataError(
                f"{other_name}: tells {', '.join(other.classes)} apart, {name} {', '.join(first.classes)}; compare "
                "runs of the same classes in the same order."
            )
    return runs


def _contend(
    run: ClassifierRun, events: JudgedClasses, batch: Batch, recipe: str, expectation: Expectation | None
) -> Contender:
    trained = run.folder.record.results.get("training_events")
    if not isinstance(trained, int):
        raise ModelError(f"{run.folder.path}: run.json does not say how many events it learned from; train it anew.")
    return Contender(
        judge(events, run.probabilities(batch), expectation),
        recognised_relations(run, batch),
        recipe,
        trained / len(run.classes),
        sum(one.numel() for one in run.estimator.parameters() if one.requires_grad),
    )


def _provenance(runs: Mapping[str, ClassifierRun], request: JudgeRequest, sample: JudgedSample) -> dict[str, Any]:
    return {
        "castalia": __version__,
        "command": "classify compare",
        "runs": {
            name: {
                "run": str(path),
                "model": run.sha256,
                "preset": run.config.model.preset,
                "estimator": type(run.estimator).__name__,
                "training seed": run.config.training.seed,
            }
            for (name, run), path in zip(runs.items(), request.runs, strict=True)
        },
        "seed": request.seed,
        "files": dict(sample.checksums),
        **({"skipped files": dict(sample.skipped)} if sample.skipped else {}),
        "rename": dict(request.rename),
        "test events": sample.counts,
    }
