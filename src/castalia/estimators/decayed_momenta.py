"""Momenta of decay products as a differentiable function of the targets that are coordinates of the decays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, final

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
@dataclass(frozen=True)
class _Step:
    """How particles of some frames are taken from these to the frame above, all at once.

    Attributes:
        columns: Targets with mass, u and v of each composite whose products move, shape ``(3, composites)``.
        products: Numbers of their first daughters, then of their second ones, among all masses.
        whole: Their own numbers.
        direct: Which products are particles that do not decay.
        frames: Which product each particle that is further below comes from.
        leaves: Numbers of the particles that are further below.
    """

    columns: Tensor
    products: Tensor
    whole: Tensor
    direct: Tensor
    frames: Tensor
    leaves: Tensor

    def at_rest(self, columns: Tensor, mass: Tensor) -> Tensor:
        """Return momenta of the products where what decays is at rest, shape ``(3, products, events)``.

        Args:
            columns: Targets, shape ``(T, events)``.
            mass: All masses, shape ``(masses, events)``.
        """
        whole, (one, other) = mass.index_select(0, self.whole), mass.index_select(0, self.products).chunk(2)
        # Källén's function, each factor positive as the mass is above the threshold.
        square = (whole + one + other) * (whole - one - other) * (whole + one - other) * (whole - one + other)
        size = square.clamp(min=_LEAST_SQUARE).sqrt() / (2.0 * whole)
        first = size * _direction(*(columns.index_select(0, of) for of in self.columns[1:]))
        return torch.cat([first, -first], dim=1)

    def joined(self, below: Tensor, mass: Tensor, products: Tensor) -> Tensor:
        """Return momenta of the particles of all products, those that are products themselves first.

        Args:
            below: Momenta of particles further below, in the frame of the product each comes from.
            mass: All masses.
            products: Momenta of the products.
        """
        direct = products.index_select(1, self.direct)
        if not len(self.leaves):
            return direct
        frame, frame_mass = products.index_select(1, self.frames), mass.index_select(0, self.products[self.frames])
        return torch.cat([direct, _boosted(below, mass.index_select(0, self.leaves), frame, frame_mass)], dim=1)


@final
@dataclass(frozen=True)
class _Way:
    """What leads from targets to momenta.

    Attributes:
        steps: From the last generation to the first.
        top: From that to the laboratory; its products are what does not come from a decay.
        order: Place of each particle after it.
        leaves: Target that is the mass of each particle, or -1.
        across: Targets that are x components of what does not come from a decay, and then y components.
        rapidities: Targets that are their rapidities.
        masses: Of all particles, used where no target is the mass, shape ``(particles, 1)``.
        shares: Matrix from the targets in ``across`` to components.
    """

    steps: tuple[_Step, ...]
    top: _Step
    order: Tensor
    leaves: Tensor
    across: Tensor
    rapidities: Tensor
    masses: Tensor
    shares: Tensor

    def momenta(self, columns: Tensor) -> Tensor:
        """Return momenta of targets of shape ``(T, events)``, shape ``(3, particles, events)``."""
        mass = self._masses(columns)
        momenta = columns.new_empty((3, 0, columns.shape[1]))
        for step in self.steps:
            momenta = step.joined(momenta, mass, step.at_rest(columns, mass))
        free = self._free(columns, mass.index_select(0, self.top.products))
        return self.top.joined(momenta, mass, free).index_select(1, self.order)

    def _masses(self, columns: Tensor) -> Tensor:
        """Return masses of all particles, then of the composites, those of the last generation first."""
        given = columns.index_select(0, self.leaves.clamp(min=0)).clamp(0.0, _LARGEST_MASS)
        mass = torch.where(self.leaves[:, None] >= 0, given, self.masses.to(columns))
        for step in self.steps:
            one, other = mass.index_select(0, step.products).chunk(2)
            above = columns.index_select(0, step.columns[0]).clamp(max=_LARGEST_MASS)
            mass = torch.cat([mass, torch.maximum(above, one + other + _SMALLEST_MASS)])
        return mass

    def _free(self, columns: Tensor, mass: Tensor) -> Tensor:
        """Return momenta of what does not come from a decay, shape ``(3, free, events)``."""
        across = columns.index_select(0, self.across).clamp(-_LARGEST_MASS, _LARGEST_MASS)
        px, py = self.shares.to(columns) @ across.view(2, *mass.shape)
        rapidity = columns.index_select(0, self.rapidities).clamp(-_LARGEST_RAPIDITY, _LARGEST_RAPIDITY)
        pz = (px.square() + py.square() + mass.square()).sqrt() * torch.sinh(rapidity)
        return torch.stack([px, py, pz])


@final
class DecayedMomenta:
    """The way from coordinates to momenta, in the precision of networks and for any numbers a network may come by.

    It is that of ``castalia.physics.decay_coordinates.decode`` but for a network's eyes, and no result: rapidities and
    directions have limits, masses and transverse momenta one of 100 TeV, a mass below that of the daughters counts as
    theirs, anchors are not read. So all of it is finite, and so are its derivatives.

    Decays of one generation are computed together: a network asks for this at every evaluation, and it is the number of
    operations that costs, not their size.

    Args:
        variables: The targets.
        decays: What they are coordinates of.

    Raises:
        ConfigError: If a coordinate is no target.

    Attributes:
        particles: Names of those that do not decay, in the order of the result.
    """

    def __init__(self, variables: Sequence[Variable], decays: Decays) -> None:
        self._composites = dict(decays.composites)
        self.particles = tuple(decays.masses)
        self._columns = {variable.name: i for i, variable in enumerate(variables)}
        daughters = {one for pair in decays.composites.values() for one in pair}
        self._free = [name for name in (*decays.composites, *decays.masses) if name not in daughters]
        needed = [f"{name}_{what}" for name in decays.composites for what in ("mass", "u", "v")]
        needed += [f"{name}_rapidity" for name in self._free] + [self._across(name, "x") for name in self._free]
        for name in needed:
            if name not in self._columns:
                raise ConfigError(f"The coordinate '{name}' of the decays is no target; declare it, or no decays.")
        self._ways = {torch.device("cpu"): self._way(decays)}

    def __call__(self, target: Tensor) -> Tensor:
        """Return momenta of targets in physical units.

        Args:
            target: Shape ``(events, T)``.

        Returns:
            (px, py, pz) in GeV, shape ``(events, particles, 3)``.
        """
        if target.device not in self._ways:
            with torch.inference_mode(False):  # what is kept must do for derivatives as well
                self._ways[target.device] = _on(self._ways[torch.device("cpu")], target.device)
        return self._ways[target.device].momenta(target.t().contiguous()).permute(2, 1, 0)

    def _way(self, decays: Decays) -> _Way:
        steps, top, order = self._steps()
        leaves = [self._columns.get(f"{name}_mass", -1) for name in self.particles]
        across = [self._columns[self._across(name, axis)] for axis in "xy" for name in self._free]
        rapidities = [self._columns[f"{name}_rapidity"] for name in self._free]
        masses = torch.tensor(list(decays.masses.values()), dtype=torch.float64)[:, None]
        one, other, last = map(torch.tensor, (leaves, across, rapidities))
        return _Way(tuple(steps), top, order, one, other, last, masses, self._shares())

    def _shares(self) -> Tensor:
        """Return the matrix from transverse targets to components; the last resonance's may be that of all."""
        resonances = [place for place, name in enumerate(self._free) if name in self._composites]
        matrix = torch.eye(len(self._free), dtype=torch.float64)
        if resonances and self._across(self._free[resonances[-1]], "x").endswith("_of_all"):
            *others, last = resonances
            matrix[others, last] = 1.0 / len(resonances)
            matrix[last] -= matrix[others].sum(0)
        return matrix

    def _steps(self) -> tuple[list[_Step], _Step, Tensor]:
        """Return the steps from the last generation on, that to what is free, and the order of the particles."""
        generations = [[name for name in self._free if name in self._composites]]
        while generations[-1]:
            products = [one for name in generations[-1] for one in self._composites[name]]
            generations.append([one for one in products if one in self._composites])
        generations = generations[-2::-1]
        numbers = {name: i for i, name in enumerate((*self.particles, *(one for some in generations for one in some)))}
        steps: list[_Step] = []
        below: list[str] = []
        for names in generations:
            products = [self._composites[name][side] for side in (0, 1) for name in names]
            step, below = self._step(names, products, below, numbers)
            steps.append(step)
        top, below = self._step([], self._free, below, numbers)
        return steps, top, torch.tensor([below.index(name) for name in self.particles])

    def _step(
        self, names: list[str], products: list[str], below: list[str], numbers: Mapping[str, int]
    ) -> tuple[_Step, list[str]]:
        """Return a step, and the particles that are below after it."""
        direct = [place for place, name in enumerate(products) if name in self.particles]
        frames = [place for one in below for place, name in enumerate(products) if one in self._leaves(name)]
        columns = [[self._columns[f"{name}_{what}"] for name in names] for what in ("mass", "u", "v")]
        lists = columns, [numbers[one] for one in products], [numbers[one] for one in names], direct, frames
        step = _Step(*(torch.tensor(one, dtype=torch.long) for one in (*lists, [numbers[one] for one in below])))
        return step, [products[place] for place in direct] + below

    def _leaves(self, name: str) -> list[str]:
        """Return the particles that one decays to at last."""
        if name not in self._composites:
            return [name]
        return [leaf for one in self._composites[name] for leaf in self._leaves(one)]

    def _across(self, name: str, axis: str) -> str:
        """Return the name of the target with a transverse component, as it is called here."""
        plain = f"{name}_p{axis}"
        return next((one for one in (f"{plain}_of_all", f"{plain}_less_share") if one in self._columns), plain)


def _on(way: _Way, device: torch.device) -> _Way:
    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        if isinstance(value, tuple):
            return tuple(map(moved, value))
        return type(value)(*(moved(getattr(value, one.name)) for one in fields(value)))

    result: _Way = moved(way)
    return result


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
