"""Training of a classifier: files of events of known classes to a run folder, from scratch or from a pre-training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from castalia.apps.classify.config import ClassifyConfig, parse_config
from castalia.apps.classify.events import balanced, labelled, of_class
from castalia.apps.classify.faces import Adopting, Calibrated
from castalia.apps.classify.pretrain import Backbone, open_backbone
from castalia.apps.classify.training_run import (
    Prepared,
    TrainRequest,
    check_types,
    counts_of,
    fit_run,
    model_task,
    schema_of,
)
from castalia.data.feature_config import matching_files
from castalia.data.loading import LoadedArrays
from castalia.errors import ConfigError, ModelError
from castalia.estimators.base import Classifier, Estimator
from castalia.estimators.registry import build
from castalia.runs.configuration import ModelConfig, load_config
from castalia.runs.fitting import ModelTask, StepProgress, member_tasks
from castalia.runs.inputs import Inputs, open_inputs

__all__ = ["APPLICATION", "CLASSIFIER", "train"]

log = logging.getLogger(__name__)

APPLICATION = "classify"
"""Whose run a training is, in ``run.json``."""

CLASSIFIER = "classifier"
"""Name of the nominal model's folder."""


def train(request: TrainRequest, progress: StepProgress | None = None) -> dict[str, Any]:
    """Train the configured classifier and its members, and fit their temperatures to validation events.

    Only events of the training split are learned from, those of the validation split choose the best epoch and the
    temperature, and those of the test split are never read beyond their identifiers.

    Args:
        request: What was asked for.
        progress: Called with steps done, steps in all, seconds left and a short text.

    Returns:
        Summary: run folder, events, best epoch and value, temperature, seconds, model hash.

    Raises:
        ConfigError: If the configuration is wrong, the folder exists, ``resume`` meets another configuration, or the
            model cannot begin from the pre-training.
        DataError: If a file, column or row cannot be used, or a class has no events.
        MachineError: If the folder is in use or the loss is not finite.
        ModelError: If the pre-training cannot be used.
        StoppedError: If SIGTERM arrived; the state is saved.
    """
    config = load_config(parse_config, request.config, request.seed)
    backbone = None if request.pretrained is None else open_backbone(request.pretrained)
    return fit_run(request, config, parse_config, lambda: _prepare(config, backbone, request), progress)


def _prepare(config: ClassifyConfig, backbone: Backbone | None, request: TrainRequest) -> Prepared:
    model = config.estimator()
    name, options = model.resolve()
    if options.get("freeze") and backbone is None:
        raise ConfigError("freeze = true would keep an untrained backbone; begin from a pre-training with --from.")
    if config.decorrelation is not None and not options.get("decorrelation"):
        log.warning(
            "scores may follow '%s', as the option decorrelation of [model] is 0; evaluate says how much they do",
            config.decorrelation.column,
        )
    samples = _open_samples(config, request.skip_bad_files)
    training, validation = (_load(config, samples, split, request.skip_bad) for split in ("train", "validation"))
    check_types(tuple(config.objects), training)
    estimator = build(name, options, config.layout, config.training.seed)
    if not isinstance(estimator, Classifier):
        raise ConfigError(f"The estimator '{name}' is no classifier; take the preset 'classify'.")
    nominal = model_task(CLASSIFIER, estimator, config.layout, (training, validation), config.training)
    results: dict[str, Any] = dict(counts_of(training, validation))
    checksums = {}
    if backbone is not None:
        _adopt(estimator, backbone, config)
        results["new_types"] = _new_types(backbone, config, bool(options.get("freeze")))
        # As an input of the run, so that --resume from another one, or from none, is refused like a changed file.
        checksums[str(backbone.path)] = backbone.sha256
    nominal = replace(
        nominal,
        extra={**nominal.extra, "pretrained": None if backbone is None else backbone.sha256},
        finish=lambda fitted: _calibrate(fitted, nominal, results),
    )
    return Prepared(
        application=APPLICATION,
        nominal=nominal,
        tasks=_tasks(nominal, model, backbone, config),
        models=model.members,
        inputs=tuple(samples.values()),
        schema=schema_of(config.features(), training),
        checksums=checksums,
        results=results,
    )


def _open_samples(config: ClassifyConfig, skip_bad_files: bool) -> dict[str, Inputs]:
    """Find and check the files of every class, or of all together."""
    for name, files in config.classes.items():
        if not isinstance(files, int):
            matching_files(files, Path(), f"'{name}' in [classes]")
    inputs = {}
    for name, features in config.samples().items():
        with of_class(name):
            inputs[name] = open_inputs(features, skip_bad_files)
    return inputs


def _load(
    config: ClassifyConfig, samples: Mapping[str, Inputs], split: Literal["train", "validation"], skip_bad: int
) -> LoadedArrays:
    """Load a split of all classes, each with the same sum of weights."""
    loaded = {}
    for name, inputs in samples.items():
        with of_class(name):
            loaded[name] = inputs.load(split, skip_bad)
    return balanced(labelled(loaded, config), config, "training" if split == "train" else split)


def _tasks(
    nominal: ModelTask, model: ModelConfig, backbone: Backbone | None, config: ClassifyConfig
) -> Iterator[ModelTask]:
    for task in member_tasks(nominal, model):
        if backbone is not None and task is not nominal:
            _adopt(task.estimator, backbone, config)
        yield task


def _adopt(estimator: Estimator, backbone: Backbone, config: ClassifyConfig) -> None:
    """Let a classifier begin from a pre-training.

    Raises:
        ModelError: If that knows types of objects that the classifier does not, or has them in another order.
        ConfigError: If the classifier is of another kind or size.
    """
    types = tuple(config.objects)
    if [name for name in types if name in backbone.types] != [*backbone.types]:
        raise ModelError(
            f"{backbone.path}: was pre-trained on objects of the types {', '.join(backbone.types)}, but [objects] "
            f"declares {', '.join(types)}; declare the former among them, in the same order, or pre-train anew."
        )
    if not isinstance(estimator, Adopting):
        raise ConfigError(
            f"A {type(estimator).__name__} has no backbone that could be pre-trained; train it without --from, or take "
            "the preset 'classify'."
        )
    estimator.adopt(backbone.estimator, [types.index(name) for name in backbone.types])


def _new_types(backbone: Backbone, config: ClassifyConfig, freeze: bool) -> list[str]:
    """Return the types that a pre-training does not know, and refuse to keep them untrained."""
    new = [name for name in config.objects if name not in backbone.types]
    if new and freeze:
        raise ConfigError(
            f"freeze = true would keep the untrained embedding of '{new[0]}', of which {backbone.path} knows nothing; "
            "set freeze = false, or pre-train on such objects."
        )
    if new:
        log.warning("%s knows no objects of the types %s; theirs begins untrained", backbone.path, ", ".join(new))
    return new


def _calibrate(estimator: Estimator, nominal: ModelTask, results: dict[str, Any]) -> None:
    """Fit the temperature of a trained classifier; that of the nominal one is remembered."""
    if nominal.validation is None or not isinstance(estimator, Calibrated):
        return
    temperature = estimator.calibrate(nominal.validation)
    log.info("temperature %.4f, from %d validation events", temperature, len(nominal.validation))
    if estimator is nominal.estimator:
        results["temperature"] = temperature
