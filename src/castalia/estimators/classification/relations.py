"""Decay relations of pairs of objects: what they are by truth, and a network that tells them from vectors of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.data.typed_objects import ANCESTRY
from castalia.errors import DataError
from castalia.estimators.base import Events, ObjectSet
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.pair_features import PAIRS

__all__ = ["RelationHead", "judged_pairs", "relation_classes"]

_RAREST = 0.01  # pairs of a relation per event below which its weight grows no further


def relation_classes(ancestry: ObjectSet) -> Tensor:
    """Return the relation of each ordered pair of objects.

    Args:
        ancestry: Number of each object's ancestor for each of ``R`` relations; 0 for none.

    Returns:
        The first relation whose ancestor two objects share, or ``R`` for none; shape ``(events, N, N)``, integer.
    """
    numbers = ancestry.values.round()
    shared = (numbers[:, :, None] == numbers[:, None]) & (numbers[:, :, None] != 0)
    unrelated = torch.ones_like(shared[..., :1])
    return torch.cat([shared, unrelated], dim=-1).to(torch.uint8).argmax(-1)  # of equal values the first


def judged_pairs(objects: ObjectTensors, left_out: Sequence[tuple[int, int]]) -> Tensor:
    """Return which pairs have a relation to be told: two different objects that exist, of types not left out.

    Args:
        objects: Objects of the events.
        left_out: Pairs of types that are never told, in either order.

    Returns:
        Shape ``(events, N, N)``.
    """
    mask, types = objects.mask, objects.types
    judged = mask[:, :, None] & mask[:, None] & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    for one, other in left_out:
        between = (types == one)[:, :, None] & (types == other)[:, None]
        judged = judged & ~between & ~between.mT
    return judged


@final
class RelationHead(nn.Module):
    """Logits of the relation of each ordered pair, by a network of both vectors and the pair's own features.

    In its loss every relation counts alike, however rare: a pair has the inverse of its relation's frequency as weight.

    Args:
        width: Features of an object's vector.
        relations: Number of relations, ``R``.
        left_out: Pairs of types whose relation is not told.

    References:
        Decay-aware neural network for event classification in collider physics (arXiv:2212.08759).
    """

    frequency: Tensor

    def __init__(self, width: int, relations: int, left_out: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.left_out = tuple(left_out)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width, bias=False)
        self.pair = nn.Linear(len(PAIRS), width, bias=False)
        self.last = nn.Linear(width, relations + 1)
        self.register_buffer("frequency", torch.ones(relations + 1))
        self._counted, self._weight = torch.zeros(relations + 1, dtype=torch.float64), 0.0

    def forward(self, objects: Tensor, pairs: Tensor) -> Tensor:
        """Return logits.

        Args:
            objects: Vectors of objects, shape ``(events, N, width)``.
            pairs: Features of pairs, shape ``(events, N, N, 4)``.

        Returns:
            Shape ``(events, N, N, R + 1)``, the last one for no relation.
        """
        together = self.first(objects)[:, :, None] + self.second(objects)[:, None] + self.pair(pairs)
        logits: Tensor = self.last(functional.silu(together))
        return logits

    def update(self, target: Events, objects: ObjectTensors, weight: Tensor) -> None:
        """Count the relations of events, each with the size of its weight.

        Raises:
            DataError: If the target has no ancestry of these relations.
        """
        true, judged = self._true(target), judged_pairs(objects, self.left_out)
        size = weight.abs().double()
        each = size[:, None, None].expand(true.shape)[judged]
        self._counted += torch.bincount(true[judged], each, minlength=len(self.frequency)).cpu()
        self._weight += float(size.sum())

    def finish(self) -> None:
        """Store the mean number of pairs of each relation per event, and begin anew."""
        self.frequency.copy_(self._counted / self._weight)
        self._counted, self._weight = torch.zeros_like(self._counted), 0.0

    def loss(self, logits: Tensor, target: Events, objects: ObjectTensors) -> Tensor:
        """Return the cross-entropy of each event's pairs, whose mean is that over the relations, shape ``(events,)``.

        Raises:
            DataError: If the target has no ancestry of these relations.
        """
        true, judged = self._true(target), judged_pairs(objects, self.left_out)
        found = int((self.frequency > 0).sum())
        balance = 1 / (self.frequency.clamp(min=_RAREST) * max(found, 1))
        # Of so few classes a cross-entropy by hand takes a fifth of the time of torch's.
        loss = logits.logsumexp(-1) - logits.gather(-1, true[..., None])[..., 0]
        return (loss * balance[true] * judged).sum((1, 2))

    def _true(self, target: Events) -> Tensor:
        relations = len(self.frequency) - 1
        ancestry = target.objects.get(ANCESTRY)
        if ancestry is None or ancestry.values.shape[-1] != relations:
            given = "none" if ancestry is None else str(ancestry.values.shape[-1])
            raise DataError(
                f"The events have ancestors for {given} of {relations} relations; declare as many under [relations], "
                "or set decay_weight = 0."
            )
        return relation_classes(ancestry)
