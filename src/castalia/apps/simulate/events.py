"""The events a model is judged on: conditions, true targets, and new draws of the truth where it is analytic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from castalia.apps.simulate.truth import AnalyticTruth
from castalia.data.features import Features
from castalia.errors import DataError, MachineError
from castalia.rng import Stream

__all__ = ["JudgedEvents"]

MOST_REDRAWS = 1_000


@dataclass(frozen=True)
class JudgedEvents:
    """Test events, restricted to what the model can produce.

    Attributes:
        features: The model's variables.
        condition: Shape ``(events, conditions)``, physical units.
        target: True targets, shape ``(events, targets)``.
        reference: What a derived target is measured from, same shape; zero for a target that is not derived.
        scales: Length of each target's Wasserstein distances, shape ``(targets,)``.
        truth: The analytic response behind the targets, or ``None``.
        bound: Largest size of each target that the model can produce, shape ``(targets,)``; infinite without limit.
        seed: Seed of the redraws.
        left_out: Events of the files outside ``bound``.
    """

    features: Features
    condition: NDArray[np.float64]
    target: NDArray[np.float64]
    reference: NDArray[np.float64]
    scales: NDArray[np.float64]
    truth: AnalyticTruth | None
    bound: NDArray[np.float64]
    seed: int
    left_out: int

    def __len__(self) -> int:
        return len(self.target)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(v.name for v in self.features.layout.target)

    @property
    def truncated(self) -> bool:
        """Whether the model's support cuts the truth."""
        return bool(np.isfinite(self.bound).any())

    def inside(self) -> JudgedEvents:
        """Return the events whose targets the model can produce.

        Raises:
            DataError: If there are none.
        """
        kept = (np.abs(self.target) < self.bound).all(axis=1)
        if not kept.any():
            raise DataError("No test event lies inside the model's support; it was trained for another range.")
        return JudgedEvents(
            self.features,
            self.condition[kept],
            self.target[kept],
            self.reference[kept],
            self.scales,
            self.truth,
            self.bound,
            self.seed,
            int((~kept).sum()),
        )

    def redraw(self, number: int) -> NDArray[np.float64]:
        """Draw independent true targets for the same conditions, truncated as the model is.

        Raises:
            MachineError: If an event's response cannot be drawn inside the model's support in bounded time.
        """
        if self.truth is None:
            raise DataError("The truth of these events is not analytic, so it cannot be drawn again.")
        rng = Stream(self.seed, "truth redraw").at(number)
        target = self.truth.redraw(self.condition, rng)
        for _ in range(MOST_REDRAWS):
            outside = ~(np.abs(target) < self.bound).all(axis=1)
            if not outside.any():
                return target
            target[outside] = self.truth.redraw(self.condition[outside], rng)
        raise MachineError("The true response cannot be drawn inside the model's support; widen the targets' scale.")

    def true_log_density(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-density of the truth, renormalised per condition where the model's support cuts it."""
        if self.truth is None:
            raise DataError("The truth of these events is not analytic, so it has no known density.")
        density = self.truth.log_density(self.condition, target)
        if not self.truncated:
            return density
        inside = (np.abs(target) < self.bound).all(axis=1)
        return np.where(inside, density - self.truth.log_mass_inside(self.condition, self.bound), -np.inf)
