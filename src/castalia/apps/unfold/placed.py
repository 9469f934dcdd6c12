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

__all__ = ["Placed", "energy_and_mass"]

Floats = NDArray[np.float64]

_ATTEMPTS: Final = 20
_MANY, _HOPELESS = 100, 0.7  # draws, and the part of so many astray at which a model knows too little of places
_ROWS: Final = 16_384  # looked at at a time


def energy_and_mass(leaves: Floats) -> Floats:
    """Return the energy of all leaves together and their invariant mass in GeV, shape ``(events, 2)``.

    Args:
        leaves: px, py, pz and mass in GeV, shape ``(events, leaves, 4)``.
    """
    momentum = leaves[..., :3]
    with np.errstate(over="ignore", invalid="ignore"):  # a draw may be anywhere
        energy = np.hypot(np.linalg.norm(momentum, axis=2), leaves[..., 3]).sum(axis=1)
        total = np.linalg.norm(momentum.sum(axis=1), axis=1)
        mass = np.sqrt(np.maximum((energy - total) * (energy + total), 0.0))
    return np.column_stack([energy, mass]).astype(np.float64)


@final
@dataclass(frozen=True)
class Placed:
    """Draws anew what contradicts its own choice of objects, or has too much energy.

    A particle *is* an object where it lies within 0.4 of it and no other of the list is nearer, and none where it lies
    within 0.4 of nothing. So it is in every event that a model learned from; of what a model draws, some in ten
    contradict that. To draw them again, choice and momenta, is to draw from the model given that they agree. What does
    not agree after 20 attempts stays, as does all that contradicts itself where that is more than seven in ten of what
    was looked at last.

    A flow follows its targets beyond all values that it has seen, and one draw in a million at a thousand times the
    collider's energy spoils every mean. What has more energy or a larger invariant mass than any event that was learned
    from is therefore drawn again, too, and after 20 attempts another draw of the same event takes its place. It stays
    only where no draw of its event can be believed, be it that there is no other.

    Attributes:
        sampler: The model.
        coordinates: What its targets mean.
        matching: Which object a particle is.
        largest: The largest energy and the largest invariant mass of events that were learned from, in GeV, shape
            ``(2,)``: see ``energy_and_mass``.
    """

    sampler: Sampler
    coordinates: TruthCoordinates
    matching: Matching
    largest: Floats

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
        pending, (astray, wild) = np.arange(len(result)), np.zeros((2, len(result)), dtype=np.bool_)
        careless = False
        for attempt in range(_ATTEMPTS + 1):
            astray[pending], wild[pending] = self._looked_at(pending, result, draws, arrays, reference)
            careless |= len(pending) > _MANY and bool(astray[pending].mean() > _HOPELESS)
            pending = pending[wild[pending] | (astray[pending] & (not careless))]
            if attempt == _ATTEMPTS or not len(pending):
                break
            events = torch.from_numpy(pending // draws)
            result[pending] = draw(self.sampler, condition.map(lambda values, at=events: values[at]), rng)  # type: ignore[misc]
        for row in np.flatnonzero(wild):
            others = row - row % draws + np.flatnonzero(~wild[row - row % draws :][:draws])
            agreeing = others[~astray[others]]
            if len(others):
                result[row] = result[rng.choice(agreeing if len(agreeing) else others)]
        return result

    def _looked_at(
        self, rows: NDArray[np.int64], drawn: Floats, draws: int, arrays: FeatureArrays, reference: Reference
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which of some rows contradict their places, and which have an energy or a mass that cannot be."""
        astray, wild = np.zeros((2, len(rows)), dtype=np.bool_)
        for start in range(0, len(rows), _ROWS):
            chosen = slice(start, start + _ROWS)
            some = rows[chosen]
            event, (values, places) = some // draws, np.split(drawn[some], [len(self.coordinates.variables)], axis=1)
            of_events = Reference(reference.pt[event], reference.eta[event], reference.phi[event])
            leaves = self.coordinates.leaves(self.coordinates.absolute(values[:, None], of_events)[:, 0])
            astray[chosen] = (self.matching.places(leaves, arrays.take(event)) != places).any(axis=1)
            wild[chosen] = ~(energy_and_mass(leaves) <= self.largest).all(axis=1)
        return astray, wild
