"""Labelled events: those of all classes in one sample, each class with the same sum of weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from castalia.apps.classify.config import LABEL, ClassifyConfig
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.loading import LoadedArrays, content_keys
from castalia.data.typed_objects import ANCESTRY
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.base import Batch
from castalia.training.weights import check_weights

__all__ = [
    "Sample",
    "balanced",
    "check_event_weights",
    "equal_sums",
    "event_batch",
    "given_objects",
    "labelled",
    "object_keys",
    "of_class",
]

log = logging.getLogger(__name__)

Sample: TypeAlias = Literal["training", "validation", "test"]
"""What events are for, in messages too."""

_FEWEST_VALIDATED: Final = 20  # of a class: with fewer, the best epoch and the temperature follow a handful of events


@contextmanager
def of_class(name: str) -> Iterator[None]:
    """Name the class in errors of its files; an empty name stands for the files of all.

    Raises:
        DataError: What was raised, with the class in front.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"class '{name}': {error}" if name else str(error)) from error


def labelled(samples: Mapping[str, LoadedArrays], config: ClassifyConfig) -> LoadedArrays:
    """Put the events of all classes into one sample, with the number of the class as the first target.

    Args:
        samples: The events of each class by its name, or all under ``""`` where a column tells the class.
        config: What the classes are.

    Raises:
        DataError: If a file is one of two classes, an event is of no known class, or a class has no events.
    """
    _distinct(samples)
    loaded = _joined([_with_class(config, name, one) for name, one in samples.items()])
    target = loaded.arrays.target
    counts = np.bincount(np.empty(0, dtype=np.int64) if target is None else target[:, 0].astype(np.int64))
    for number, name in enumerate(config.classes):
        if number >= len(counts) or not counts[number]:
            raise DataError(
                f"{', '.join(loaded.hashes)}: none of the {len(loaded.keys)} events is of class '{name}'; give events "
                "of it, or take it out of [classes]."
            )
    return loaded


def balanced(loaded: LoadedArrays, config: ClassifyConfig, sample: Sample) -> LoadedArrays:
    """Scale the weights so that every class has the same sum, and a mean of one over all events.

    Args:
        loaded: What ``labelled`` returned.
        config: What the classes are.
        sample: What the events are for.

    Raises:
        ConfigError: If weights to learn from are negative.
        DataError: If a weight is not finite, or those of a class have no positive sum.
    """
    arrays = loaded.arrays
    check_event_weights(event_batch(arrays), sample)
    if arrays.target is None:
        return loaded
    label, classes = arrays.target[:, 0].astype(np.int64), tuple(config.classes)
    counts = np.bincount(label, minlength=len(classes))
    if sample == "validation" and counts.min() < _FEWEST_VALIDATED:
        log.warning(
            "class '%s' has only %d validation events, which choose the best epoch and the temperature; give more",
            classes[int(counts.argmin())],
            counts.min(),
        )
    weight = equal_sums(arrays.weight, label, classes, sample)
    return replace(loaded, arrays=replace(arrays, weight=weight))


def check_event_weights(batch: Batch, sample: Sample) -> None:
    """Refuse weights that cannot be used, and log the effective sample size.

    Metrics take weights of either sign, a training does not: the loss has no minimum where an event counts against it.

    Args:
        batch: The events.
        sample: What they are for.

    Raises:
        ConfigError: If weights to learn from are negative.
        DataError: If there is no event, a weight is not finite, or all are zero.
    """
    negative = int((batch.weight < 0).sum())
    if negative and sample != "test":
        raise ConfigError(
            f"{negative} of {len(batch)} {sample} events have negative weights, for which the loss has no minimum, and "
            "positive_reweighting knows no objects; train on events of positive weight, or on all without [data] "
            "weight. Weights of either sign can be judged with."
        )
    check_weights(replace(batch, weight=batch.weight.abs()), sample)


