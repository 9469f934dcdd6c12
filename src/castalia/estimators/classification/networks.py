"""Classifiers whose backbone sees objects one by one: a transformer and a graph network, with decays beside classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from castalia.data.layout import Layout
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Estimator, Events, Losses, Objective
from castalia.estimators.classification.backbone import (
    Encoding,
    GraphBackboneConfig,
    Seen,
    TransformerBackboneConfig,
    backbone_of,
)
from castalia.estimators.classification.classifier import EventClassifier, TrainedClassifierConfig
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.classification.pretraining import ObjectPretraining
from castalia.estimators.classification.relations import RelationHead
from castalia.estimators.scaling import ConditionScaling

__all__ = ["GraphClassifier", "GraphClassifierConfig", "TransformerClassifier", "TransformerClassifierConfig"]


class _NetworkConfig(TrainedClassifierConfig):
    """What both can be told.

    Attributes:
        decay_weight: Weight in the loss of the decay relations of pairs of objects; 0 for classes alone.
        relations: Number of declared relations.
        left_out: Pairs of types of objects whose relation is not learned, such as lepton and missing momentum.
        freeze: Whether what a pre-training trains of the backbone stays as it is, as after ``adopt``.
        layer_rate: Learning rate of each layer of the backbone in units of that of the layer above; the heads, which
            are the topmost, have the whole.
    """

    decay_weight: float = Field(default=0.0, ge=0)
    relations: int = Field(default=0, ge=0)
    left_out: tuple[tuple[int, int], ...] = ()
    freeze: bool = False
    layer_rate: float = Field(default=1.0, gt=0, le=1)


@final
class TransformerClassifierConfig(_NetworkConfig):
    """Configuration of ``TransformerClassifier``.

    Attributes:
        backbone: The transformer.
    """

    backbone: TransformerBackboneConfig = TransformerBackboneConfig()


@final
class GraphClassifierConfig(_NetworkConfig):
    """Configuration of ``GraphClassifier``.

    Attributes:
        backbone: The graph network.
    """

    backbone: GraphBackboneConfig = GraphBackboneConfig()


class _NetworkClassifier(EventClassifier):
    """A backbone, the mean of whose vectors gives the class and pairs of which give decay relations.

    Args:
        config: Configuration.
        layout: The list of objects, flat conditions, and as target the class.

    Raises:
        ConfigError: If the layout is none of typed objects and classes, or a decay weight has no relations.
    """

    Config: type[TransformerClassifierConfig | GraphClassifierConfig]
    at_once = 256

    def __init__(self, config: TransformerClassifierConfig | GraphClassifierConfig, layout: Layout) -> None:
        super().__init__(config, layout)
        if config.decay_weight and not config.relations:
            raise ConfigError(
                f"decay_weight = {config.decay_weight:g} needs decay relations; declare [relations], or set "
                "decay_weight = 0."
            )
        self.config = config
        self.backbone = backbone_of(config.backbone, self.types)
        width = config.backbone.width
        self.flat = ConditionScaling(layout.condition)
        self.flat_token = nn.Linear(self.flat.width, width) if self.flat.width else None
        self.head = nn.Linear(width, self.classes)
        self.relation_head = RelationHead(width, config.relations, config.left_out) if config.decay_weight else None
        self._scaling_adopted = False

    def adopt(self, pretrained: Estimator, types: Sequence[int]) -> None:
        """Take over embedding and encoder from an estimator that learned them; see ``Backbone.adopt``.

        Args:
            pretrained: An ``object_pretraining``, or a classifier with a backbone.
            types: Number here of each type of objects there, increasing, because azimuths are relative to an object of
                the first type that there is; other types stay as they are.

        Raises:
            ConfigError: If it has no backbone, or another one, or was made for other types.
        """
        if not isinstance(pretrained, ObjectPretraining | _NetworkClassifier):
            raise ConfigError(f"{type(pretrained).__name__} has no backbone to adopt; give a pre-trained model.")
        if len(types) != pretrained.types or [*types] != sorted({*types} & {*range(self.types)}):
            raise ConfigError(
                f"The pre-trained model was made for {pretrained.types} types of objects, this one for {self.types}; "
                "name each of the former once, in the same order."
            )
        if pretrained.config.backbone != self.config.backbone:
            ours, theirs = self.config.backbone.model_dump(), pretrained.config.backbone.model_dump()
            name = next(key for key in ours if theirs.get(key) != ours[key])
            raise ConfigError(
                f"The pre-trained backbone has {name} = {theirs.get(name)}, this one {ours[name]}; give both the same "
                "backbone."
            )
        self.backbone.adopt(pretrained.backbone, types)
        self._scaling_adopted = len(types) == self.types

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scalings, but for that of an adopted backbone of all types; see ``Trainable.prepare``.

        Raises:
            DataError: If a value is not finite, a flat condition is constant, or a class has no event.
        """
        counts = torch.zeros(self.classes, dtype=torch.long)
        for batch in stream:
            objects = self.object_tensors(batch.condition)
            counts += self.counted(batch)
            self.backbone.update(objects, batch.weight)
            self.flat.update(batch.condition.flat, batch.weight)
            if self.relation_head is not None:
                self.relation_head.update(batch.target, objects, batch.weight)
        self.require_all_classes(counts)
        if not self._scaling_adopted:
            self.backbone.kinematics.finish()
        if self.flat.variables:
            self.flat.finish()
        if self.relation_head is not None:
            self.relation_head.finish()

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective: the cross-entropy of the classes, that of the relations, and the penalty.

        Of validation events, in evaluation mode, the relations are a term that does not count.

        References:
            Howard and Ruder, Universal language model fine-tuning (arXiv:1801.06146), section 3.2, for the rates.
        """
        depth = {id(parameter): depth for depth, parameter in self.backbone.by_depth()}
        trained = [p for p in self.parameters() if not (self.config.freeze and depth.get(id(p), 0))]
        rates = tuple(self.config.layer_rate ** depth.get(id(p), 0) for p in trained)
        return (Objective("cross_entropy", tuple(trained), self._loss, rates=rates),)

    def scores(self, objects: ObjectTensors, flat: Tensor) -> Tensor:
        """Return a linear function of the event's vector; see ``EventClassifier.scores``."""
        scores: Tensor = self.head(self._encode(self.backbone.seen(objects), flat).event)
        return scores

    def relation_logits(self, events: Events) -> Tensor:
        """Return unnormalised log-probabilities of the relation of each ordered pair, meaningless for padding.

        Returns:
            Shape ``(events, N, N, relations + 1)``, the last one for no relation.

        Raises:
            ConfigError: If the model was trained without relations.
            DataError: If the events do not fit the layout.
        """
        if self.relation_head is None:
            raise ConfigError("This model was trained with decay_weight = 0 and knows no relations; train with more.")
        seen = self.backbone.seen(self.object_tensors(events), related=True)
        logits: Tensor = self.relation_head(self._encode(seen, events.flat).objects, seen.pairs)
        return logits

    def _encode(self, seen: Seen, flat: Tensor) -> Encoding:
        extra = None if self.flat_token is None else self.flat_token(self.flat(flat))[:, None]
        encoding: Encoding = self.backbone(seen, extra=extra)
        return encoding

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        objects = self.object_tensors(batch.condition)
        if self.config.augment and self.training:
            objects = objects.drawn(rng)
        seen = self.backbone.seen(objects, related=self.relation_head is not None)
        encoding = self._encode(seen, batch.condition.flat)
        losses = self.class_losses(self.head(encoding.event), batch, self.config.decorrelation)
        if self.relation_head is None:
            return losses
        relation = self.relation_head.loss(self.relation_head(encoding.objects, seen.pairs), batch.target, objects)
        # The best epoch is that of the classes, whatever is learned beside them: trainings with and without relations
        # are then chosen alike.
        total = losses.total + self.config.decay_weight * relation if self.training else losses.total
        return Losses(total, {**losses.terms, "relation": relation})


@final
class TransformerClassifier(_NetworkClassifier):
    """A transformer of typed objects.

    References:
        Pre-training strategy using real particle collision data for event classification in collider physics
        (arXiv:2312.06909), without the pairs' features.
    """

    Config = TransformerClassifierConfig


@final
class GraphClassifier(_NetworkClassifier):
    """Dynamic graph attention between typed objects.

    References:
        Decay-aware neural network for event classification in collider physics (arXiv:2212.08759).
    """

    Config = GraphClassifierConfig
