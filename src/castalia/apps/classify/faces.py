"""What a classifier can do besides scoring, where it can: be calibrated, begin from a backbone, tell relations."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from castalia.estimators.base import Batch, Estimator, Events

__all__ = ["Adopting", "Calibrated", "Related"]


@runtime_checkable
class Calibrated(Protocol):
    """A classifier with a temperature."""

    @abstractmethod
    def calibrate(self, batch: Batch) -> float:
        """Fit the temperature to events that were not learned from, keep it, and return it."""


@runtime_checkable
class Adopting(Protocol):
    """A classifier that can begin from a pre-trained backbone."""

    @abstractmethod
    def adopt(self, pretrained: Estimator, types: Sequence[int]) -> None:
        """Copy embedding and encoder.

        Args:
            pretrained: What learned them.
            types: Number here of each type of objects there.

        Raises:
            ConfigError: If the other backbone is of another kind.
        """


@runtime_checkable
class Related(Protocol):
    """A classifier that also tells the relations of objects."""

    @abstractmethod
    def relation_logits(self, events: Events) -> Tensor:
        """Return unnormalised log-probabilities, shape ``(events, objects, objects, relations + 1)``.

        Raises:
            ConfigError: If it was trained without relations.
        """
