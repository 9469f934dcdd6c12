"""How well a decay-aware classifier recognises the relations of objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from castalia.apps.classify.faces import Related
from castalia.apps.classify.model import ClassifierRun
from castalia.data.typed_objects import ANCESTRY, OBJECTS
from castalia.errors import ConfigError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch
from castalia.estimators.classification.relations import relation_classes
from castalia.metrics.relations import RelationAccuracy, relation_accuracy

__all__ = ["Relations", "recognised_relations"]

_CHUNK = 4_096


@dataclass(frozen=True)
class Relations:
    """Recognition of relations by name, "unrelated" last."""

    names: tuple[str, ...]
    found: RelationAccuracy


def recognised_relations(run: ClassifierRun, batch: Batch) -> Relations | None:
    """Measure the recognition of relations; ``None`` where the model tells none or the events have no ancestors.

    Objects of a type that has no ancestors in any event, as missing momentum, are left out: their pairs are unrelated
    by definition.

    Args:
        run: The classifier.
        batch: Events that it did not learn from.

    Raises:
        DataError: If no pair of objects counts.
    """
    ancestry, estimator = batch.target.objects.get(ANCESTRY), run.estimator
    if ancestry is None or not isinstance(estimator, Related):
        return None
    try:
        with torch.inference_mode():
            named = np.concatenate(
                [to_numpy(estimator.relation_logits(part.condition).argmax(dim=-1)) for part in batch.chunks(_CHUNK)]
            )
    except ConfigError:  # it was trained without relations
        return None
    objects = batch.condition.objects[OBJECTS]
    kind = np.asarray(to_numpy(objects.values[..., -1].round()), dtype=np.int64)
    mask = np.asarray(to_numpy(objects.mask), dtype=np.bool_)
    numbers = np.asarray(to_numpy(ancestry.values.round()), dtype=np.int64)
    descended = np.isin(kind, np.unique(kind[mask & (numbers != 0).any(axis=-1)])) & mask
    counted = descended[:, :, None] & descended[:, None] & ~np.eye(mask.shape[1], dtype=np.bool_)
    types = len(run.config.objects)
    found = relation_accuracy(
        named.astype(np.int64),
        np.asarray(to_numpy(relation_classes(ancestry)), dtype=np.int64),
        counted,
        np.asarray(to_numpy(batch.weight), dtype=np.float64),
        kind[:, :, None] * types + kind[:, None],
        numbers.shape[-1] + 1,
    )
    return Relations((*run.config.relations, "unrelated"), found)
