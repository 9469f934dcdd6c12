"""Learning what events look like without classes: which type a hidden object has, and where it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Estimator, Events, Losses, Objective
from castalia.estimators.classification.backbone import BackboneConfig, Seen, TransformerBackboneConfig, backbone_of
from castalia.estimators.classification.kinematics import KINEMATICS
from castalia.estimators.classification.object_tensors import ObjectTensors, number_of_types, object_tensors

__all__ = ["ObjectPretraining", "ObjectPretrainingConfig"]

_KINEMATICS_HIDDEN = 0.2  # share of the objects of which only the type is seen


@final
class ObjectPretrainingConfig(StrictModel):
    """Configuration of ``ObjectPretraining``.

    Attributes:
        backbone: What is to be adopted later.
        augment: Whether each event of a training step is turned and mirrored at random.
        type_weight: Weight in the loss of the types of objects whose type is hidden; 0 to hide none.
        kinematics_weight: Weight in the loss of the kinematics of objects whose kinematics are; 0 to hide none.
        hidden_share: Share of the objects whose type is hidden.
    """

    backbone: BackboneConfig = TransformerBackboneConfig()
    augment: bool = True
    type_weight: float = Field(default=1.0, ge=0)
    kinematics_weight: float = Field(default=1.0, ge=0)
    hidden_share: float = Field(default=0.65, gt=0, le=1)


@final
class ObjectPretraining(Estimator):
    """A backbone that fills gaps: types of objects are hidden and told, momenta are hidden and told.

    A classifier adopts the backbone. Events need no target. Where azimuths are relative, the leading object is known by
    its own, which is zero: its type is no riddle, as that of a lepton never is.

    Args:
        config: Configuration.
        layout: The list of objects; flat conditions and targets are not looked at.

    Attributes:
        types: Number of types of objects.

    Raises:
        ConfigError: If the layout is none of typed objects, both weights are zero, or types are to be told and there
            is one only.

    References:
        Pre-training strategy using real particle collision data for event classification in collider physics
        (arXiv:2312.06909), the types; Devlin et al., BERT (arXiv:1810.04805), the masked elements.
    """

    Config = ObjectPretrainingConfig
    takes_lists: ClassVar[bool] = True

    def __init__(self, config: ObjectPretrainingConfig, layout: Layout) -> None:
        super().__init__()
        if not isinstance(config, self.Config):
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not a {type(config).__name__}.")
        if not config.type_weight and not config.kinematics_weight:
            raise ConfigError("type_weight and kinematics_weight are both 0, so nothing is learned; set one of them.")
        self.config, self.layout, self.types = config, layout, number_of_types(layout)
        if config.type_weight and self.types == 1:
            raise ConfigError("All objects are of one type, which cannot be hidden; set type_weight = 0, or add types.")
        width = config.backbone.width
        self.backbone = backbone_of(config.backbone, self.types)
        self.type_head = nn.Linear(width, self.types) if config.type_weight else None
        self.kinematics_head = nn.Linear(width, len(KINEMATICS)) if config.kinematics_weight else None
        self.hidden_token = nn.Parameter(torch.randn(width) / width**0.5) if config.kinematics_weight else None

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scaling of the kinematics; see ``Trainable.prepare``.

        Raises:
            DataError: If a value is not finite, or no event has an object.
        """
        for batch in stream:
            self.backbone.update(self._objects(batch.condition), batch.weight)
        self.backbone.kinematics.finish()

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective: cross-entropy of hidden types and squared error of hidden, scaled kinematics."""
        unused = {id(parameter) for parameter in self.backbone.of_events_alone()}
        trained = [p for p in self.parameters() if id(p) not in unused]
        return (Objective("filling", tuple(trained), self._loss),)

    def type_logits(self, events: Events, hidden: Tensor) -> Tensor:
        """Return unnormalised log-probabilities of the type of each object, from events with hidden types.

        Args:
            events: Events; their flat conditions are not looked at.
            hidden: True where the type is not seen, shape ``(events, N)``.

        Returns:
            Shape ``(events, N, types)``; meaningless where there is no object.

        Raises:
            ConfigError: If the model does not tell types.
            DataError: If the events do not fit the layout.
        """
        if self.type_head is None:
            raise ConfigError("This model was trained with type_weight = 0 and tells no types; train with more.")
        seen = _without_types(self.backbone.seen(self._objects(events)), hidden)
        logits: Tensor = self.type_head(self.backbone(seen).objects)
        return logits

    def _objects(self, events: Events) -> ObjectTensors:
        return object_tensors(events, self.types, self.backbone.kinematics.mean)

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        objects = self._objects(batch.condition)
        if self.config.augment and self.training:
            objects = objects.drawn(rng)
        whole = self.backbone.seen(objects)
        no_type, no_kinematics = self._hidden(objects.mask, rng)
        seen, token = _without_types(whole, no_type), None
        if self.hidden_token is not None:
            seen = _without_kinematics(seen, no_kinematics)
            token = no_kinematics[..., None] * self.hidden_token
        vectors = self.backbone(seen, hidden=token).objects
        terms = {}
        if self.type_head is not None:
            logits = self.type_head(vectors).flatten(0, 1)
            wrong = functional.cross_entropy(logits, objects.types.flatten(), reduction="none").view(no_type.shape)
            terms["type"] = self.config.type_weight * _mean(wrong, no_type)
        if self.kinematics_head is not None:
            true = whole.objects[..., : len(KINEMATICS)]
            error = (self.kinematics_head(vectors) - true).square().mean(-1)
            terms["kinematics"] = self.config.kinematics_weight * _mean(error, no_kinematics)
        return Losses(torch.stack(list(terms.values())).sum(0), terms)

    def _hidden(self, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return the objects whose types and those whose kinematics are hidden, shape ``(events, N)`` each."""
        chance = torch.from_numpy(rng.random((2, *mask.shape))).to(mask.device)
        no_type = mask & (chance[0] < self.config.hidden_share) & bool(self.config.type_weight)
        return no_type, mask & (chance[1] < _KINEMATICS_HIDDEN) & bool(self.config.kinematics_weight)


def _without_types(seen: Seen, hidden: Tensor) -> Seen:
    kinematics, kinds = seen.objects[..., : len(KINEMATICS)], seen.objects[..., len(KINEMATICS) :]
    return replace(seen, objects=torch.cat([kinematics, kinds * ~hidden[..., None]], dim=-1))


def _without_kinematics(seen: Seen, hidden: Tensor) -> Seen:
    kinematics, kinds = seen.objects[..., : len(KINEMATICS)], seen.objects[..., len(KINEMATICS) :]
    pairs = seen.pairs * ~(hidden[:, :, None] | hidden[:, None])[..., None]
    return replace(seen, objects=torch.cat([kinematics * ~hidden[..., None], kinds], dim=-1), pairs=pairs)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean over each event's chosen objects, 0 where there is none."""
    return (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)
