"""What two objects are to each other: numbers that a network would take long to learn from their momenta."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.estimators.moments import Moments

__all__ = ["LEAST", "PAIRS", "PairFeatures"]

PAIRS = ("log10(pair mass + 1)", "log10(relative pt + 1)", "delta R", "cos(delta phi)")
"""Features of a pair, the same whichever comes first."""

LEAST = 1e-30
"""What is divided by, in GeV^2, where an object has no energy."""

_SMALLEST = 1e-6  # standard deviation of a feature that varies


@final
class PairFeatures(nn.Module):
    """Features of pairs of objects, of zero mean and unit variance over those that exist.

    A feature that is the same everywhere becomes zero.

    References:
        Qu, Li and Qian, Particle transformer for jet tagging (arXiv:2202.03772), equation 3.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(PAIRS)))
        self.register_buffer("deviation", torch.ones(len(PAIRS)))
        self._moments = Moments(len(PAIRS))

    def update(self, momenta: Tensor, mask: Tensor, weight: Tensor) -> None:
        """Take events into the statistics; a pair counts with its event's weight.

        Args:
            momenta: As in ``forward``.
            mask: As in ``forward``.
            weight: Shape ``(events,)``.
        """
        pairs = _both(mask) & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
        self._moments.update(_features(momenta)[pairs], weight.repeat_interleave(pairs.sum((1, 2))))

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew; where no event has two objects nothing is changed."""
        if self._moments.total > 0:
            mean, deviation = self._moments.result([Variable(name) for name in PAIRS], "pairs", free=range(len(PAIRS)))
            self.mean.copy_(mean)
            self.deviation.copy_(torch.where(deviation > _SMALLEST, deviation, 1.0))
        self._moments = Moments(len(PAIRS))

    def forward(self, momenta: Tensor, mask: Tensor) -> Tensor:
        """Compute and scale the features of all pairs.

        Args:
            momenta: pt (GeV), pseudorapidity, azimuth (rad) and mass (GeV), finite also where no object exists, shape
                ``(events, N, 4)``.
            mask: True where an object exists, shape ``(events, N)``.

        Returns:
            Shape ``(events, N, N, 4)``; zero where one of the two does not exist.
        """
        return (_features(momenta) - self.mean) / self.deviation * _both(mask)[..., None]


def _both(mask: Tensor) -> Tensor:
    return mask[:, :, None] & mask[:, None]


def _features(momenta: Tensor) -> Tensor:
    pt, eta, phi, mass = momenta.unbind(-1)
    turned, apart = phi[:, :, None] - phi[:, None], eta[:, :, None] - eta[:, None]
    across = torch.remainder(turned + math.pi, 2 * math.pi) - math.pi
    distance = (apart.square() + across.square()).sqrt()
    size = pt.abs()
    relative_pt = torch.minimum(size[:, :, None], size[:, None]) * distance
    pair_mass = _squared_masses(size, mass.square(), eta, apart, turned).sqrt()
    return torch.stack([torch.log10(pair_mass + 1), torch.log10(relative_pt + 1), distance, torch.cos(turned)], dim=-1)


def _squared_masses(pt: Tensor, mass: Tensor, eta: Tensor, apart: Tensor, turned: Tensor) -> Tensor:
    """Return the squared mass of each pair as a sum of what is not negative, of which nothing is lost to rounding.

    The square of the energies minus that of the momenta, both of which are far larger where two objects are near or are
    one and the same, would be noise of a part in ten million of them. Instead, with ``p`` for sizes of momenta,
    ``E E' - p p' = (m^2 E'^2 + m'^2 p^2) / (E E' + p p')`` is what the masses add, and
    ``p p' (1 - cos angle) = 2 pt pt' (sinh^2(delta eta / 2) + sin^2(delta phi / 2))`` what the opening does.

    Args:
        pt: Not negative, shape ``(events, N)``.
        mass: Its square.
        eta: Pseudorapidity.
        apart: Difference of each two, shape ``(events, N, N)``.
        turned: That of their azimuths.
    """
    momentum = (pt * torch.cosh(eta)).square()
    energy = momentum + mass
    both = (energy[:, :, None] * energy[:, None]).sqrt() + (momentum[:, :, None] * momentum[:, None]).sqrt()
    heavy = (mass[:, :, None] * energy[:, None] + momentum[:, :, None] * mass[:, None]) / both.clamp(min=LEAST)
    opening = pt[:, :, None] * pt[:, None] * (torch.sinh(apart / 2).square() + torch.sin(turned / 2).square())
    return mass[:, :, None] + mass[:, None] + 2 * heavy + 4 * opening
