"""What is the decay product of what: a tree of leaves and the sums over them, and the paper's numbers for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import ConfigError, DataError
from castalia.physics.four_vectors import from_cartesian

__all__ = ["DecayTree"]

_NUMBERS: Final = {"px": "GeV", "py": "GeV", "pz": "GeV", "log_energy": "", "mass": "GeV"}


@final
@dataclass(frozen=True)
class DecayTree:
    """Particles that truth consists of (leaves), sums over them, and which of those sums decay in two.

    Attributes:
        leaves: Names of the leaves, in the order of arrays.
        composites: By name the daughters whose sum each is: leaves, or composites that stand before it.
        resonances: Composites whose decays ``castalia.physics.decay_coordinates`` describes: they share no leaf, and
            each of them and each composite in them has two daughters. Composites beyond them, such as the pair of two
            top quarks, are sums and nothing more.
        anchors: Leaves whose momentum in the laboratory is a coordinate as well, as they are measured so well; at most
            one in each resonance.

    Raises:
        ConfigError: If a name is used twice, a daughter is not known where it is named or has a mother already, a
            composite has fewer than two daughters, a resonance breaks the rule above, or an anchor is in no
            resonance or in that of another.
    """

    leaves: tuple[str, ...]
    composites: Mapping[str, tuple[str, ...]]
    resonances: tuple[str, ...]
    anchors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_names((*self.leaves, *self.composites))
        _check_daughters(self.leaves, self.composites)
        taken: set[str] = set()
        for name in self.resonances:
            if name not in self.composites:
                known = ", ".join(self.composites) or "none"
                raise ConfigError(f"Resonance {name!r} is no composite of the decay tree; choose from {known}.")
            for one in self.inside(name):
                if len(self.composites[one]) != 2:
                    raise ConfigError(
                        f"Composite {one!r} of resonance {name!r} has {len(self.composites[one])} daughters; group "
                        "them two by two, or leave the resonance out."
                    )
            if taken & set(self.leaves_of(name)):
                raise ConfigError(f"Resonance {name!r} shares leaves with one before it; name only the outer one.")
            taken |= set(self.leaves_of(name))
        for leaf in self.anchors:
            if leaf not in taken:
                known = ", ".join(sorted(taken)) or "none"
                raise ConfigError(f"Anchor {leaf!r} is a leaf of no resonance; choose from {known}.")
        for name in self.resonances:
            if len(own := [leaf for leaf in self.anchors if leaf in self.leaves_of(name)]) > 1:
                raise ConfigError(f"Resonance {name!r} has the anchors {', '.join(own)}; one of them is enough.")

    @property
    def particles(self) -> tuple[str, ...]:
        """Names of all leaves and then all composites."""
        return (*self.leaves, *self.composites)

    @property
    def loose(self) -> tuple[str, ...]:
        """Names of the leaves that are in no resonance."""
        bound = {leaf for name in self.resonances for leaf in self.leaves_of(name)}
        return tuple(leaf for leaf in self.leaves if leaf not in bound)

    @property
    def numbers(self) -> dict[str, str]:
        """Units of the numbers of ``cartesian`` by name, in order: five for each particle."""
        return {f"{one}_{name}": unit for one in self.particles for name, unit in _NUMBERS.items()}

    def inside(self, composite: str) -> tuple[str, ...]:
        """Return the composite and all composites in it, mothers first."""
        daughters = (one for one in self.composites[composite] if one in self.composites)
        return (composite, *(deeper for one in daughters for deeper in self.inside(one)))

    def leaves_of(self, particle: str) -> tuple[str, ...]:
        """Return the leaves that a particle is the sum of."""
        if particle not in self.composites:
            return (particle,)
        return tuple(leaf for one in self.composites[particle] for leaf in self.leaves_of(one))

    def anchor_of(self, resonance: str) -> str | None:
        """Return the anchor in a resonance, where there is one."""
        return next((leaf for leaf in self.anchors if leaf in self.leaves_of(resonance)), None)

    def check(self, leaves: ArrayLike) -> NDArray[np.float64]:
        """Return leaves as an array (px, py, pz, mass) in GeV of shape ``(events, leaves, 4)``.

        Raises:
            DataError: If the shape is another or a mass is negative.
        """
        values = np.asarray(leaves, dtype=np.float64)
        if values.ndim != 3 or values.shape[1:] != (len(self.leaves), 4):
            raise DataError(
                f"Leaves {', '.join(self.leaves)} need an array (events, {len(self.leaves)}, 4), not {values.shape}."
            )
        if (values[..., 3] < 0.0).any():
            row, leaf = np.argwhere(values[..., 3] < 0.0)[0]
            raise DataError(f"Leaf {self.leaves[leaf]!r} has a negative mass in row {row}; masses are at least 0.")
        return values

    def four_vectors(self, leaves: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return (px, py, pz, E) in GeV of all particles by name, each of shape ``(events, 4)``.

        A composite is the sum of its daughters to the last bit.

        Args:
            leaves: (px, py, pz, mass) in GeV, shape ``(events, leaves, 4)``.

        Raises:
            DataError: If the shape does not fit or a mass is negative.
        """
        values = self.check(leaves)
        momentum, mass = values[..., :3], values[..., 3]
        energy = np.hypot(np.linalg.norm(momentum, axis=-1), mass)
        four = np.concatenate([momentum, energy[..., None]], axis=-1)
        found = {name: four[:, place] for place, name in enumerate(self.leaves)}
        for name, daughters in self.composites.items():
            found[name] = np.sum([found[one] for one in daughters], axis=0)
        return found

    def cartesian(self, leaves: ArrayLike) -> NDArray[np.float64]:
        """Return px, py, pz, log(E + 1) and mass of every particle, shape ``(events, numbers)``.

        Redundant as they are, these are the target of the paper: 55 numbers for a pair of top quarks. The momentum and
        the mass of each leaf are those of ``leaves``, bit for bit.

        Args:
            leaves: (px, py, pz, mass) in GeV, shape ``(events, leaves, 4)``.

        Raises:
            DataError: If the shape does not fit or a mass is negative.

        References:
            End-To-End Latent Variational Diffusion Models for Inverse Problems in High Energy Physics.
        """
        masses = dict(zip(self.leaves, self.check(leaves)[..., 3].T, strict=True))
        columns = [
            np.column_stack([vector[:, :3], np.log1p(vector[:, 3]), masses.get(name, from_cartesian(vector)[3])])
            for name, vector in self.four_vectors(leaves).items()
        ]
        return np.concatenate(columns, axis=1)

    def stated_four_vectors(self, numbers: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return the four-momenta that numbers as those of ``cartesian`` state, consistent or not.

        Args:
            numbers: Shape ``(events, numbers)``; a model may have made them.

        Returns:
            (px, py, pz, E) in GeV of all particles by name, each of shape ``(events, 4)``, where E is exp(x) - 1
            whatever the momentum and the mass are.

        Raises:
            DataError: If the shape does not fit.
        """
        values = np.asarray(numbers, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.numbers):
            raise DataError(f"This decay tree has numbers (events, {len(self.numbers)}), not {values.shape}.")
        parts = values.reshape(len(values), len(self.particles), len(_NUMBERS))
        four = np.concatenate([parts[..., :3], np.expm1(parts[..., 3:4])], axis=-1)
        return {name: four[:, place] for place, name in enumerate(self.particles)}


def _check_names(names: tuple[str, ...]) -> None:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ConfigError(f"The decay tree has two particles {double[0]!r}; give each its own name.")
    if not names:
        raise ConfigError("The decay tree has no leaves; name at least one.")


def _check_daughters(leaves: tuple[str, ...], composites: Mapping[str, tuple[str, ...]]) -> None:
    known, mothers = list(leaves), dict[str, str]()
    for name, daughters in composites.items():
        if len(daughters) < 2:
            raise ConfigError(f"Composite {name!r} has {len(daughters)} daughters; a sum needs two or more.")
        for one in daughters:
            if one not in known:
                raise ConfigError(
                    f"Daughter {one!r} of composite {name!r} is no leaf and no composite before it; choose from "
                    f"{', '.join(known)}, or put {one!r} first."
                )
            if one in mothers:
                raise ConfigError(f"Daughter {one!r} of composite {name!r} is already one of {mothers[one]!r}.")
            mothers[one] = name
        known.append(name)
