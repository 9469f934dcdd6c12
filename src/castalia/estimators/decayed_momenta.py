"""Momenta of decay products as a differentiable function of the targets that are coordinates of the decays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch
from torch import Tensor

from castalia.data.layout import Decays, Variable
from castalia.errors import ConfigError

__all__ = ["DecayedMomenta"]

_LARGEST_RAPIDITY: Final = 8.0
_LARGEST_SQUARE: Final = 60.0  # of the length of (u, v): a direction is 1e-13 from the axis there
_LARGEST_NORMAL: Final = 8.0  # of u and v, beyond that length
_SMALLEST_MASS: Final = 1e-3  # GeV
_LARGEST_MASS: Final = 1e5  # GeV, and of a transverse momentum: four factors of it are finite in single precision
_LEAST_SQUARE: Final = 1e-20  # GeV^4, under a root whose slope is infinite at zero


@final
class DecayedMomenta:
    """The way from coordinates to momenta, in the precision of networks and for any numbers a network may come by.

    It is that of ``castalia.physics.decay_coordinates.decode`` but for a network's eyes, and no result: rapidities and
    directions have limits, masses and transverse momenta one of 100 TeV, a mass below that of the daughters counts as
    theirs, anchors are not read. So all of it is finite, and so are its derivatives.

    Args:
        variables: The targets.
        decays: What they are coordinates of.

    Raises:
        ConfigError: If a coordinate is no target.

    Attributes:
        particles: Names of those that do not decay, in the order of the result.
    """

    def __init__(self, variables: Sequence[Variable], decays: Decays) -> None:
        self._composites, self._masses = dict(decays.composites), dict(decays.masses)
        self.particles = tuple(decays.masses)
        self._columns = {variable.name: i for i, variable in enumerate(variables)}
        daughters = {one for pair in decays.composites.values() for one in pair}
        self._free = [name for name in (*decays.composites, *decays.masses) if name not in daughters]
        self._resonances = [name for name in self._free if name in decays.composites]
        needed = [f"{name}_{what}" for name in decays.composites for what in ("mass", "u", "v")]
        needed += [f"{name}_rapidity" for name in self._free] + [self._across(name, "x") for name in self._free]
        for name in needed:
            if name not in self._columns:
                raise ConfigError(f"The coordinate '{name}' of the decays is no target; declare it, or no decays.")

    def __call__(self, target: Tensor) -> Tensor:
        """Return momenta of targets in physical units.

        Args:
            target: Shape ``(events, T)``.

        Returns:
            (px, py, pz) in GeV, shape ``(events, particles, 3)``.
        """
        mass = {name: self._leaf_mass(target, name) for name in self._masses}
        for name, (one, other) in reversed(self._composites.items()):
            least = mass[one] + mass[other]
            above = self._column(target, f"{name}_mass").clamp(max=_LARGEST_MASS)
            mass[name] = torch.maximum(above, least + _SMALLEST_MASS)
        found: dict[str, Tensor] = {}
        across = {axis: self._transverse(target, axis) for axis in "xy"}
        for name in self._free:
            px, py = across["x"][name], across["y"][name]
            rapidity = self._column(target, f"{name}_rapidity").clamp(-_LARGEST_RAPIDITY, _LARGEST_RAPIDITY)
            pz = (px.square() + py.square() + mass[name].square()).sqrt() * torch.sinh(rapidity)
            self._decay(name, torch.stack([px, py, pz]), target, mass, found)
        return torch.stack([found[name] for name in self.particles], dim=1).permute(2, 1, 0)

    def _leaf_mass(self, target: Tensor, name: str) -> Tensor:
        if f"{name}_mass" in self._columns:
            return self._column(target, f"{name}_mass").clamp(0.0, _LARGEST_MASS)
        return torch.full_like(target[:, 0], self._masses[name])

    def _decay(
        self, name: str, momentum: Tensor, target: Tensor, mass: Mapping[str, Tensor], found: dict[str, Tensor]
    ) -> None:
        """Add the momenta of all products to ``found``, in the frame of ``momentum``."""
        if name not in self._composites:
            found[name] = momentum
            return
        pair = self._composites[name]
        whole, one, other = mass[name], mass[pair[0]], mass[pair[1]]
        # Källén's function, each factor positive as the mass is above the threshold.
        square = (whole + one + other) * (whole - one - other) * (whole + one - other) * (whole - one + other)
        size = square.clamp(min=_LEAST_SQUARE).sqrt() / (2.0 * whole)
        first = size * _direction(*(self._column(target, f"{name}_{axis}") for axis in "uv"))
        for daughter, at_rest in zip(pair, (first, -first), strict=True):
            products: dict[str, Tensor] = {}
            self._decay(daughter, at_rest, target, mass, products)
            found |= {leaf: _boosted(old, mass[leaf], momentum, whole) for leaf, old in products.items()}

    def _transverse(self, target: Tensor, axis: str) -> dict[str, Tensor]:
        """Return a transverse component of what does not come from a decay, by name."""
        limits = (-_LARGEST_MASS, _LARGEST_MASS)
        found = {name: self._column(target, self._across(name, axis)).clamp(*limits) for name in self._free}
        last = self._resonances[-1] if self._resonances else None
        if last is None or not self._across(last, axis).endswith("_of_all"):
            return found
        total, count = found[last], len(self._resonances)
        others = {name: found[name] + total / count for name in self._resonances[:-1]}
        return found | others | {last: total - sum(others.values())}

    def _across(self, name: str, axis: str) -> str:
        """Return the name of the target with a transverse component, as it is called here."""
        plain = f"{name}_p{axis}"
        return next((one for one in (f"{plain}_of_all", f"{plain}_less_share") if one in self._columns), plain)

    def _column(self, target: Tensor, name: str) -> Tensor:
        return target[:, self._columns[name]]


def _direction(u: Tensor, v: Tensor) -> Tensor:
    """Return the direction of two normal numbers; see ``castalia.physics.two_body.normal_to_direction``."""
    u, v = (one.clamp(-_LARGEST_NORMAL, _LARGEST_NORMAL) for one in (u, v))
    square = (u.square() + v.square()).clamp(1e-12, _LARGEST_SQUARE)
    cosine2 = torch.exp(-0.5 * square)  # of half the angle
    across = 2.0 * (cosine2 * -torch.expm1(-0.5 * square) / square).sqrt()
    return torch.stack([across * u, across * v, 2.0 * cosine2 - 1.0])


def _boosted(momentum: Tensor, mass: Tensor, frame: Tensor, frame_mass: Tensor) -> Tensor:
    """Return momenta seen from where what was at rest has a momentum ``frame``."""
    energy = (momentum.square().sum(0) + mass.square()).sqrt()
    ratio = frame / frame_mass
    factor = (1.0 + ratio.square().sum(0)).sqrt()
    return momentum + ratio * ((momentum * ratio).sum(0) / (1.0 + factor) + energy)
