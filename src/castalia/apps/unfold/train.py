"""Training of a posterior of the truth: files to a run folder that holds the model and all that made it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from castalia import __version__
from castalia.apps.unfold.config import UnfoldConfig, parse_config
from castalia.apps.unfold.coordinates import TruthCoordinates, leaves_of_columns
from castalia.apps.unfold.frame import Frame
from castalia.apps.unfold.matching import Matching
from castalia.apps.unfold.placed import energy_and_mass
from castalia.data.loading import LoadedArrays, content_keys
from castalia.data.schema import Schema
from castalia.errors import DataError
from castalia.estimators.registry import build
from castalia.estimators.storage import model_hash
from castalia.rng import Stream
from castalia.runs.batches import learned_batch, learned_events
from castalia.runs.configuration import load_config
from castalia.runs.dry_run import estimate_training
from castalia.runs.fitting import ModelTask, StepProgress, fit_models, member_tasks
from castalia.runs.folder import RunFolder
from castalia.runs.inputs import Inputs, open_inputs, schema_with_ranges
from castalia.runs.kept import save_kept, unweighted_rows
from castalia.runs.opening import open_run, refuse_place
from castalia.runs.ranges import seen_ranges
from castalia.training.fit import FitResult
from castalia.training.weights import check_weights

__all__ = ["POSTERIOR", "PRIOR", "train"]

POSTERIOR = "posterior"
"""Name of the nominal model's folder."""

PRIOR = "prior.safetensors"
"""File beside the model with the truth of some training events, of equal weight."""


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
    """Train the configured posterior of the truth, and its members.

    Only events of the training split are learned from, those of the validation split choose the best epoch, and those
    of the test split are never read beyond their identifiers.

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
    if not dry_run:
        refuse_place(run_path, resume, overwrite)
    # Everything that can be wrong with the input is found before the run folder is touched.
    prepared = _prepare(config, inputs, skip_bad)
    if dry_run:
        task = prepared.task
        estimate = estimate_training(task.estimator, task.training, config.training, config.model.members)
        return {"dry_run": True, "estimator": type(task.estimator).__name__, "entries": inputs.entries, **estimate}
    folder = open_run(
        run_path,
        "unfold",
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
        result = _fit_all(config, prepared.task, folder, resume, progress)
        save_kept(folder.models / POSTERIOR / PRIOR, {"leaves": prepared.prior})
        best = {"best_epoch": result.best_epoch, "best_value": result.best_value}
        folder.finish({**best, **prepared.counts, "skipped_files": {**inputs.skipped}})
    return {
        "run": str(run_path),
        "model": model_hash(folder.models / POSTERIOR),
        **best,
        "epochs": result.epochs,
        **prepared.counts,
        "skipped_files": len(inputs.skipped),
        "seconds": round(time.monotonic() - started, 2),
    }


@dataclass(frozen=True)
class _Prepared:
    """What is trained, on what."""

    task: ModelTask
    schema: Schema
    counts: dict[str, int]
    prior: NDArray[np.float64]


def _prepare(config: UnfoldConfig, inputs: Inputs, skip_bad: int) -> _Prepared:
    features = inputs.features
    training, validation = (_with_truth(inputs, split, skip_bad, config) for split in ("train", "validation"))
    coordinates = TruthCoordinates.measured(config.truth.tree(), config.truth.coordinates, _leaves(training))
    matching = Matching(features.layout, coordinates.tree.leaves, config.truth.measured_as)
    layout = matching.with_places(coordinates.variables, coordinates.decays(config.truth.frame))
    name, options = config.model.resolve()
    estimator = build(name, options, layout, config.training.seed)
    frame = Frame(layout, config.truth.frame)
    pair = [
        _encoded(loaded, coordinates, frame, matching, Stream(config.training.seed, "dequantisation", split))
        for split, loaded in (("train", training), ("validation", validation))
    ]
    events = learned_events(estimator, *pair)
    extra = {
        "castalia": __version__,
        "ranges": seen_ranges(layout, training.arrays),
        "masses": {leaf: list(values) for leaf, values in coordinates.masses.items()},
        "largest": energy_and_mass(_leaves(training)).max(axis=0).tolist(),
        "without_frame": int((~frame.found(training.arrays)).sum()),
    }
    task = ModelTask(
        name=POSTERIOR,
        estimator=estimator,
        layout=layout,
        training=events.training,
        validation=events.validation,
        settings=config.training,
        extra=extra,
        nominal=True,
        seen=np.concatenate([content_keys(loaded.arrays) for loaded in (training, validation)]),
    )
    rows = unweighted_rows(training.arrays.weight, Stream(config.training.seed, "kept truth").at())
    schema = schema_with_ranges(features, training.arrays)
    return _Prepared(task, schema, events.counts, _leaves(training)[rows])


def _with_truth(
    inputs: Inputs, split: Literal["train", "validation"], skip_bad: int, config: UnfoldConfig
) -> LoadedArrays:
    """Load the events of a split that have a truth, with weights that a model can be trained on."""
    loaded = inputs.load(split, skip_bad)
    if loaded.arrays.target is None:
        raise DataError("The files hold no columns of the truth to learn from; name files of simulated events.")
    found = loaded.arrays.found
    if found is not None:
        if not found.any():
            raise DataError(f"No {split} event has {config.truth.defined} = 1; there is no truth to learn from.")
        without = {"without_truth": int((~found).sum())}
        loaded = replace(
            loaded, arrays=loaded.arrays.reconstructed, keys=loaded.keys[found], counts=loaded.counts | without
        )
    if not config.training.positive_reweighting:
        check_weights(learned_batch(loaded), "training" if split == "train" else split)
    return loaded


def _encoded(
    loaded: LoadedArrays, coordinates: TruthCoordinates, frame: Frame, matching: Matching, stream: Stream
) -> LoadedArrays:
    """Put the model's targets in the place of the particles' columns, relative to the object that is the frame."""
    reference, leaves = frame.reference(loaded.arrays), _leaves(loaded)
    target = coordinates.relative(coordinates.encode(leaves, stream.at()), reference)
    target = np.column_stack([target, matching.places(leaves, loaded.arrays)])
    arrays = frame.turned(loaded.arrays, reference)
    return replace(loaded, arrays=replace(arrays, target=target, reference=np.zeros_like(target), found=None))


def _leaves(loaded: LoadedArrays) -> NDArray[np.float64]:
    target = loaded.arrays.target
    if target is None:
        raise DataError("The files hold no columns of the truth to learn from; name files of simulated events.")
    return leaves_of_columns(target)


def _fit_all(
    config: UnfoldConfig, task: ModelTask, folder: RunFolder, resume: bool, progress: StepProgress | None
) -> FitResult:
    return fit_models(member_tasks(task, config.model), config.model.members, folder, resume, progress)[0]
