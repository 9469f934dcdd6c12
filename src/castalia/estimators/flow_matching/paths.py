"""The paths between noise and targets along which a velocity is learned."""

from __future__ import annotations

import math
from enum import Enum
from typing import final

import torch
from torch import Tensor

__all__ = ["Path"]

_QUARTER = math.pi / 2


@final
class Path(Enum):
    """A path from noise at time 0 to a target at time 1.

    ``cos(pi t / 2) noise + sin(pi t / 2) target`` keeps the width where both are standard normal, ``(1 - t) noise + t
    target`` is straight, and narrows and widens again.

    References:
        Albergo and Vanden-Eijnden, Building normalizing flows with stochastic interpolants (arXiv:2209.15571),
        trigonometric interpolant; Lipman et al., Flow matching for generative modeling (arXiv:2210.02747), section 4.1,
        the straight path, there of optimal transport.
    """

    TRIGONOMETRIC = "trigonometric"
    STRAIGHT = "straight"

    def at(self, noise: Tensor, target: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return the place on the path at a time, and the path's own velocity there.

        Args:
            noise: Shape ``(events, T)``.
            target: Shape ``(events, T)``.
            time: From 0 to 1, shape ``(events, 1)``.

        Returns:
            Each of shape ``(events, T)``.
        """
        if self is Path.STRAIGHT:
            along = target - noise
            return noise + time * along, along
        cosine, sine = torch.cos(_QUARTER * time), torch.sin(_QUARTER * time)
        return cosine * noise + sine * target, _QUARTER * (cosine * target - sine * noise)
