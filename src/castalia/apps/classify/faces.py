"""What a classifier can do besides scoring, where it can: be calibrated, and take over a pre-trained backbone."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from castalia.estimators.base import Batch, Estimator

__all__ = ["Adopting", "Calibrated"]


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
    def adopt(self, pretrained: Estimator) -> None:
        """Copy embedding and encoder.

        Raises:
            ConfigError: If the other backbone is of another kind.
        """
