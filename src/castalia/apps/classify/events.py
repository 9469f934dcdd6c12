"""Labelled events: those of all classes in one sample, each class with the same sum of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from castalia.apps.classify.config import LABEL, ClassifyConfig
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.loading import LoadedArrays, content_keys
from castalia.data.typed_objects import ANCESTRY
from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.base import Batch
from castalia.training.weights import check_weights

__all__ = ["balanced", "event_batch", "given_objects", "labelled", "object_keys"]


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


def balanced(loaded: LoadedArrays, config: ClassifyConfig, sample: str) -> LoadedArrays:
    """Scale the weights so that every class has the same sum, and a mean of one over all events.

    Args:
        loaded: What ``labelled`` returned.
        config: What the classes are.
        sample: Name in messages, such as ``"training"``.

    Raises:
        ConfigError: If weights are negative.
        DataError: If a weight is not finite, or all of a class are zero.
    """
    arrays = loaded.arrays
    check_weights(event_batch(arrays), sample)
    target, weight = arrays.target, arrays.weight.copy()
    if target is not None:
        for number, name in enumerate(config.classes):
            chosen = target[:, 0] == number
            total = weight[chosen].sum()
            if total <= 0.0:
                raise DataError(
                    f"all {int(chosen.sum())} {sample} events of class '{name}' have weight zero; check the weight "
                    "column."
                )
            weight[chosen] *= len(weight) / (len(config.classes) * total)
    return replace(loaded, arrays=replace(arrays, weight=weight))


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
