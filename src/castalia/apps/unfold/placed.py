"""Draws whose particles are at the objects that were drawn for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.frame import Reference
from castalia.apps.unfold.matching import Matching
from castalia.data.feature_arrays import FeatureArrays
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Sampler
from castalia.runs.validation import draw

__all__ = ["Placed"]

Floats = NDArray[np.float64]

_ATTEMPTS: Final = 20
_MANY, _HOPELESS = 100, 0.9  # draws, and the part of so many astray at which a model knows nothing of places
_ROWS: Final = 16_384  # looked at at a time


@final
@dataclass(frozen=True)
class Placed:
    """Draws anew what contradicts its own choice of objects.

    A particle *is* an object where it lies within 0.4 of it and no other of the list is nearer, and none where it lies
    within 0.4 of nothing. So it is in every event that a model learned from; of what a model draws, a few in ten
    contradict that. To draw them again, choice and momenta, is to draw from the model given that they agree. What does
    not agree after 20 attempts stays, as does everything of a model of whose draws fewer than one in ten agree.

    Attributes:
        sampler: The model.
        coordinates: What its targets mean.
        matching: Which object a particle is.
    """

    sampler: Sampler
    coordinates: TruthCoordinates
    matching: Matching

    def draw(self, arrays: FeatureArrays, reference: Reference, draws: int, rng: np.random.Generator) -> Floats:
        """Draw targets that agree with their places.

        Args:
            arrays: What was measured, in the frame of the targets.
            reference: What it is relative to, in the same frame.
            draws: How many draws of each event.
            rng: Source of all randomness.

        Returns:
            Targets and places, event by event, shape ``(events draws, T)``.

        Raises:
            MachineError: If the model draws what is not finite.
        """
        condition = events_from_array(arrays.condition, objects=arrays.objects)
        result = draw(self.sampler, condition, rng, draws)
        pending = np.arange(len(result) if self.matching.measured_as else 0)
        for _ in range(_ATTEMPTS):
            looked_at, pending = len(pending), self._astray(pending, result, draws, arrays, reference)
            if not len(pending) or (looked_at > _MANY and len(pending) > _HOPELESS * looked_at):
                break
            events = torch.from_numpy(pending // draws)
            result[pending] = draw(self.sampler, condition.map(lambda values, at=events: values[at]), rng)  # type: ignore[misc]
        return result

    def _astray(
        self, rows: NDArray[np.int64], drawn: Floats, draws: int, arrays: FeatureArrays, reference: Reference
    ) -> NDArray[np.int64]:
        """Return those of some rows that contradict their places."""
        found = [rows[:0]]
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            event, (values, places) = some // draws, np.split(drawn[some], [len(self.coordinates.variables)], axis=1)
            of_events = Reference(reference.pt[event], reference.eta[event], reference.phi[event])
            leaves = self.coordinates.leaves(self.coordinates.absolute(values[:, None], of_events)[:, 0])
            found.append(some[(self.matching.places(leaves, arrays.take(event)) != places).any(axis=1)])
        return np.concatenate(found)
