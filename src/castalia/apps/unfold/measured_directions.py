"""How far particles are from what was measured: what a table of numbers hides from a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.feature_arrays import FeatureArrays
from castalia.data.layout import Layout
from castalia.physics.angles import delta_r
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import from_cartesian

__all__ = ["MeasuredDirections", "measured_directions"]

Floats = NDArray[np.float64]

_FARTHEST: Final = 10.0  # also where nothing was measured


@final
@dataclass(frozen=True)
class MeasuredDirections:
    """Directions of the measured objects of events, of all lists together.

    Attributes:
        eta: Pseudorapidities, shape ``(events, objects)``; infinite where there is no object.
        phi: Azimuths in rad, likewise.
    """

    eta: Floats
    phi: Floats

    def distances(self, tree: DecayTree, numbers: Floats) -> Floats:
        """Return how far each leaf is from the nearest object, in pseudorapidity and azimuth.

        Args:
            tree: What the numbers are of.
            numbers: The paper's numbers, shape ``(events, numbers)``.

        Returns:
            From 0 to 10, which is also where an event has no object, shape ``(events, leaves)``.
        """
        momenta, found = tree.stated_four_vectors(numbers), []
        for leaf in tree.leaves:
            _, eta, phi, _ = from_cartesian(momenta[leaf])  # directions only, whatever energy is stated
            apart = delta_r(self.eta, self.phi, eta[:, None], phi[:, None])
            found.append(apart.min(axis=1, initial=_FARTHEST))
        return np.stack(found, axis=1)


def measured_directions(layout: Layout, arrays: FeatureArrays) -> MeasuredDirections:
    """Take the directions of all objects that have one: of the lists with variables eta and phi."""
    none = np.empty((len(arrays.row), 0))
    eta, phi = [none], [none]
    for name, variables in layout.condition_objects.items():
        names = [variable.name for variable in variables]
        if {"eta", "phi"} <= set(names):
            one = arrays.objects[name]
            eta.append(np.where(one.mask, one.values[..., names.index("eta")], np.inf))
            phi.append(one.values[..., names.index("phi")])
    return MeasuredDirections(np.concatenate(eta, axis=1), np.concatenate(phi, axis=1))
