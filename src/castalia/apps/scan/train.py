"""Training of a scan: the density of events given the parameters, and what else a fit of these needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia import __version__
from castalia.apps.scan.config import ScanConfig, parse_config
from castalia.apps.scan.cross_section import CrossSection
from castalia.apps.scan.events import observable_keys
from castalia.apps.scan.goodness import save_held_out
from castalia.apps.scan.model import BACKGROUND, SIGNAL, background_names
from castalia.apps.scan.points import save_points, some_points
from castalia.data.layout import Layout
from castalia.data.loading import LoadedArrays
from castalia.data.schema import Schema
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch, Density, Estimator, Sampler
from castalia.estimators.registry import build
from castalia.estimators.storage import model_hash
from castalia.runs.batches import LearnedEvents, learned_batch, learned_events, load_checked
from castalia.runs.configuration import load_config
from castalia.runs.dry_run import estimate_training
from castalia.runs.efficiency import efficiency_task
from castalia.runs.fitting import ModelTask, StepProgress, fit_models, member_tasks
from castalia.runs.inputs import Inputs, condition_ranges, open_inputs, schema_with_ranges
from castalia.runs.members import member_training
from castalia.runs.opening import open_run, refuse_place
from castalia.training.config import TrainingConfig

__all__ = ["train"]

FLAG = "selection from [data]"  # what is to be taken away where no event fails the selection
# Smooth in the parameters, as the density is: a fit follows the gradient of the expected number of events.
EFFICIENCY_OPTIONS: dict[str, Any] = {"embedding_bins": 0, "activation": "silu"}


def train(
    config_path: Path,
    run_path: Path,
    *,
    seed: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    skip_bad: int = 0,
    skip_bad_files: bool = False,
    dry_run: bool = False,
    progress: StepProgress | None = None,
) -> dict[str, Any]:
    """Train p(x | theta) and its members and, where they are configured, background, efficiency and cross section.

    Only events of the training split are learned from, those of the validation split choose the best epoch, and
    those of the test split are left for judging.

    Args:
        config_path: TOML file.
        run_path: Run folder to create, or to go on with.
        seed: Instead of the configuration's.
        resume: Go on from the last checkpoints of ``run_path``; bit-identical to never having stopped.
        overwrite: Replace an existing run folder.
        skip_bad: Number of unusable rows of each sample to leave out and count.
        skip_bad_files: Leave out whole files that cannot be used, and record them.
        dry_run: Check the inputs, time one batch, write nothing.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, best epoch and value, seconds, model hash.

    Raises:
        ConfigError: If the configuration is wrong, the folder exists, or ``resume`` meets another configuration.
        DataError: If a file, column or row cannot be used, or a parameter is the same for all events.
        MachineError: If the folder is in use or the loss is not finite.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    started = time.monotonic()
    config = load_config(parse_config, config_path, seed)
    samples = _samples(config, skip_bad_files)
    if dry_run:
        return _estimate(config, samples, skip_bad)
    refuse_place(run_path, resume, overwrite)
    # Everything that can be wrong with the input is found before the run folder is touched.
    prepared = _prepare(config, samples, skip_bad)
    folder = open_run(
        run_path,
        "scan",
        config,
        parse_config,
        seed=config.training.seed,
        schema=prepared.schema,
        checksums={name: digest for sample in samples.values() for name, digest in sample.checksums.items()},
        splits={name: use for sample in samples.values() for name, use in sample.splits.items()},
        resume=resume,
        overwrite=overwrite,
    )
    skipped = {name: reason for sample in samples.values() for name, reason in sample.skipped.items()}
    with folder.lock(), folder.logging():
        tasks = chain(member_tasks(prepared.signal, config.model), prepared.others)
        models = config.model.members + len(prepared.others)
        result = fit_models(tasks, models, folder, resume, progress)[0]
        _keep_beside(folder.models, prepared, config.training.seed)
        best = {"best_epoch": result.best_epoch, "best_value": result.best_value}
        folder.finish({**best, **prepared.counts, "skipped_files": {**skipped}})
    return {
        "run": str(run_path),
        "model": model_hash(folder.models / SIGNAL),
        **best,
        "epochs": result.epochs,
        **prepared.counts,
        "parameter_points": len(prepared.points),
        **({} if prepared.residual is None else {"cross_section_residual": prepared.residual}),
        "skipped_files": len(skipped),
        "seconds": round(time.monotonic() - started, 2),
    }


@dataclass(frozen=True)
class _Prepared:
    """What is trained, on what; the signal first, because its history is that of the run."""

    signal: ModelTask
    others: tuple[ModelTask, ...]
    points: NDArray[np.float64]
    residual: float | None
    schema: Schema
    counts: dict[str, int]


def _samples(config: ScanConfig, skip_bad_files: bool) -> dict[str, Inputs]:
    """Find and check the files of signal and background."""
    signal, background = config.training_features(), config.background_features()
    samples = {SIGNAL: open_inputs(signal, skip_bad_files)}
    if background is not None:
        samples[BACKGROUND] = open_inputs(background, skip_bad_files)
        digests = {digest: name for name, digest in samples[SIGNAL].checksums.items()}
        for name, digest in samples[BACKGROUND].checksums.items():
            if digest in digests:
                raise DataError(f"{name}: is a file of [background] and, as {digests[digest]}, of [data]; keep one.")
    return samples


