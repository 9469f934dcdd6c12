"""Training of a model of background hits: files to a run folder that holds the model and all that made it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from castalia import __version__
from castalia.apps.pixels.config import ARRAY, PRESET, PixelsConfig, parse_config
from castalia.apps.pixels.events import PixelSample, to_batch, with_hits
from castalia.apps.pixels.reading import hit_columns
from castalia.data.schema import Schema
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSOR_LADDER, SENSOR_LAYER, SENSOR_NUMBER
from castalia.detectors.pxd.images import occupancy
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Batch, Estimator, Sampler
from castalia.estimators.registry import build
from castalia.estimators.storage import model_hash
from castalia.runs.configuration import load_config
from castalia.runs.dry_run import estimate_training
from castalia.runs.fitting import ModelTask, StepProgress, fit_models
from castalia.runs.inputs import Inputs, condition_ranges, open_inputs, schema_with_ranges
from castalia.runs.opening import open_run, refuse_place
from castalia.training.weights import check_weights

__all__ = ["APPLICATION", "BACKGROUND", "TrainRequest", "train"]

log = logging.getLogger(__name__)

APPLICATION: Final = "pixels"
"""Whose run a training is, in ``run.json``."""

BACKGROUND: Final = "background"
"""Name of the model's folder."""

_MANY_HITS: Final = 20  # on average, of a sensor of which an event without any is no accident


@dataclass(frozen=True)
class TrainRequest:
    """What ``castalia pixels train`` was asked for; see its ``--help`` for each field."""

    config: Path
    output: Path
    seed: int | None = None
    resume: bool = False
    overwrite: bool = False
    skip_bad: int = 0
    skip_bad_files: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class _Prepared:
    """What is trained, on what."""

    task: ModelTask
    schema: Schema
    results: dict[str, Any]


def train(request: TrainRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Train the configured model of background hits.

    Only events of the training split are learned from, those of the validation split choose the best epoch, and
    those of the test split are never read beyond their identifiers. A sensor without a hit in all training events is
    warned of and recorded: the model leaves it empty. So are events in which a sensor of many hits has none.

    Args:
        request: What was asked for.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, hits, best epoch and value, seconds, model hash.

    Raises:
        ConfigError: If the configuration is wrong, the folder exists, or ``resume`` meets another configuration.
        DataError: If a file, column or row cannot be used, or no training event has a hit.
        MachineError: If the folder is in use or the loss is not finite.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    started = time.monotonic()
    config = load_config(parse_config, request.config, request.seed)
    estimator = _built(config)
    inputs = open_inputs(config.features(), request.skip_bad_files, hit_columns)
    if request.dry_run:
        batch = to_batch(_read(inputs, "train", request.skip_bad))
        estimate = estimate_training(estimator, batch, config.training, models=1)
        return {"dry_run": True, "estimator": type(estimator).__name__, "entries": inputs.entries, **estimate}
    refuse_place(request.output, request.resume, request.overwrite)
    # Everything that can be wrong with the input is found before the run folder is touched.
    prepared = _prepare(config, estimator, inputs, request.skip_bad)
    folder = open_run(
        request.output,
        APPLICATION,
        config,
        parse_config,
        seed=config.training.seed,
        schema=prepared.schema,
        checksums=inputs.checksums,
        splits=inputs.splits,
        resume=request.resume,
        overwrite=request.overwrite,
    )
    with folder.lock(), folder.logging():
        result = fit_models([prepared.task], 1, folder, request.resume, progress)[0]
        best = {"best_epoch": result.best_epoch, "best_value": result.best_value}
        folder.finish({**best, **prepared.results, "skipped_files": {**inputs.skipped}})
    return {
        "run": str(request.output),
        "model": model_hash(folder.models / BACKGROUND),
        **best,
        "epochs": result.epochs,
        **prepared.results,
        "skipped_files": len(inputs.skipped),
        "seconds": round(time.monotonic() - started, 2),
    }


def _built(config: PixelsConfig) -> Estimator:
    name, options = config.estimator()
    estimator = build(name, options, config.layout, config.training.seed)
    if not isinstance(estimator, Sampler):
        raise ConfigError(f"The estimator '{name}' cannot sample; take the preset '{PRESET}'.")
    return estimator


def _read(inputs: Inputs, split: Literal["train", "validation"], skip_bad: int) -> PixelSample:
    return with_hits(inputs.load(split, skip_bad), inputs.features, skip_bad=skip_bad)


def _prepare(config: PixelsConfig, estimator: Estimator, inputs: Inputs, skip_bad: int) -> _Prepared:
    training = _read(inputs, "train", skip_bad)
    validation = _read(inputs, "validation", skip_bad - training.counts["skipped"])
    batches = _checked_batch(training, "training"), _checked_batch(validation, "validation")
    both = (training, validation)
    features = inputs.features
    task = ModelTask(
        name=BACKGROUND,
        estimator=estimator,
        layout=config.layout,
        training=batches[0],
        validation=batches[1],
        settings=config.training,
        extra={"castalia": __version__, "condition_ranges": condition_ranges(features, training.arrays)},
        nominal=True,
        seen=np.concatenate([one.contents() for one in both]),
    )
    results = {
        "training_events": len(training),
        "validation_events": len(validation),
        "training_hits": len(training.hits.event),
        "sensors_without_hits": _empty_sensors(training.hits, inputs),
        "readouts_without_hits": _silent_readouts(training.hits),
        **{what: sum(one.counts[what] for one in both) for what in ("unselected", "skipped")},
    }
    return _Prepared(task, schema_with_ranges(features, training.arrays), results)


def _checked_batch(sample: PixelSample, name: str) -> Batch:
    """Return the batch of a sample whose weights a model can be trained with."""
    batch = to_batch(sample)
    check_weights(batch, name)
    return batch


def _empty_sensors(hits: PixelHits, inputs: Inputs) -> list[str]:
    """Return the sensors without a hit in all events, named as basf2 does, and warn of them.

    Raises:
        DataError: If no sensor has any.
    """
    empty = np.flatnonzero(np.bincount(hits.sensor, minlength=ARRAY.sensors) == 0)
    if len(empty) == ARRAY.sensors:
        raise DataError(f"{', '.join(inputs.checksums)}: no training event has a hit; give files with pixel hits.")
    names = [f"{SENSOR_LAYER[one]}.{SENSOR_LADDER[one]}.{SENSOR_NUMBER[one]}" for one in empty]
    if names:
        log.warning("no training event has a hit in sensor %s, which the model will leave empty", ", ".join(names))
    return names


def _silent_readouts(hits: PixelHits) -> int:
    """Return how often a sensor is without a hit in an event though it has many on average, and warn of it.

    A sensor that was off looks like one that saw nothing: one such event in a hundred makes the model draw numbers of
    hits that vary far more than they do.
    """
    counts = occupancy(hits)
    silent = (counts == 0) & (counts.mean(axis=0) >= _MANY_HITS)
    number, events = int(silent.sum()), int(silent.any(axis=1).sum())
    if number:
        log.warning(
            "%d training events have %d sensors without a hit where others have %d or more on average; if these were "
            "not read out, leave the events out by `selection`: the model takes them for background that varies",
            events, number, _MANY_HITS,
        )  # fmt: skip
    return number
