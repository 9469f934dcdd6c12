"""The two losses of flow matching after location and width: a likelihood and a regression."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from castalia.estimators.base import Losses
from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.flows.conditional_affine import ConditionalAffine

__all__ = ["matching_losses"]


def matching_losses(
    location_and_width: ConditionalAffine,
    flow: ContinuousBlock,
    scaled: Tensor,
    condition: Tensor,
    rng: np.random.Generator,
    paths: int = 1,
) -> Losses:
    """Return the losses of a chain of two blocks, each by a loss of its own that does not reach the other's parameters.

    Args:
        location_and_width: The block that touches the targets; trained by the likelihood of a normal distribution.
        flow: The block of what is left; trained by regression of its velocity (see ``ContinuousBlock``).
        scaled: Scaled targets, shape ``(events, T)``.
        condition: Shape ``(events, C)``.
        rng: Source of noise and times.
        paths: Paths of each event whose velocity is learned, at times that are evenly spread: where the condition took
            long to make, several cost little more than one.
    """
    pulls, log_slope = location_and_width(scaled, condition)
    target, given = (values.repeat(paths, 1) for values in (pulls.detach(), condition))
    noise = torch.from_numpy(rng.standard_normal(tuple(target.shape), dtype=np.float32)).to(target)
    first = torch.from_numpy(rng.random((1, len(scaled)), dtype=np.float32))
    time = ((first + torch.arange(paths)[:, None] / paths) % 1).view(-1, 1).to(target)
    normal = 0.5 * pulls.square().sum(1) - log_slope + 0.5 * math.log(2 * math.pi) * pulls.shape[1]
    matching = flow.matching_loss(target, given, noise, time).view(paths, -1).mean(0)
    return Losses(normal + matching, {"location_and_width": normal, "velocity": matching})