def _prepare(config: ScanConfig, samples: dict[str, Inputs], skip_bad: int) -> _Prepared:
    features, settings = samples[SIGNAL].features, config.training
    training, validation, learned = _learned(config, samples[SIGNAL], skip_bad)
    selected = training.arrays.reconstructed
    cross_section = _cross_section(config, samples[SIGNAL], skip_bad)
    extra = {
        "castalia": __version__,
        "parameter_ranges": condition_ranges(features, selected),
        "cross_section": None if cross_section is None else asdict(cross_section),
    }
    efficiency = efficiency_task(features, training, validation, settings, EFFICIENCY_OPTIONS, extra)
    others, counts = [] if efficiency is None else [efficiency], dict(learned.events.counts)
    if BACKGROUND in samples:
        options = {} if config.background is None else config.background.options
        _, _, background = _learned(config, samples[BACKGROUND], skip_bad, options)
        others.append(background.task(BACKGROUND, settings, extra))
        others += _more_networks(config, others[-1], options)
        counts.update({f"background_{what}": number for what, number in background.events.counts.items()})
    return _Prepared(
        signal=replace(learned.task(SIGNAL, settings, extra), nominal=True),
        others=tuple(others),
        points=some_points(selected.condition, settings.seed),
        residual=None if cross_section is None else cross_section.residual,
        schema=schema_with_ranges(features, training.arrays),
        counts=counts,
    )


def _more_networks(config: ScanConfig, first: ModelTask, options: Mapping[str, Any]) -> list[ModelTask]:
    """Return the further networks that the background's density is the mean of: other seeds, the same events."""
    found = []
    for number, name in enumerate(background_names(config)[1:], start=1):
        settings = member_training(first.settings, number)
        estimator = _build(config, first.layout, options, settings.seed)
        found.append(replace(first, name=name, estimator=estimator, settings=settings, seen=None))
    return found


@dataclass(frozen=True)
class _Learned:
    """A density and the events that it is trained on."""

    estimator: Estimator
    layout: Layout
    events: LearnedEvents

    def task(self, name: str, settings: TrainingConfig, extra: Mapping[str, Any]) -> ModelTask:
        return ModelTask(
            name=name,
            estimator=self.estimator,
            layout=self.layout,
            training=self.events.training,
            validation=self.events.validation,
            settings=settings,
            extra=extra,
            metrics=True,
            seen=self.events.seen,
        )


def _learned(
    config: ScanConfig, sample: Inputs, skip_bad: int, options: Mapping[str, Any] | None = None
) -> tuple[LoadedArrays, LoadedArrays, _Learned]:
    """Load the events of a sample and prepare a density for those that are selected; ``options`` are its own."""
    layout = sample.features.layout
    estimator = _build(config, layout, options)
    training = load_checked(sample, "train", skip_bad, config.training, FLAG)
    validation = load_checked(sample, "validation", skip_bad, config.training, FLAG)
    points = training.arrays.reconstructed.condition
    for index, (name, parameter) in enumerate(sample.features.condition.items()):
        if np.ptp(points[:, index]) == 0:
            raise DataError(
                f"{', '.join(training.hashes)}: column '{parameter.column}' of [parameters] {name} is "
                f"{points[0, index]:g} in all training events; simulate other values as well, or leave it out."
            )
    keys = [observable_keys(loaded.arrays.reconstructed) for loaded in (training, validation)]
    events = replace(learned_events(estimator, training, validation), seen=np.concatenate(keys))
    return training, validation, _Learned(estimator, layout, events)


def _build(
    config: ScanConfig, layout: Layout, own: Mapping[str, Any] | None = None, seed: int | None = None
) -> Estimator:
    """Build the configured model for signal or background, which may have options and a seed of its own."""
    name, options = config.model.resolve()
    estimator = build(name, {**options, **(own or {})}, layout, config.training.seed if seed is None else seed)
    if not (isinstance(estimator, Density) and isinstance(estimator, Sampler)):
        raise ConfigError(f"The estimator '{name}' has no density or cannot sample; take the preset 'scan'.")
    return estimator


def _cross_section(config: ScanConfig, signal: Inputs, skip_bad: int) -> CrossSection | None:
    """Return the given cross section, or one fitted to a column of all training events, selected or not."""
    if config.expected is None:
        return None
    given, features = config.expected.cross_section, config.cross_section_features()
    if features is None or isinstance(given, float):
        return CrossSection.constant(float(given), len(config.parameters))
    arrays = replace(signal, features=features).load("train", skip_bad).arrays
    values = np.empty(0) if arrays.target is None else arrays.target[:, 0]
    return CrossSection.fit(arrays.condition, values, list(config.parameters), given)


def _keep_beside(models: Path, prepared: _Prepared, seed: int) -> None:
    """Keep what a fit needs beside the densities: the points that were learned from, and held-out events."""
    save_points(models / SIGNAL, prepared.points)
    for task in (prepared.signal, *(other for other in prepared.others if other.name == BACKGROUND)):
        _hold_out(models / task.name, task.validation, seed)


def _hold_out(folder: Path, events: Batch | None, seed: int) -> None:
    """Keep validation events beside their model: they show the goodness of fit what the model gets wrong."""
    if events is not None:
        x, theta, weight = (
            np.asarray(to_numpy(values), dtype=np.float64)
            for values in (events.target.flat, events.condition.flat, events.weight)
        )
        save_held_out(folder, x, theta, weight, seed)


def _estimate(config: ScanConfig, samples: dict[str, Inputs], skip_bad: int) -> dict[str, Any]:
    """Read and check the training events and estimate what learning from them takes; the signal's flows take most."""
    signal = samples[SIGNAL]
    batch = learned_batch(load_checked(signal, "train", skip_bad, config.training, FLAG))
    models = config.model.members + len(background_names(config))
    estimate = estimate_training(_build(config, signal.features.layout), batch, config.training, models)
    return {"dry_run": True, "estimator": config.model.resolve()[0], "entries": signal.entries, **estimate}
