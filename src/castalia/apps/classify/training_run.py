"""What training and pre-training share: a request, what is prepared for it, and a run folder filled by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from castalia import __version__
from castalia.apps.classify.events import event_batch, given_objects, object_keys
from castalia.data.features import Features
from castalia.data.layout import Layout
from castalia.data.loading import LoadedArrays
from castalia.data.schema import Schema
from castalia.data.typed_objects import OBJECTS
from castalia.errors import DataError
from castalia.estimators.base import Estimator
from castalia.estimators.storage import model_hash
from castalia.runs.batches import CHUNK
from castalia.runs.dry_run import estimate_training
from castalia.runs.fitting import ModelTask, StepProgress, fit_models
from castalia.runs.inputs import Inputs, schema_with_ranges
from castalia.runs.opening import open_run, refuse_place
from castalia.runs.ranges import seen_ranges
from castalia.training.config import TrainingConfig

__all__ = ["Prepared", "TrainRequest", "check_types", "counts_of", "fit_run", "model_task", "schema_of"]


@dataclass(frozen=True)
class TrainRequest:
    """What ``castalia classify train`` or ``pretrain`` was asked for; see its ``--help`` for each field."""

    config: Path
    output: Path
    pretrained: Path | None = None
    seed: int | None = None
    resume: bool = False
    overwrite: bool = False
    skip_bad: int = 0
    skip_bad_files: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Prepared:
    """What is trained, on what.

    Attributes:
        application: Whose run it is, for ``run.json``.
        nominal: The nominal model.
        tasks: All models, the nominal one first.
        models: How many there are.
        inputs: The files of each class, or of all.
        schema: Columns of the input, with the ranges of what is given once an event.
        checksums: SHA-256 of what the models depend on besides, by name.
        results: What is to be remembered of the training, beside its best epoch; what it finds out itself is added.
    """

    application: str
    nominal: ModelTask
    tasks: Iterable[ModelTask]
    models: int
    inputs: tuple[Inputs, ...]
    schema: Schema
    checksums: Mapping[str, str]
    results: dict[str, Any]


def fit_run(
    request: TrainRequest,
    config: Any,
    parse: Callable[[str, Path, Path], Any],
    prepare: Callable[[], Prepared],
    progress: StepProgress | None,
) -> dict[str, Any]:
    """Fill a run folder, or estimate what that takes.

    Args:
        request: What was asked for.
        config: The resolved configuration.
        parse: How the text of a configuration is read.
        prepare: Reads the files; everything that can be wrong with them is found before the run folder is touched.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, best epoch and value, seconds, model hash.

    Raises:
        ConfigError: If the folder exists, or ``resume`` meets another configuration.
        DataError: If a file, column or row cannot be used.
        MachineError: If the folder is in use or the loss is not finite.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    started = time.monotonic()
    if not request.dry_run:
        refuse_place(request.output, request.resume, request.overwrite)
    prepared = prepare()
    nominal, inputs = prepared.nominal, prepared.inputs
    if request.dry_run:
        entries = sum(one.entries for one in inputs)
        estimate = estimate_training(nominal.estimator, nominal.training, config.training, prepared.models)
        return {"dry_run": True, "estimator": type(nominal.estimator).__name__, "entries": entries, **estimate}
    skipped = {name: reason for one in inputs for name, reason in one.skipped.items()}
    folder = open_run(
        request.output,
        prepared.application,
        config,
        parse,
        seed=config.training.seed,
        schema=prepared.schema,
        checksums={**{name: digest for one in inputs for name, digest in one.checksums.items()}, **prepared.checksums},
        splits={name: use for one in inputs for name, use in one.splits.items()},
        resume=request.resume,
        overwrite=request.overwrite,
    )
    with folder.lock(), folder.logging():
        result = fit_models(prepared.tasks, prepared.models, folder, request.resume, progress)[0]
        best = {"best_epoch": result.best_epoch, "best_value": result.best_value}
        folder.finish({**best, **prepared.results, "skipped_files": {**skipped}})
    return {
        "run": str(request.output),
        "model": model_hash(folder.models / nominal.name),
        **best,
        "epochs": result.epochs,
        **prepared.results,
        "skipped_files": len(skipped),
        "seconds": round(time.monotonic() - started, 2),
    }


def model_task(
    name: str, estimator: Estimator, layout: Layout, loaded: tuple[LoadedArrays, LoadedArrays], settings: TrainingConfig
) -> ModelTask:
    """Return the training of a model of typed objects.

    Args:
        name: Its folder among the run's models.
        estimator: Untrained.
        layout: Its variables.
        loaded: Training and validation events, as the model is to see them.
        settings: How it is trained.

    Raises:
        DataError: If no training event has an object of one of the types, or a value cannot be used.
    """
    training, validation = loaded
    batches = event_batch(training.arrays), event_batch(validation.arrays)
    if estimator.objectives():  # otherwise preparing is all the training there is, and need not be done twice
        estimator.prepare(batches[0].chunks(CHUNK))
    given = replace(training.arrays, objects=given_objects(training.arrays))
    return ModelTask(
        name=name,
        estimator=estimator,
        layout=layout,
        training=batches[0],
        validation=batches[1],
        settings=settings,
        extra={"castalia": __version__, "ranges": seen_ranges(layout, given)},
        nominal=True,
        seen=np.concatenate([object_keys(one.arrays) for one in loaded]),
    )


def check_types(types: Sequence[str], loaded: LoadedArrays) -> None:
    """Refuse training events none of which has an object of one of the types.

    Args:
        types: Names of the types, in order.
        loaded: Training events.

    Raises:
        DataError: If there is such a type.
    """
    objects = loaded.arrays.objects[OBJECTS]
    kinds = np.unique(objects.values[objects.mask][:, -1])
    for number, name in enumerate(types):
        if number not in kinds:
            raise DataError(
                f"{', '.join(loaded.hashes)}: no training event has an object of type '{name}'; correct "
                f"[objects.{name}], or take it away."
            )


def schema_of(features: Features, loaded: LoadedArrays) -> Schema:
    """Return the declared columns with the ranges that variables of whole events span."""
    return schema_with_ranges(features, replace(loaded.arrays, target=None))


def counts_of(training: LoadedArrays, validation: LoadedArrays) -> dict[str, int]:
    """Return the numbers of events learned from and left out."""
    both = (training, validation)
    return {
        "training_events": len(training.keys),
        "validation_events": len(validation.keys),
        **{what: sum(one.counts[what] for one in both) for what in ("unselected", "skipped")},
    }
