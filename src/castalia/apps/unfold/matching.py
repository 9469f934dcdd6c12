"""Which measured object each particle of the truth is: the nearest one of its list, if it is near enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.frame import momentum_places
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.layout import Decays, Layout, Variable
from castalia.physics.angles import delta_r
from castalia.physics.four_vectors import from_cartesian

__all__ = ["NEAR", "Matching"]

Floats = NDArray[np.float64]

NEAR: Final = 0.4
"""Largest distance, in pseudorapidity and azimuth, between a particle and the object that it is."""


@final
@dataclass(frozen=True)
class Matching:
    """Finds the objects of particles.

    Attributes:
        layout: What is measured.
        leaves: Names of all particles, in the order of arrays.
        measured_as: The list of each particle that is measured as one object, by its name.

    Raises:
        ConfigError: If a list is none of the layout's, or lacks pt, eta or an angle phi.
    """

    layout: Layout
    leaves: tuple[str, ...]
    measured_as: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.measured_as.values():
            momentum_places(self.layout, name, "measured_as")

    def with_places(self, target: tuple[Variable, ...], decays: Decays | None = None) -> Layout:
        """Return the layout with targets, coordinates of decays or not, and behind them each particle's place."""
        places = {f"{leaf}_{of_list}": of_list for leaf, of_list in self.measured_as.items()}
        return replace(
            self.layout, target=(*target, *(Variable(name) for name in places)), places=places, decays=decays
        )

    def places(self, leaves: Floats, arrays: FeatureArrays) -> Floats:
        """Return the place of each particle's object in its list, counted from 0, or -1 where none is near.

        Args:
            leaves: px, py, pz and mass of the particles in GeV, shape ``(events, leaves, 4)``.
            arrays: What was measured, its angles relative to the same axis.

        Returns:
            Shape ``(events, len(measured_as))``.
        """
        columns = [np.empty((len(leaves), 0))]
        for leaf, name in self.measured_as.items():
            _, eta, phi, _ = from_cartesian(leaves[:, self.leaves.index(leaf)])  # whatever the fourth number is
            one, (_, at_eta, at_phi) = arrays.objects[name], momentum_places(self.layout, name, "measured_as")
            distance = delta_r(one.values[..., at_eta], one.values[..., at_phi], eta[:, None], phi[:, None])
            distance = np.where(one.mask, distance, np.inf)
            # A place further on that nobody has, so that there is a nearest one in lists that are all empty.
            distance = np.column_stack([distance, np.full(len(distance), np.inf)])
            columns.append(np.where(distance.min(axis=1) < NEAR, distance.argmin(axis=1), -1)[:, None])
        return np.concatenate(columns, axis=1)
