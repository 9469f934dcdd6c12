"""Training of a response model: files to a run folder that holds the model, its companions and all that made them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from castalia import __version__
from castalia.apps.simulate.config import SimulateConfig, parse_config
from castalia.apps.simulate.model import NOMINAL
from castalia.data.schema import Schema
from castalia.estimators.arrays import to_numpy
from castalia.estimators.registry import build
from castalia.estimators.storage import model_hash, save_model
from castalia.runs.batches import learned_batch, learned_events, load_checked
from castalia.runs.configuration import load_config
from castalia.runs.dry_run import estimate_training
from castalia.runs.efficiency import efficiency_task
from castalia.runs.fitting import ModelTask, StepProgress, fit_models, member_tasks
from castalia.runs.folder import RunFolder
from castalia.runs.inputs import Inputs, condition_ranges, open_inputs, schema_with_ranges
from castalia.runs.opening import open_run, refuse_place
from castalia.runs.validation import target_scales
from castalia.training.fit import FitResult, fit

__all__ = ["train"]

FLAG = "[efficiency]"  # where the configuration tells lost events


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
    """Train the configured response model, its members and efficiency, and the parametric-smearing rival.

    Only events of the training split are learned from, those of the validation split choose the best epoch, and
    those of the test split are never read beyond their identifiers.

    Args:
        config_path: TOML file.
        run_path: Run folder to create, or to go on with.
        seed: Instead of the configuration's.
        resume: Go on from the last checkpoint of ``run_path``; bit-identical to never having stopped.
        overwrite: Replace an existing run folder.
        skip_bad: Number of unusable rows to leave out and count.
        skip_bad_files: Leave out whole files that cannot be used, and record them.
        dry_run: Check the inputs, time one batch, write nothing.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, best epoch and value, seconds, model hash.

    Raises:
        ConfigError: If the configuration is wrong, the folder exists, or ``resume`` meets another configuration.
        DataError: If a file, column or row cannot be used.
        MachineError: If the folder is in use or the loss is not finite.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    started = time.monotonic()
    config = load_config(parse_config, config_path, seed)
    inputs = open_inputs(config.features(), skip_bad_files)
    if dry_run:
        return _estimate(config, inputs, skip_bad)
    refuse_place(run_path, resume, overwrite)
    # Everything that can be wrong with the input is found before the run folder is touched.
    prepared = _prepare(config, inputs, skip_bad)
    folder = open_run(
        run_path,
        "simulate",
        config,
        parse_config,
        seed=config.training.seed,
        schema=prepared.schema,
        checksums=inputs.checksums,
        splits=inputs.splits,
        resume=resume,
        overwrite=overwrite,
    )
    with folder.lock(), folder.logging():
        result = _fit_all(config, prepared, folder, resume, progress)
        counts = prepared.counts
        best = {"best_epoch": result.best_epoch, "best_value": result.best_value}
        folder.finish({**best, **counts, "skipped_files": {**inputs.skipped}})
    return {
        "run": str(run_path),
        "model": model_hash(folder.models / NOMINAL),
        "best_epoch": result.best_epoch,
        "best_value": result.best_value,
        "epochs": result.epochs,
        **counts,
        "skipped_files": len(inputs.skipped),
        "seconds": round(time.monotonic() - started, 2),
    }


@dataclass(frozen=True)
class _Prepared:
    """What is trained, on what."""

    nominal: ModelTask
    efficiency: ModelTask | None
    schema: Schema
    counts: dict[str, int]


def _prepare(config: SimulateConfig, inputs: Inputs, skip_bad: int) -> _Prepared:
    features = inputs.features
    name, options = config.model.resolve()
    estimator = build(name, options, features.layout, config.training.seed)
    training = load_checked(inputs, "train", skip_bad, config.training, FLAG)
    validation = load_checked(inputs, "validation", skip_bad, config.training, FLAG)
    events = learned_events(estimator, training, validation)
    extra = {
        "castalia": __version__,
        "condition_ranges": condition_ranges(features, training.arrays),
        "target_scales": target_scales(
            features.layout, to_numpy(events.training.target.flat).astype(np.float64)
        ).tolist(),
    }
    nominal = ModelTask(
        name=NOMINAL,
        estimator=estimator,
        layout=features.layout,
        training=events.training,
        validation=events.validation,
        settings=config.training,
        extra=extra,
        nominal=True,
        metrics=True,
        seen=events.seen,
    )
    efficiency = efficiency_task(features, training, validation, config.training, {}, extra)
    return _Prepared(nominal, efficiency, schema_with_ranges(features, training.arrays), events.counts)


def _fit_all(
    config: SimulateConfig, prepared: _Prepared, folder: RunFolder, resume: bool, progress: StepProgress | None
) -> FitResult:
    """Train every model of the run, the nominal one first."""
    nominal, rival = prepared.nominal, build("parametric_smearing", {}, prepared.nominal.layout)
    # The rival is measured, not optimised: only the treatment of weights applies to it.
    fit(rival, nominal.training, None, config.training.model_copy(update={"metric": "loss"}))
    save_model(folder.models / "rival", rival, nominal.layout, nominal.extra)
    last = [] if prepared.efficiency is None else [prepared.efficiency]
    tasks = chain(member_tasks(nominal, config.model), last)
    return fit_models(tasks, config.model.members + len(last), folder, resume, progress)[0]


def _estimate(config: SimulateConfig, inputs: Inputs, skip_bad: int) -> dict[str, Any]:
    """Read and check the training events and estimate what learning from them takes."""
    batch = learned_batch(load_checked(inputs, "train", skip_bad, config.training, FLAG))
    name, options = config.model.resolve()
    estimator = build(name, options, inputs.features.layout, config.training.seed)
    estimate = estimate_training(estimator, batch, config.training, config.model.members)
    return {"dry_run": True, "estimator": name, "entries": inputs.entries, **estimate}
