"""The network of a diffusion: a residual network on noisy data, the level of noise, and the condition."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.nn.mlp import MLP

__all__ = ["Denoiser"]

_WAVES = 8
_START_GAIN = 0.1


@final
class _ResidualBlock(nn.Module):
    """Normalises, shifts by the level of noise, applies a network with one hidden layer, and adds the result."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normal = nn.LayerNorm(width)
        self.network = MLP(width, width, (width,), activation="silu")
        self.level = nn.Linear(2 * _WAVES, width)

    def forward(self, values: Tensor, waves: Tensor) -> Tensor:
        result: Tensor = values + self.network(self.normal(values) + self.level(waves))
        return result


@final
class Denoiser(nn.Module):
    """Answers what the noise, the data or the velocity of noisy data is.

    The part of the first layer that sees the condition is computed once per event by ``given``, however often a sampler
    asks.

    Args:
        variables: Number of data, ``D``.
        condition: Length of the condition vector.
        width: Width of the residual blocks.
        blocks: Number of residual blocks.
    """

    waves: Tensor

    def __init__(self, variables: int, condition: int, width: int, blocks: int) -> None:
        super().__init__()
        self.given = nn.Linear(condition, width)
        self.place = nn.Linear(variables, width, bias=False)
        self.level = nn.Linear(2 * _WAVES, width, bias=False)
        self.blocks = nn.ModuleList(_ResidualBlock(width) for _ in range(blocks))
        self.normal = nn.LayerNorm(width)
        self.answer = MLP(width, variables, (), _START_GAIN)
        self.register_buffer("waves", math.pi / 2 * torch.arange(1, _WAVES + 1), persistent=False)

    def forward(self, z: Tensor, level: Tensor | float, given: Tensor) -> Tensor:
        """Evaluate the network.

        Args:
            z: Noisy data, shape ``(events, D)``.
            level: How much noise there is, from about 0 to about 1; one number or shape ``(events, 1)``.
            given: What ``self.given`` makes of the condition, shape ``(events, width)``.

        Returns:
            Shape ``(events, D)``.
        """
        phase = level * self.waves
        waves = torch.cat([phase.cos(), phase.sin()], dim=-1)
        values = self.place(z) + self.level(waves) + given
        for block in self.blocks:
            values = block(values, waves)
        result: Tensor = self.answer(functional.silu(self.normal(values)))
        return result
