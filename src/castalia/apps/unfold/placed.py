"""Draws whose particles are at the objects that were drawn for them, and whose energies can be believed."""

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

__all__ = ["Placed", "total_energy"]

Floats = NDArray[np.float64]

_ATTEMPTS: Final = 20
_MANY, _HOPELESS = 100, 0.9  # draws, and the part of so many astray at which a model knows nothing of places
_BEYOND: Final = 2.0  # total energies, of the most energetic event that was learned from, that no draw may have
_ROWS: Final = 16_384  # looked at at a time


def total_energy(leaves: Floats) -> Floats:
    """Return the energy of all leaves in GeV, shape ``(events,)``.

    Args:
        leaves: px, py, pz and mass in GeV, shape ``(events, leaves, 4)``.
    """
    momentum = np.linalg.norm(leaves[..., :3], axis=2)
    return np.asarray(np.hypot(momentum, leaves[..., 3]).sum(axis=1), dtype=np.float64)


@final
@dataclass(frozen=True)
class Placed:
    """Draws anew what contradicts its own choice of objects.

    A particle *is* an object where it lies within 0.4 of it and no other of the list is nearer, and none where it lies
    within 0.4 of nothing. So it is in every event that a model learned from; of what a model draws, a few in ten
    contradict that. To draw them again, choice and momenta, is to draw from the model given that they agree. What does
    not agree after 20 attempts stays, as does everything of a model of whose draws fewer than one in ten agree.

    So is what has more than twice the energy of any event that was learned from. A flow follows its targets beyond all
    values that it has seen, and one draw in a million at a thousand times the collider's energy spoils every mean.

    Attributes:
        sampler: The model.
        coordinates: What its targets mean.
        matching: Which object a particle is.
        energy: Largest total energy of the events that were learned from, in GeV; see ``total_energy``.
    """

    sampler: Sampler
    coordinates: TruthCoordinates
    matching: Matching
    energy: float

    def draw(self, arrays: FeatureArrays, reference: Reference, draws: int, rng: np.random.Generator) -> Floats:
        """Draw targets that agree with their places and have an energy that can be.

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
        pending = np.arange(len(result))
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
        """Return those of some rows that contradict their places, or have too much energy."""
        found = [rows[:0]]
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            event, (values, places) = some // draws, np.split(drawn[some], [len(self.coordinates.variables)], axis=1)
            of_events = Reference(reference.pt[event], reference.eta[event], reference.phi[event])
            leaves = self.coordinates.leaves(self.coordinates.absolute(values[:, None], of_events)[:, 0])
            astray = (self.matching.places(leaves, arrays.take(event)) != places).any(axis=1)
            found.append(some[astray | ~(total_energy(leaves) <= _BEYOND * self.energy)])
        return np.concatenate(found)
