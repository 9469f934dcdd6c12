"""Sensors that are known by their relations to all others."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from castalia.nn.mlp import MLP

__all__ = ["RelationMatrix"]


@final
class RelationMatrix(nn.Module):
    """A matrix of relations between the sensors of an event, pooled into each sensor's vector.

    The relation of two sensors is a bounded product of what one asks and the other answers, of either sign and not
    normalised over the others as in attention: two sensors may have nothing to do with any other. By Yoneda's lemma,
    an object is known by its relations to all objects; here that is the picture, not a theorem about networks.

    Args:
        width: Features of a sensor, a multiple of ``heads``.
        heads: Number of relations.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.normal = nn.LayerNorm(width)
        self.ask = nn.Linear(width, width)
        self.answer = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.network = MLP(2 * width, width, (width,), activation="silu")

    def relations(self, tokens: Tensor) -> Tensor:
        """Return the matrices of sensors, ``(events, S, width)``: from -1 to 1, shape ``(events, heads, S, S)``."""
        normal = self.normal(tokens)
        ask, answer = self._by_head(self.ask(normal)), self._by_head(self.answer(normal))
        return torch.tanh(ask @ answer.transpose(2, 3) / math.sqrt(ask.shape[3]))

    def forward(self, tokens: Tensor) -> Tensor:
        """Give each sensor what its relations to all sensors say; shapes ``(events, S, width)``."""
        values = self._by_head(self.value(self.normal(tokens)))
        pooled = (self.relations(tokens) @ values / tokens.shape[1]).transpose(1, 2).flatten(2)
        result: Tensor = tokens + self.network(torch.cat([tokens, pooled], dim=2))
        return result

    def _by_head(self, values: Tensor) -> Tensor:
        events, sensors, width = values.shape
        return values.view(events, sensors, self.heads, width // self.heads).transpose(1, 2)
