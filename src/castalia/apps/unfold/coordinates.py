"""What a model of the truth learns: numbers from which the four-vectors of all particles follow, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.frame import Reference
from castalia.data.layout import Decays, Variable
from castalia.physics.decay_coordinates import coordinates, decode, encode
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import to_cartesian

__all__ = ["DEQUANTISATION", "TruthCoordinates", "leaves_of_columns"]

Floats = NDArray[np.float64]
Masses = Mapping[str, tuple[float, ...]]

DEQUANTISATION = 0.1
"""Width of the normal noise that makes a continuous number of a leaf's mass, where that has few values: in the decay
tree of its number among them, in the paper's coordinates of its value in units of ``MASS_UNIT``."""

MASS_UNIT = 0.1  # GeV
_FEW = 12  # values: a mass with more is not that of a kind of particle
_LARGEST_LOG_RATIO = 50.0  # of transverse momenta: what is drawn stays finite
_SMALLEST = 1e-3  # GeV, of a mass that varies, whose logarithm is modelled


def leaves_of_columns(columns: Floats) -> Floats:
    """Turn pt (GeV), eta, phi and mass (GeV) of every leaf, shape ``(events, 4 leaves)``, into px, py, pz, mass.

    Returns:
        Shape ``(events, leaves, 4)``.
    """
    parts = columns.reshape(len(columns), -1, 4)
    momentum = to_cartesian(*np.moveaxis(parts, 2, 0))[..., :3]
    return np.concatenate([momentum, parts[..., 3:]], axis=2)


