"""Training of any estimator: one ``fit``, resumable to the bit."""

from __future__ import annotations

from castalia.training.config import TrainingConfig
from castalia.training.fit import FitResult, fit
from castalia.training.progress import Progress

__all__ = ["FitResult", "Progress", "TrainingConfig", "fit"]
