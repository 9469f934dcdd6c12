"""A measurement from a TOML file to a report: unfolded samples, spectra, weights for the simulation, and a verdict."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from castalia import __version__
from castalia.apps.unfold.measurement.by_iterative_bayes import by_iterative_bayes
from castalia.apps.unfold.measurement.config import MeasurementConfig, Method, parse_measurement
from castalia.apps.unfold.measurement.figures import draw_figures
from castalia.apps.unfold.measurement.observed import Observed, Observer
from castalia.apps.unfold.measurement.page import page_of
from castalia.apps.unfold.measurement.problem import one_observable
from castalia.apps.unfold.measurement.repeated import MethodResult, Origin, RepeatSettings, fits_of, repeated, runs_of
from castalia.apps.unfold.measurement.results import gate_reasons, metrics_of
from castalia.apps.unfold.measurement.samples import Samples, read_samples
from castalia.apps.unfold.measurement.verdicts import Measured, genuine_signal, measured, refolded
from castalia.apps.unfold.measurement.weights_file import write_weights
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.apps.unfold.sample_file import write_unfolded
from castalia.errors import DataError, GateError
from castalia.reports.document import write_report
from castalia.runs.configuration import load_config
from castalia.runs.fitting import StepProgress
from castalia.runs.report_folder import ReportFolder, refuse_report

__all__ = ["MeasureRequest", "measure"]

log = logging.getLogger(__name__)

# Of one core: draws of the default preset, and rows that a classifier learns from.
_DRAWS_PER_SECOND, _ROWS_PER_SECOND = 4_000.0, 150_000.0


@dataclass(frozen=True)
class MeasureRequest:
    """What ``castalia unfold measure`` was asked for; see its ``--help`` for each field."""

    config: Path
    output: Path
    seed: int = 1
    skip_bad: int = 0
    skip_bad_files: bool = False
    strict: bool = False
    overwrite: bool = False
    dry_run: bool = False


def measure(request: MeasureRequest, progress: StepProgress | None = None) -> tuple[dict[str, Any], GateError | None]:
    """Unfold data by every method that the file names, and write a report folder.

    Beside ``metrics.json``, ``report.html`` and figures it holds ``unfolded/``, one sample for each method (and, for
    iterative Bayes, observable), and ``weights.parquet`` with factors on the weights of the simulated events.

    Returns:
        Summary of the result, and the error to raise where refolded events do not look like the data (the report is
        complete all the same).

    Raises:
        ConfigError: If the file is wrong, or the report folder exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, events were learned from, there is too much background, or
            ``strict`` meets an event of data outside the training range.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()
    config: MeasurementConfig = load_config(parse_measurement, request.config)
    refuse_report(request.output, request.overwrite)
    model = open_model(Path(config.run))
    observer = Observer(model, config, request.seed)
    samples = read_samples(model, config, request.config.parent, request.skip_bad, request.skip_bad_files)
    counts = _counts(model, samples, request.strict)
    if request.dry_run:
        return {"dry_run": True, **counts, "estimated_seconds": _estimate(config, samples)}, None
    inputs = {**samples.checksums, "model": model.sha256}
    with ReportFolder.create(request.output, "unfold measure", inputs, request.seed, request.overwrite) as folder:
        tick = _ticks(progress, config, samples)
        observed = observer.observe(samples, tick)
        classifiers = config.classifiers(int(observed.problem.simulation.matched.sum()))
        settings = RepeatSettings(config.passes, config.replicas, classifiers, request.seed)
        origin = Origin(samples.checksums, model.sha256, _provenance(config, settings.seed))
        results = _unfold(config, observed, settings, origin, tick)
        found, reasons = _report(folder, observed, results, samples, settings, origin, counts)
    summary = {
        "report": str(request.output / "report.html"),
        "results": [one.name for one in results],
        "passes": {one.name: one.stopped for one in results},
        "outside_training_range": {name: one["outside_training_range"] for name, one in counts.items()},
        "spectra": _shown(found),
        "gate": "failed" if reasons else "passed",
        "seconds": round(time.monotonic() - started, 2),
    }
    return summary, GateError(f"{request.config}: {reasons[0]}") if reasons else None


def _unfold(
    config: MeasurementConfig,
    observed: Observed,
    settings: RepeatSettings,
    origin: Origin,
    tick: Callable[[], None],
) -> list[MethodResult]:
    runs, results = list(runs_of(config.methods, observed.problem)), []
    for method, _, problem in runs:
        if method == "iterative_bayes":  # what it refuses, it refuses before the hours of the others
            by_iterative_bayes(problem, 1, settings.classifiers, settings.seed)
    for method, place, problem in runs:
        varied = {
            name: one if place is None else one_observable(one, place) for name, one in observed.variations.items()
        }
        results.append(repeated(method, problem, varied, observed.members, settings, origin=origin, tick=tick))
    return results


