"""Pre-training of a backbone on unlabelled events, measured ones if there are: files to a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from castalia.apps.classify.config import PretrainConfig, parse_pretraining
from castalia.apps.classify.events import Sample, check_event_weights, event_batch
from castalia.apps.classify.training_run import (
    Prepared,
    TrainRequest,
    check_types,
    counts_of,
    fit_run,
    model_task,
    schema_of,
)
from castalia.data.loading import LoadedArrays
from castalia.errors import ModelError
from castalia.estimators.base import Estimator
from castalia.estimators.registry import build
from castalia.estimators.storage import load_model, model_hash
from castalia.runs.configuration import load_config
from castalia.runs.fitting import StepProgress
from castalia.runs.folder import RunFolder
from castalia.runs.inputs import open_inputs

__all__ = ["APPLICATION", "PRETRAINED", "Backbone", "open_backbone", "pretrain"]

APPLICATION = "classify pretrain"
"""Whose run a pre-training is, in ``run.json``."""

PRETRAINED = "pretrained"
"""Name of the model's folder."""


@dataclass(frozen=True)
class Backbone:
    """A finished pre-training.

    Attributes:
        path: Its run folder.
        estimator: The model.
        types: Names of the types of objects, in order.
        sha256: Hash of the saved model.
    """

    path: Path
    estimator: Estimator
    types: tuple[str, ...]
    sha256: str


def pretrain(request: TrainRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Train a model of the objects themselves, whose embedding and encoder a classifier can begin from.

    Args:
        request: What was asked for.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, best epoch and value, seconds, model hash.

    Raises:
        ConfigError: If the configuration is wrong, the folder exists, or ``resume`` meets another configuration.
        DataError: If a file, column or row cannot be used.
        MachineError: If the folder is in use or the loss is not finite.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    config = load_config(parse_pretraining, request.config, request.seed)
    return fit_run(request, config, parse_pretraining, lambda: _prepare(config, request), progress)


def open_backbone(path: Path) -> Backbone:
    """Open the run folder of a finished pre-training.

    Raises:
        ModelError: If the folder is no pre-training, is not finished, or its model is damaged.
    """
    folder = RunFolder.open(path)
    if folder.record.application != APPLICATION:
        raise ModelError(
            f"{path}: is a run of {folder.record.application!r}; give one written by `castalia classify pretrain`."
        )
    if not (folder.models / PRETRAINED).is_dir():
        raise ModelError(f"{path}: has no trained model yet; finish it with `castalia classify pretrain … --resume`.")
    config = parse_pretraining(folder.config_text(), path / "config.toml", path)
    place = folder.models / PRETRAINED
    return Backbone(path, load_model(place).estimator, tuple(config.objects), model_hash(place))


def _prepare(config: PretrainConfig, request: TrainRequest) -> Prepared:
    features, (name, options) = config.features(), config.estimator()
    inputs = open_inputs(features, request.skip_bad_files)
    training, validation = (inputs.load(split, request.skip_bad) for split in ("train", "validation"))
    check_types(tuple(config.objects), training)
    given: dict[Sample, LoadedArrays] = {"training": training, "validation": validation}
    for sample, loaded in given.items():
        check_event_weights(event_batch(loaded.arrays), sample)
    estimator = build(name, options, features.layout, config.training.seed)
    task = model_task(PRETRAINED, estimator, features.layout, (training, validation), config.training)
    return Prepared(
        application=APPLICATION,
        nominal=task,
        tasks=(task,),
        models=1,
        inputs=(inputs,),
        schema=schema_of(features, training),
        checksums={},
        results=dict(counts_of(training, validation)),
    )
