"""What the classifiers of events share: classes, the loss, its decorrelation, and the temperature of their scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Batch, Classifier, Estimator, Events, Losses
from castalia.estimators.classification.decorrelation import distance_correlation
from castalia.estimators.classification.object_tensors import (
    ObjectTensors,
    number_of_classes,
    number_of_types,
    object_tensors,
)

__all__ = ["EventClassifier", "TrainedClassifierConfig"]

_COMPARED = 2048  # events of a batch between which scores are decorrelated: distances are of all pairs
_COLDEST, _HOTTEST, _HALVINGS = -5.0, 5.0, 60  # logarithms of the temperature, and how often their range is halved


class TrainedClassifierConfig(StrictModel):
    """What every network that classifies can be told.

    Attributes:
        augment: Whether each event of a training step is turned and mirrored at random, as the detector is symmetric;
            flat variables must not depend on that.
        decorrelation: Weight in the loss of the squared distance correlation, within the first class, of the score and
            the second target.
    """

    augment: bool = True
    decorrelation: float = Field(default=0.0, ge=0)


class EventClassifier(Estimator, Classifier):
    """A classifier of events that are lists of typed objects, with flat variables beside them or not.

    Args:
        config: Configuration, an instance of the class's ``Config``.
        layout: The list of objects, flat conditions, and as target the class.

    Attributes:
        classes: Number of classes.
        types: Number of types of objects.
        temperature: What scores are divided by; 1 until ``calibrate``.
        at_once: Events scored at a time on a CPU: of a network so few that what it computes stays in its cache.

    Raises:
        ConfigError: If the layout is none of typed objects and classes, or the configuration is another model's.
    """

    Config: type[StrictModel]
    takes_lists: ClassVar[bool] = True
    at_once: ClassVar[int] = 65_536

    temperature: Tensor

    def __init__(self, config: StrictModel, layout: Layout) -> None:
        super().__init__()
        if not isinstance(config, self.Config):
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not a {type(config).__name__}.")
        if isinstance(config, TrainedClassifierConfig) and config.decorrelation and len(layout.target) < 2:
            raise ConfigError(
                "decorrelation needs a second target, the variable that scores shall not follow; name one, or set "
                "decorrelation = 0."
            )
        self.layout = layout
        self.types, self.classes = number_of_types(layout), number_of_classes(layout)
        self.register_buffer("temperature", torch.ones(()))

    @abstractmethod
    def scores(self, objects: ObjectTensors, flat: Tensor) -> Tensor:
        """Return unnormalised log-probabilities before the temperature.

        Args:
            objects: Objects of the events.
            flat: Flat conditions, shape ``(events, C)``.

        Returns:
            Shape ``(events, classes)``.
        """

    def logits(self, events: Events) -> Tensor:
        """Return calibrated, unnormalised log-probabilities, shape ``(events, classes)``; see ``Classifier.logits``.

        Raises:
            DataError: If the events do not fit the layout.
        """
        return self._scored(events) / self.temperature

    def object_tensors(self, events: Events) -> ObjectTensors:
        """Read the objects of events, in the model's precision.

        Raises:
            DataError: If the events do not fit the layout.
        """
        return object_tensors(events, self.types, self.temperature)

    @torch.no_grad()
    def calibrate(self, batch: Batch) -> float:
        """Set the temperature to that of the least cross-entropy, and return it.

        Args:
            batch: Events that the training has not learned from.

        Raises:
            DataError: If the events do not fit the layout.

        References:
            Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks (arXiv:1706.04599), section 4.2.
        """
        scores = self._scored(batch.condition).double()
        weight = batch.weight.double()
        own = scores.gather(1, self.labels(batch)[:, None]).squeeze(1)
        low, high = _COLDEST, _HOTTEST
        for _ in range(_HALVINGS):  # the cross-entropy is convex in the inverse of the temperature
            middle = 0.5 * (low + high)
            expected = (torch.softmax(scores * torch.tensor(-middle).exp(), dim=1) * scores).sum(1)
            if float((weight * (expected - own)).sum()) > 0:  # colder scores would be worse
                low = middle
            else:
                high = middle
        self.temperature.fill_(torch.tensor(0.5 * (low + high)).exp())
        return float(self.temperature)

    def _scored(self, events: Events) -> Tensor:
        objects = self.object_tensors(events)
        size = self.at_once if objects.pt.device.type == "cpu" else EventClassifier.at_once
        pieces = zip(objects.pieces(size), torch.split(events.flat, size), strict=True)
        return torch.cat([self.scores(*piece) for piece in pieces])

    def labels(self, batch: Batch) -> Tensor:
        """Return the class of each event, integer, shape ``(events,)``.

        Raises:
            DataError: If an event has none, or one that is not known.
        """
        target = batch.target.flat
        if target.shape[1] != len(self.layout.target):
            raise DataError(
                f"The target has {target.shape[1]} columns; this model needs "
                f"{', '.join(variable.name for variable in self.layout.target)}."
            )
        known = (target[:, 0] >= 0) & (target[:, 0] < self.classes) & (target[:, 0] == target[:, 0].round())
        if not bool(known.all()):
            row = int((~known).nonzero()[0])
            raise DataError(
                f"Row {row} of this chunk has class {float(target[row, 0]):g}; classes are 0 to {self.classes - 1}."
            )
        return target[:, 0].long()

    def counted(self, batch: Batch) -> Tensor:
        """Return the number of events of each class, shape ``(classes,)``.

        Raises:
            DataError: As ``labels``.
        """
        return torch.bincount(self.labels(batch), minlength=self.classes).cpu()

    def require_all_classes(self, counts: Tensor) -> None:
        """Refuse to train without events of every class.

        Args:
            counts: Number of events of each class, shape ``(classes,)``.

        Raises:
            DataError: If a class is missing.
        """
        missing = (counts == 0).nonzero().flatten().tolist()
        if missing:
            raise DataError(f"There is no training event of class {missing[0]}; give events of every class.")

    def class_losses(self, scores: Tensor, batch: Batch, decorrelation: float) -> Losses:
        """Return the cross-entropy per event, and with it the penalty, which is the same for all events of a batch.

        Args:
            scores: Shape ``(events, classes)``.
            batch: The events.
            decorrelation: Weight of the penalty.

        Raises:
            DataError: If a class is not known.
        """
        labels = self.labels(batch)
        loss = functional.cross_entropy(scores, labels, reduction="none")
        terms = {"class": loss}
        if decorrelation:
            first = (labels == 0).nonzero().squeeze(1)[:_COMPARED]
            signal = 1 - torch.softmax(scores[first], dim=1)[:, 0]
            other = batch.target.flat[first, 1].to(signal)
            penalty = distance_correlation(signal, other, batch.weight[first].to(signal).abs())
            terms["decorrelation"] = penalty.expand(len(loss))
            loss = loss + decorrelation * penalty
        return Losses(loss, terms)