def equal_sums(
    weight: NDArray[np.float64], label: NDArray[np.int64], classes: Sequence[str], sample: Sample
) -> NDArray[np.float64]:
    """Return weights whose sum is the same for every class, with a mean of one over all events.

    Args:
        weight: Event weights, shape ``(events,)``.
        label: Number of each event's class, same shape.
        classes: Names of the classes.
        sample: What the events are for.

    Raises:
        DataError: If those of a class have no positive sum.
    """
    result = weight.copy()
    for number, name in enumerate(classes):
        own = label == number
        total = result[own].sum()
        if total <= 0.0:
            raise DataError(
                f"the weights of the {int(own.sum())} {sample} events of class '{name}' sum to {total:g}, and a "
                "positive sum is needed; check the weight column."
            )
        result[own] *= len(result) / (len(classes) * total)
    return result


def event_batch(arrays: FeatureArrays) -> Batch:
    """Turn events into a batch; the ancestors of objects, where they are known, belong to the target."""
    batch = batch_from_arrays(
        arrays.condition, arrays.target, arrays.weight, index=arrays.row, objects=given_objects(arrays)
    )
    if ANCESTRY not in arrays.objects:
        return batch
    target = np.zeros((len(batch), 0)) if arrays.target is None else arrays.target
    return replace(batch, target=events_from_array(target, objects={ANCESTRY: arrays.objects[ANCESTRY]}))


def given_objects(arrays: FeatureArrays) -> dict[str, ObjectArrays]:
    """Return the lists of objects that a model is given: all but the ancestors."""
    return {name: one for name, one in arrays.objects.items() if name != ANCESTRY}


def object_keys(arrays: FeatureArrays) -> NDArray[np.uint64]:
    """Return a key of what is given of each event, the same in whatever file it comes and whatever its class.

    Returns:
        Keys, shape ``(events,)``; see ``castalia.data.copies.content_keys``.
    """
    lists = [one.values.reshape(len(one.mask), -1) for one in given_objects(arrays).values()]
    given = np.concatenate([arrays.condition, *lists], axis=1)
    return content_keys(replace(arrays, condition=given, reference=arrays.reference[:, :0], target=None))


def _distinct(samples: Mapping[str, LoadedArrays]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for name, loaded in samples.items():
        for path, digest in loaded.hashes.items():
            other, known = first.setdefault(digest, (name, path))
            if other != name:
                raise DataError(f"{path}: is a file of class '{name}' and, as {known}, of class '{other}'; keep one.")


def _with_class(config: ClassifyConfig, name: str, loaded: LoadedArrays) -> LoadedArrays:
    """Put the number of the class in front of the targets, in the place of a label where there is one."""
    arrays = loaded.arrays
    target = np.empty((len(arrays.row), 0)) if arrays.target is None else arrays.target
    if name:
        label = np.full(len(arrays.row), float(list(config.classes).index(name)))
    else:
        label, target = _numbered(config, loaded, target[:, 0]), target[:, 1:]
    target = np.column_stack([label, target])
    return replace(loaded, arrays=replace(arrays, target=target, reference=np.zeros_like(target)))


def _numbered(config: ClassifyConfig, loaded: LoadedArrays, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn the values of a label column into numbers of classes."""
    known = np.array([float(value) for value in config.classes.values() if isinstance(value, int)])
    same = values[:, None] == known
    unknown = ~same.any(axis=1)
    if unknown.any():
        first = int(np.argmax(unknown))
        file, row = loaded.locate(int(loaded.arrays.row[first]))
        raise DataError(
            f"{file}: column '{config.label}' is {values[first]:g} in row {row}, which is no {LABEL} of [classes] "
            f"({int(unknown.sum())} such events); add it there, or leave such events out by a selection."
        )
    return np.asarray(same.argmax(axis=1), dtype=np.float64)


def _joined(samples: list[LoadedArrays]) -> LoadedArrays:
    """Put samples one after the other; ``row`` goes on counting from one to the next."""
    starts = np.cumsum([0, *(one.counts["read"] for one in samples)])
    parts = [replace(one.arrays, row=one.arrays.row + start) for one, start in zip(samples, starts[:-1], strict=True)]
    return LoadedArrays(
        FeatureArrays.concatenate(parts),
        np.concatenate([one.keys for one in samples]),
        {what: sum(one.counts[what] for one in samples) for what in samples[0].counts},
        {path: digest for one in samples for path, digest in one.hashes.items()},
        tuple(int(first + start) for one, start in zip(samples, starts[:-1], strict=True) for first in one.first_rows),
    )