@final
@dataclass(frozen=True)
class TruthCoordinates:
    """The model's target, and the way back to particles.

    Attributes:
        tree: How the particles belong together.
        kind: ``"decay_tree"``: coordinates in which masses and sums close; ``"cartesian"``: the paper's five numbers of
            every particle.
        masses: Masses that a leaf can have, in ascending order, by its name, in GeV; none where its mass varies.
    """

    tree: DecayTree
    kind: Literal["decay_tree", "cartesian"]
    masses: Masses

    @classmethod
    def measured(cls, tree: DecayTree, kind: Literal["decay_tree", "cartesian"], leaves: Floats) -> TruthCoordinates:
        """Look up which masses the leaves have in training events; ``leaves`` as in ``encode``."""
        masses = {}
        for place, name in enumerate(tree.leaves):
            values = np.unique(leaves[:, place, 3])
            masses[name] = tuple(values.tolist()) if len(values) <= _FEW else ()
        return cls(tree, kind, masses)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The model's targets, in the order of ``relative``."""
        if self.kind == "cartesian":
            return tuple(Variable(name, unit) for name, unit in self.tree.numbers.items())
        positive = (0.0, float("inf"))
        units = coordinates(self.tree)
        for leaf in self.tree.anchors:
            units = {name: unit for name, unit in units.items() if not name.startswith(f"{leaf}_")}
            units |= {f"{leaf}_log_pt_ratio": "", f"{leaf}_azimuth": "rad", f"{leaf}_rapidity_difference": ""}
        released = {f"{one}_release": f"{one}_mass" for one in self._decays}
        renamed = released | {name: f"{name}_{what}" for name, what in self._mixed.items()}
        continuous = (
            Variable(renamed.get(name, name), unit, bounds=positive if name in released else None)
            for name, unit in units.items()
        )
        return (*continuous, *(self._mass_variable(leaf) for leaf in self._modelled))

    @property
    def continuous(self) -> tuple[str, ...]:
        """Names of the paper's numbers that have a density: all but the masses of leaves that have few values."""
        discrete = {f"{leaf}_mass" for leaf, values in self.masses.items() if values}
        return tuple(name for name in self.tree.numbers if name not in discrete)

    def decays(self, frame: Sequence[str]) -> Decays | None:
        """Return what the targets are coordinates of; nothing of the paper's numbers.

        Args:
            frame: The lists whose leading object the anchor is.
        """
        if self.kind == "cartesian":
            return None
        composites = {one: self.tree.composites[one] for name in self.tree.resonances for one in self.tree.inside(name)}
        masses = {leaf: float(np.median(values)) if values else 0.0 for leaf, values in self.masses.items()}
        leading = {leaf: tuple(frame) for leaf in self.tree.anchors}
        return Decays({one: (pair[0], pair[1]) for one, pair in composites.items()}, masses, leading)

    def encode(self, leaves: Floats, rng: np.random.Generator) -> Floats:
        """Return the coordinates, shape ``(events, coordinates)``, which ``relative`` makes the model's targets.

        Args:
            leaves: px, py, pz and mass in GeV, shape ``(events, leaves, 4)``.
            rng: Where the noise on masses of few values comes from.

        Raises:
            DataError: If the shape does not fit, or a mass is negative.
        """
        if self.kind == "cartesian":
            numbers = self.tree.cartesian(leaves)
            for place, name in enumerate(self.tree.numbers):
                if name not in self.continuous:
                    numbers[:, place] += MASS_UNIT * DEQUANTISATION * rng.standard_normal(len(numbers))
            return numbers
        columns = [encode(self.tree, leaves)]
        for leaf in self._modelled:
            mass = leaves[:, self.tree.leaves.index(leaf), 3]
            if self.masses[leaf]:
                number = np.abs(mass[:, None] - np.array(self.masses[leaf])).argmin(axis=1)
                mass = number + DEQUANTISATION * rng.standard_normal(len(mass))
            else:
                mass = np.maximum(mass, _SMALLEST)
            columns.append(mass[:, None])
        return np.concatenate(columns, axis=1)

    def numbers(self, targets: Floats) -> Floats:
        """Return the paper's numbers of every particle, shape ``(events, numbers)``, for coordinates as ``encode``'s.

        Those of the decay tree are consistent: of its leaves, and of their sums. Others are as the model has them.
        """
        if self.kind == "cartesian":
            return np.asarray(targets, dtype=np.float64)
        return self.tree.cartesian(self.leaves(targets))

    def leaves(self, targets: Floats) -> Floats:
        """Return px, py, pz and mass of the leaves in GeV, shape ``(events, leaves, 4)``, for the same coordinates."""
        if self.kind == "cartesian":
            names = list(self.tree.numbers)
            columns = [names.index(f"{leaf}_{one}") for leaf in self.tree.leaves for one in ("px", "py", "pz", "mass")]
            return np.asarray(targets[:, columns], dtype=np.float64).reshape(len(targets), -1, 4)
        masses = np.stack(list(self._leaf_masses(targets).values()), axis=-1)
        return decode(self.tree, targets[:, : len(self._names)], masses)

    def relative(self, coordinates: Floats, reference: Reference) -> Floats:
        """Return what the model learns: coordinates relative to a measured object.

        Momenta and directions are turned about the beam: boosts without rotation keep directions in rest frames turning
        with the event. An anchor has the logarithm of its pt over the measured one, and the differences of azimuth and
        of rapidity and measured pseudorapidity. A composite has its mass in the place of the energy that it releases:
        what a top quark releases varies with the mass of its W boson, its mass does not. Of several resonances the last
        has the sum of all transverse momenta in the place of its own, which is smaller, and the others theirs less an
        equal share of it.

        Args:
            coordinates: What ``encode`` makes, shape ``(events, coordinates)``.
            reference: The object of each event.

        Returns:
            Shape ``(events, targets)``.
        """
        result = self._turned(coordinates, -reference.phi)
        masses = self._leaf_masses(coordinates)
        for one in self._decays:
            place = self._names.index(f"{one}_release")
            masses[one] = coordinates[:, place] + sum(masses[daughter] for daughter in self.tree.composites[one])
            result[:, place] = masses[one]
        for place in self._anchored:
            px, py = result[:, place], result[:, place + 1]
            result[:, place : place + 2] = np.column_stack(
                [np.log(np.hypot(px, py) / reference.pt), np.arctan2(py, px)]
            )
            result[:, place + 2] -= reference.eta
        for places in self._summed:
            total = result[:, places].sum(axis=1)
            result[:, places] -= total[:, None] / len(places)
            result[:, places[-1]] = total
        return result

    def absolute(self, targets: Floats, reference: Reference) -> Floats:
        """Return the coordinates that ``numbers`` takes for what a model drew; the inverse of ``relative``.

        A mass below that of the daughters is taken for the threshold.

        Args:
            targets: Shape ``(events, draws, targets)``.
            reference: The object of each event.

        Returns:
            Shape ``(events, draws, coordinates)``.
        """
        result = targets.copy()
        for places in self._summed:
            total = result[..., places[-1]].copy()
            result[..., places[:-1]] += total[..., None] / len(places)
            result[..., places[-1]] = total - result[..., places[:-1]].sum(axis=-1)
        for place in self._anchored:
            pt = reference.pt[:, None] * np.exp(np.minimum(targets[..., place], _LARGEST_LOG_RATIO))
            result[..., place] = pt * np.cos(targets[..., place + 1])
            result[..., place + 1] = pt * np.sin(targets[..., place + 1])
            result[..., place + 2] += reference.eta[:, None]
        masses = self._leaf_masses(targets)
        for one in self._decays:
            place = self._names.index(f"{one}_release")
            threshold = sum(masses[daughter] for daughter in self.tree.composites[one])
            result[..., place] = np.maximum(targets[..., place] - threshold, 0.0)
            masses[one] = threshold + result[..., place]
        return self._turned(result, reference.phi[:, None])

    def _turned(self, targets: Floats, azimuth: Floats) -> Floats:
        """Turn coordinates about the beam by angles that broadcast with ``targets[..., 0]``."""
        result, cosine, sine = targets.copy(), np.cos(azimuth), np.sin(azimuth)
        for place, name in enumerate(self._names):
            for one, other in (("_px", "_py"), ("_u", "_v")):
                if name.endswith(one):
                    partner = self._names.index(name.removesuffix(one) + other)
                    x, y = targets[..., place], targets[..., partner]
                    result[..., place], result[..., partner] = cosine * x - sine * y, sine * x + cosine * y
        return result

    @property
    def _names(self) -> tuple[str, ...]:
        """Names of the coordinates, masses left out."""
        return tuple(self.tree.numbers if self.kind == "cartesian" else coordinates(self.tree))

    @property
    def _decays(self) -> tuple[str, ...]:
        """Composites in resonances, daughters first; none in the paper's numbers."""
        if self.kind == "cartesian":
            return ()
        return tuple(one for name in self.tree.resonances for one in reversed(self.tree.inside(name)))

    def _leaf_masses(self, targets: Floats) -> dict[str, Floats]:
        """Return the masses of the leaves in GeV by name, each of the shape of ``targets[..., 0]``."""
        if self.kind == "cartesian":
            return {}
        found: dict[str, Floats] = {}
        for leaf in self.tree.leaves:
            values = np.array(self.masses[leaf])
            if leaf not in self._modelled:
                found[leaf] = np.full(targets.shape[:-1], values[0])
                continue
            drawn = targets[..., len(self._names) + self._modelled.index(leaf)]
            if len(values):
                drawn = values[np.clip(np.rint(drawn), 0, len(values) - 1).astype(np.int64)]
            found[leaf] = drawn
        return found

    @property
    def _anchored(self) -> tuple[int, ...]:
        """Where the three coordinates of each anchor begin."""
        return tuple(self._names.index(f"{leaf}_px") for leaf in self.tree.anchors)

    @property
    def _summed(self) -> tuple[list[int], ...]:
        """Where px and where py of all resonances are, if there are several."""
        if self.kind == "cartesian" or len(self.tree.resonances) < 2:
            return ()
        return tuple([self._names.index(f"{one}_{axis}") for one in self.tree.resonances] for axis in ("px", "py"))

    @property
    def _mixed(self) -> dict[str, str]:
        """What the coordinates of ``_summed`` are called beside their own names."""
        return {
            self._names[place]: "of_all" if place == places[-1] else "less_share"
            for places in self._summed
            for place in places
        }

    @property
    def _modelled(self) -> tuple[str, ...]:
        """Leaves whose mass is a coordinate of the decay tree: those with more than one value."""
        return tuple(leaf for leaf in self.tree.leaves if len(self.masses[leaf]) != 1)

    def _mass_variable(self, leaf: str) -> Variable:
        if self.masses[leaf]:
            return Variable(f"{leaf}_mass_number", peaks=True)
        return Variable(f"{leaf}_mass", "GeV", bounds=(0.0, float("inf")))