def _report(
    folder: ReportFolder,
    observed: Observed,
    results: Sequence[MethodResult],
    samples: Samples,
    settings: RepeatSettings,
    origin: Origin,
    counts: Mapping[str, Any],
) -> tuple[list[Measured], tuple[str, ...]]:
    """Write everything; return the spectra and what the gate says."""
    genuine = genuine_signal(observed, settings.classifiers, settings.seed)
    found = [measured(observed, one, place, settings) for one in results for place in range(len(one.observables))]
    folded = [refolded(observed, one, genuine, settings.seed) for one in results]
    reasons = gate_reasons(folded)
    folder.write_metrics(metrics_of(found, folded, counts, reasons))
    skipped = {name: why for one in samples.named.values() for name, why in one.skipped_files.items()}
    folder.note({"gate": "failed" if reasons else "passed", "skipped_files": {**skipped}})
    for one in results:
        write_unfolded(folder.path / "unfolded" / f"{one.name}.parquet", one.sample)
    factors = {one.name: one.factors for one in results}
    write_weights(folder.path / "weights.parquet", samples.simulation, factors, settings.seed)
    figures = draw_figures(folder.figures, observed, found, folded, genuine)
    provenance = {**origin.provenance, "model": origin.model, "files": origin.inputs, "events": counts}
    write_report(page_of(found, folded, figures, reasons, provenance), folder.path / "report.html")
    return found, reasons


def _provenance(config: MeasurementConfig, seed: int) -> dict[str, Any]:
    """Return what results and report say of where they come from."""
    return {
        "castalia": __version__,
        "command": "unfold measure",
        "run": config.run,
        "seed": seed,
        "configuration": config.model_dump(mode="json", exclude_none=True),
    }


def _shown(found: Sequence[Measured]) -> dict[str, dict[str, list[str]]]:
    """Return the spectra as a terminal shows them."""
    shown: dict[str, dict[str, list[str]]] = {}
    for one in found:
        pairs = zip(one.spectrum.contents, one.errors("total"), strict=True)
        shown.setdefault(one.observable, {})[one.result.method] = [f"{n:.1f} ± {e:.1f}" for n, e in pairs]
    return shown


def _counts(model: PosteriorModel, samples: Samples, strict: bool) -> dict[str, Any]:
    """Count the events of every sample, and say which are unlike those of the training."""
    counts = {}
    for name, one in samples.named.items():
        flagged = model.outside(one.detector)
        if strict and name == "data" and flagged.any():
            raise DataError(
                f"data: {model.outlier(one.detector.take(flagged))} in row {int(one.rows[one.selected][flagged][0])} "
                "of its files is outside the training range; train on a wider sample, or measure without --strict to "
                "have such events counted."
            )
        if flagged.any():
            log.warning("%s: %d of %d events lie outside the training range", name, flagged.sum(), len(flagged))
        counts[name] = {
            "events": len(one.weights),
            "selected": int(one.selected.sum()),
            **({} if one.truth is None else {"with_truth": int(one.defined.sum())}),
            "skipped": one.skipped,
            "skipped_files": len(one.skipped_files),
            "outside_training_range": int(flagged.sum()),
        }
    return counts


def _unfoldings(config: MeasurementConfig, method: Method) -> int:
    """Return how many times a method is run."""
    return 2 * config.replicas + fits_of(method) * (1 + len(config.variations))


def _ticks(progress: StepProgress | None, config: MeasurementConfig, samples: Samples) -> Callable[[], None]:
    """Count what was done; the posterior's further members are not foreseen."""
    runs = sum(
        _unfoldings(config, one) * (len(config.observables) if one == "iterative_bayes" else 1)
        for one in config.methods
    )
    steps = 2 + len(samples.variations) + runs
    started, done = time.monotonic(), 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            left = (time.monotonic() - started) / done * max(steps - done, 0)
            progress(min(done, steps), steps, left, "")

    return tick


def _estimate(config: MeasurementConfig, samples: Samples) -> float:
    """Return the seconds that a measurement takes, roughly."""
    selected = {name: int(one.selected.sum()) for name, one in samples.named.items()}
    fresh = selected["data"] + sum(n for name, n in selected.items() if name.startswith("background"))
    fakes = int(np.sum(samples.simulation.selected & ~samples.simulation.defined))
    seconds = ((fresh + fakes) * config.draws + 16 * (sum(selected.values()) - fresh)) / _DRAWS_PER_SECOND
    rows: Mapping[str, int] = {
        "omnifold": fresh + 3 * selected["simulation"],
        "posterior": 4 * (fresh + fakes) + int(np.sum(samples.simulation.defined)),
        "iterative_bayes": 0,
    }
    classified = sum(_unfoldings(config, method) * rows[method] for method in config.methods)
    return round(float(seconds + config.passes * config.epochs * classified / _ROWS_PER_SECOND), 1)
