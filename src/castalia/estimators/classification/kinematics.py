"""What a network sees of objects and of pairs of them: numbers of order one, whose scaling is measured once."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.moments import Moments
from castalia.estimators.pair_features import PairFeatures

__all__ = ["KINEMATICS", "Kinematics"]

KINEMATICS = ("sign(pt) log10(|pt| + 1)", "eta", "sin(phi)", "cos(phi)", "log10(mass + 1)")
"""Features of an object."""

_ANGULAR = [2, 3]  # of an angle nothing is subtracted, and its size is known


@final
class Kinematics(nn.Module):
    """Features of objects and pairs, of zero mean and unit variance over those that exist.

    A feature that is the same everywhere, such as the mass where no object has one, becomes zero.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(KINEMATICS)))
        self.register_buffer("deviation", torch.ones(len(KINEMATICS)))
        self.between = PairFeatures()
        self._moments = Moments(len(KINEMATICS))

    def update(self, objects: ObjectTensors, weight: Tensor) -> None:
        """Take events into the statistics; an object and a pair count with their event's weight.

        Args:
            objects: Objects of the events.
            weight: Shape ``(events,)``.
        """
        self._moments.update(_kinematics(objects)[objects.mask], weight.repeat_interleave(objects.mask.sum(1)))
        self.between.update(_momenta(objects), objects.mask, weight)

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew.

        Raises:
            DataError: If no training event has an object.
        """
        variables = [Variable(name) for name in KINEMATICS]
        mean, deviation = self._moments.result(variables, "list 'objects'", free=range(len(KINEMATICS)))
        deviation = torch.where(deviation > 1e-6, deviation, 1.0)
        mean[_ANGULAR], deviation[_ANGULAR] = 0.0, 1.0
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        self.between.finish()
        self._moments = Moments(len(KINEMATICS))

    def objects(self, objects: ObjectTensors) -> Tensor:
        """Return the features of objects, shape ``(events, N, 5)``; zero where none exists."""
        return (_kinematics(objects) - self.mean) / self.deviation * objects.mask[..., None]

    def pairs(self, objects: ObjectTensors) -> Tensor:
        """Return the features of pairs, shape ``(events, N, N, 4)``; zero where one of the two does not exist.

        An object without pseudorapidity counts as one at 0.
        """
        result: Tensor = self.between(_momenta(objects), objects.mask)
        return result


def _momenta(objects: ObjectTensors) -> Tensor:
    return torch.stack([objects.pt, objects.eta, objects.phi, objects.mass], dim=-1)


def _kinematics(objects: ObjectTensors) -> Tensor:
    pt = torch.sign(objects.pt) * torch.log10(objects.pt.abs() + 1)
    mass = torch.log10(objects.mass.clamp(min=0) + 1)
    return torch.stack([pt, objects.eta, objects.phi.sin(), objects.phi.cos(), mass], dim=-1)
