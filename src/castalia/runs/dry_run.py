"""What a training would take: a few batches are timed and scaled up."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from castalia.estimators.base import Batch, Estimator
from castalia.rng import Stream
from castalia.runs.batches import CHUNK
from castalia.training.config import TrainingConfig

__all__ = ["estimate_training"]

# Optimiser step, validation and reading, over forward and backward alone; Muon multiplies matrices in every step.
OTHER_WORK = {"adamw": 1.3, "muon": 1.7, "sgd": 1.3}


def estimate_training(estimator: Estimator, batch: Batch, training: TrainingConfig, models: int) -> dict[str, Any]:
    """Prepare a model, time three steps without taking them, and scale up.

    Args:
        estimator: The model.
        batch: All training events.
        training: How it would be trained.
        models: Number of models like it.

    Returns:
        ``parameters``, ``training_events``, ``estimated_seconds`` and ``estimated_bytes`` on disk.
    """
    estimator.prepare(batch.chunks(CHUNK))
    piece = next(batch.chunks(training.batch_size))
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        for objective in estimator.objectives():
            losses = objective.loss(piece, Stream(training.seed, "dry run").at())
            losses.total.mean().backward()  # type: ignore[no-untyped-call]
        seconds.append(time.monotonic() - begin)
    steps = training.epochs * len(batch) / training.batch_size * models
    size = sum(p.numel() * p.element_size() for p in estimator.parameters())
    return {
        "parameters": sum(p.numel() for p in estimator.parameters()),
        "training_events": len(batch),
        "estimated_seconds": round(float(np.median(seconds)) * steps * OTHER_WORK[training.optimiser], 1),
        "estimated_bytes": 8 * size * models,
    }
