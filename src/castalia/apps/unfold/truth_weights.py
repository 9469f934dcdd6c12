"""An unfolded measurement as a function: the weight that any simulated event should have, by its truth alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.apps.unfold.density_ratio import DensityRatio
from castalia.metrics.arrays import as_columns

__all__ = ["TruthWeights"]


@final
@dataclass(frozen=True)
class TruthWeights:
    """Factors on the weights of simulated events that turn the simulation into what was unfolded.

    They hold for every sample of the process and truth definition that was unfolded, also for one that never met a
    detector, as long as its events fill the same phase space.

    Attributes:
        members: The ratios of an ensemble, one or more.
    """

    members: tuple[DensityRatio, ...]

    def __call__(self, truth: ArrayLike) -> NDArray[np.float64]:
        """Return the mean factor of the members.

        Args:
            truth: Truth columns, shape ``(events, columns)``.

        Returns:
            Positive, shape ``(events,)``.
        """
        return np.asarray(self.by_member(truth).mean(axis=0))

    def by_member(self, truth: ArrayLike) -> NDArray[np.float64]:
        """Return the factor of each member, shape ``(members, events)``; arguments as for a call."""
        table = as_columns(truth, "the truth")
        return np.stack([member(table) for member in self.members])
