"""A plain fully connected classifier of objects in fixed places, as most analyses have one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from castalia.data.layout import Layout
from castalia.estimators.base import Batch, Losses, Objective
from castalia.estimators.classification.classifier import EventClassifier, TrainedClassifierConfig
from castalia.estimators.classification.kinematics import KINEMATICS, Kinematics
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.classification.slots import hardest_of_each_type
from castalia.estimators.scaling import ConditionScaling
from castalia.nn.mlp import MLP

__all__ = ["MLPClassifier", "MLPClassifierConfig"]


@final
class MLPClassifierConfig(TrainedClassifierConfig):
    """Configuration of ``MLPClassifier``.

    Attributes:
        hidden: Widths of the hidden layers.
        take: Objects of each type that are seen, the hardest first.
    """

    hidden: tuple[int, ...] = Field(default=(128, 128, 128), min_length=1)
    take: int = Field(default=4, ge=1)


@final
class MLPClassifier(EventClassifier):
    """A fully connected network of padded objects, their azimuths relative to the leading one, and flat variables.

    Args:
        config: Configuration.
        layout: The list of objects, flat conditions, and as target the class.

    Raises:
        ConfigError: If the layout is none of typed objects and classes.
    """

    Config = MLPClassifierConfig

    def __init__(self, config: MLPClassifierConfig, layout: Layout) -> None:
        super().__init__(config, layout)
        self.config = config
        self.kinematics = Kinematics()
        self.flat = ConditionScaling(layout.condition)
        inputs = self.types * config.take * (len(KINEMATICS) + 1) + self.flat.width
        self.network = MLP(inputs, self.classes, config.hidden)

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scalings; see ``Trainable.prepare``.

        Raises:
            DataError: If a value is not finite, a flat condition is constant, or a class has no event.
        """
        counts = torch.zeros(self.classes, dtype=torch.long)
        for batch in stream:
            counts += self.counted(batch)
            self.kinematics.update(self.object_tensors(batch.condition).relative(), batch.weight)
            self.flat.update(batch.condition.flat, batch.weight)
        self.require_all_classes(counts)
        self.kinematics.finish()
        if self.flat.variables:
            self.flat.finish()

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective: the cross-entropy of the classes and the penalty."""
        return (Objective("cross_entropy", tuple(self.parameters()), self._loss),)

    def scores(self, objects: ObjectTensors, flat: Tensor) -> Tensor:
        """Return the outputs of the network; see ``EventClassifier.scores``."""
        placed = hardest_of_each_type(objects.relative(), self.types, self.config.take)
        columns = self.kinematics.objects(placed).flatten(1), placed.mask.to(placed.pt), self.flat(flat)
        scores: Tensor = self.network(torch.cat(columns, dim=1))
        return scores

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        objects = self.object_tensors(batch.condition)
        if self.config.augment and self.training:
            objects = objects.drawn(rng)
        return self.class_losses(self.scores(objects, batch.condition.flat), batch, self.config.decorrelation)
