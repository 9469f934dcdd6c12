"""What a network sees of objects and of pairs of them: numbers of order one, whose scaling is measured once."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.moments import Moments

__all__ = ["KINEMATICS", "PAIRS", "Kinematics"]

KINEMATICS = ("sign(pt) log10(|pt| + 1)", "eta", "sin(phi)", "cos(phi)", "log10(mass + 1)")
"""Features of an object."""

PAIRS = ("log10(pair mass + 1)", "log10(relative pt + 1)", "delta R", "cos(delta phi)")
"""Features of a pair, the same whichever comes first."""

_ANGULAR = [2, 3]  # of an angle nothing is subtracted, and its size is known


@final
class Kinematics(nn.Module):
    """Features of objects and pairs, of zero mean and unit variance over those that exist.

    A feature that is the same everywhere, such as the mass where no object has one, becomes zero.

    References:
        Qu, Li and Qian, Particle transformer for jet tagging (arXiv:2202.03772), equation 3, the features of pairs.
    """

    mean: Tensor
    deviation: Tensor
    pair_mean: Tensor
    pair_deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(KINEMATICS)))
        self.register_buffer("deviation", torch.ones(len(KINEMATICS)))
        self.register_buffer("pair_mean", torch.zeros(len(PAIRS)))
        self.register_buffer("pair_deviation", torch.ones(len(PAIRS)))
        self._moments = Moments(len(KINEMATICS)), Moments(len(PAIRS))

    def update(self, objects: ObjectTensors, weight: Tensor) -> None:
        """Take events into the statistics; an object and a pair count with their event's weight.

        Args:
            objects: Objects of the events.
            weight: Shape ``(events,)``.
        """
        pairs = _both(objects.mask) & ~torch.eye(objects.mask.shape[1], dtype=torch.bool, device=weight.device)
        self._moments[0].update(_kinematics(objects)[objects.mask], weight.repeat_interleave(objects.mask.sum(1)))
        self._moments[1].update(_pairs(objects)[pairs], weight.repeat_interleave(pairs.sum((1, 2))))

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew.

        Raises:
            DataError: If no training event has an object.
        """
        found = []
        for moments, names in zip(self._moments, (KINEMATICS, PAIRS), strict=True):
            if names is PAIRS and moments.total == 0:  # no event has two objects
                found.append((torch.zeros(len(PAIRS)), torch.ones(len(PAIRS))))
                continue
            variables = [Variable(name) for name in names]
            mean, deviation = moments.result(variables, "list 'objects'", free=range(len(names)))
            found.append((mean, torch.where(deviation > 1e-6, deviation, 1.0)))
        found[0][0][_ANGULAR], found[0][1][_ANGULAR] = 0.0, 1.0
        self.mean.copy_(found[0][0])
        self.deviation.copy_(found[0][1])
        self.pair_mean.copy_(found[1][0])
        self.pair_deviation.copy_(found[1][1])
        self._moments = Moments(len(KINEMATICS)), Moments(len(PAIRS))

    def objects(self, objects: ObjectTensors) -> Tensor:
        """Return the features of objects, shape ``(events, N, 5)``; zero where none exists."""
        return (_kinematics(objects) - self.mean) / self.deviation * objects.mask[..., None]

    def pairs(self, objects: ObjectTensors) -> Tensor:
        """Return the features of pairs, shape ``(events, N, N, 4)``; zero where one of the two does not exist."""
        return (_pairs(objects) - self.pair_mean) / self.pair_deviation * _both(objects.mask)[..., None]


def _both(mask: Tensor) -> Tensor:
    return mask[:, :, None] & mask[:, None]


def _kinematics(objects: ObjectTensors) -> Tensor:
    pt = torch.sign(objects.pt) * torch.log10(objects.pt.abs() + 1)
    mass = torch.log10(objects.mass.clamp(min=0) + 1)
    return torch.stack([pt, objects.eta, objects.phi.sin(), objects.phi.cos(), mass], dim=-1)


def _pairs(objects: ObjectTensors) -> Tensor:
    """Return the features of pairs in no unit; an object without pseudorapidity counts as one at 0."""
    pt, eta, phi, mass = objects.pt, objects.eta, objects.phi, objects.mass
    along = pt * torch.sinh(eta)
    energy = (pt.square() + along.square() + mass.square()).sqrt()
    momentum = torch.stack([pt * phi.cos(), pt * phi.sin(), along], dim=-1)
    total_energy = energy[:, :, None] + energy[:, None]
    total = (momentum[:, :, None] + momentum[:, None]).square().sum(-1)
    pair_mass = (total_energy.square() - total).clamp(min=0).sqrt()
    turned = phi[:, :, None] - phi[:, None]
    across = torch.remainder(turned + math.pi, 2 * math.pi) - math.pi
    distance = ((eta[:, :, None] - eta[:, None]).square() + across.square()).sqrt()
    relative_pt = torch.minimum(pt[:, :, None].abs(), pt[:, None].abs()) * distance
    return torch.stack([torch.log10(pair_mass + 1), torch.log10(relative_pt + 1), distance, torch.cos(turned)], dim=-1)
