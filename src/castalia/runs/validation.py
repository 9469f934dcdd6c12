"""What is measured after each epoch: the paper's mean Wasserstein distance on validation events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.data.layout import Layout
from castalia.errors import MachineError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch, Estimator, Events, Sampler
from castalia.metrics.distances import mean_wasserstein
from castalia.rng import Stream

__all__ = ["VALIDATION_EVENTS", "ValidationMetrics", "draw", "target_scales"]

VALIDATION_EVENTS = 20_000
SAMPLING_CHUNK = 16_384


def draw(sampler: Sampler, condition: Events, rng: np.random.Generator, draws: int = 1) -> NDArray[np.float64]:
    """Sample a whole data set in chunks that fit the processor's cache.

    Returns:
        Targets in physical units, shape ``(events * draws, targets)``.

    Raises:
        MachineError: If the sampler returns values that are not finite.
    """
    pieces = [np.empty((0, 0))]
    with torch.inference_mode():
        for start in range(0, len(condition), SAMPLING_CHUNK):
            piece = condition.map(lambda values, at=start: values[at : at + SAMPLING_CHUNK])  # type: ignore[misc]
            pieces.append(np.asarray(to_numpy(sampler.sample(piece, draws, rng).flat), dtype=np.float64))
    result = np.concatenate(pieces[1:] or pieces)
    bad = ~np.isfinite(result).all(axis=1)
    if bad.any():
        raise MachineError(
            f"The model drew {int(bad.sum())} responses that are not finite (first for event "
            f"{int(np.argmax(bad)) // draws}); train it longer or with a smaller learning rate."
        )
    return result


def target_scales(layout: Layout, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scale of each target's distances: the declared one, otherwise the width of the training targets."""
    widths = target.std(axis=0)
    declared = np.array([np.nan if v.scale is None else v.scale for v in layout.target])
    return np.where(np.isnan(declared), np.where(widths > 0, widths, 1.0), declared)


@dataclass(frozen=True)
class ValidationMetrics:
    """Callable that ``fit`` runs after each epoch.

    Attributes:
        condition: Conditions of at most ``VALIDATION_EVENTS`` validation events.
        target: Their true targets, shape ``(events, targets)``.
        scales: Scale of each target, shape ``(targets,)``.
        stream: Random stream of the draws; the same for every epoch, so that epochs differ by the model only.
    """

    condition: Events
    target: NDArray[np.float64]
    scales: NDArray[np.float64]
    stream: Stream

    @classmethod
    def of(cls, layout: Layout, batch: Batch, seed: int) -> ValidationMetrics:
        """Take the first validation events of ``batch``."""
        some = next(batch.chunks(VALIDATION_EVENTS))
        target = np.asarray(to_numpy(some.target.flat), dtype=np.float64)
        return cls(some.condition, target, target_scales(layout, target), Stream(seed, "validation draws"))

    def __call__(self, estimator: Estimator) -> Mapping[str, float]:
        """Return ``mean_wasserstein`` of one draw per validation event."""
        if not isinstance(estimator, Sampler):
            return {}
        drawn = draw(estimator, self.condition, self.stream.at())
        return {"mean_wasserstein": float(mean_wasserstein(self.target, drawn, self.scales))}
