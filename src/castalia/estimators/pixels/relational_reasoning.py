"""What each sensor of an event is told: itself, the event, chance, and what the other sensors were told."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from castalia.nn.transformer import AttentionBlock

__all__ = ["RelationalReasoning", "SensorTokens"]

_EXPANSION = 2


@final
class SensorTokens(nn.Module):
    """A vector for each sensor of an event: its embedding, its position, the event's conditions, and noise.

    Args:
        positions: As of ``SensorArray.position_table``.
        conditions: Number of the event's conditions.
        noise: Random numbers of a sensor: the degrees of freedom of the event.
        width: Features of a vector.
    """

    positions: Tensor

    def __init__(self, positions: Tensor, conditions: int, noise: int, width: int) -> None:
        super().__init__()
        self.register_buffer("positions", positions.clone())  # of its own: what shares memory cannot be saved
        # Small at first: a normalisation follows, in which what chance and the event say must not drown.
        self.embedding = nn.Parameter(0.2 * torch.randn(len(positions), width))
        known = positions.shape[1] + conditions + noise
        self.given = nn.Linear(known, width) if known else None

    def forward(self, condition: Tensor, noise: Tensor) -> Tensor:
        """Return the vectors.

        Args:
            condition: Standardised, shape ``(events, conditions)``.
            noise: Standard normal, shape ``(events, sensors, noise)``.

        Returns:
            Shape ``(events, sensors, width)``.
        """
        events, sensors = noise.shape[:2]
        if self.given is None:
            return self.embedding.expand(events, -1, -1)
        of_event = condition[:, None].expand(events, sensors, -1)
        given = torch.cat([self.positions.expand(events, -1, -1), of_event, noise], dim=2)
        result: Tensor = self.embedding + self.given(given)
        return result


@final
class RelationalReasoning(nn.Module):
    """Lets the sensors of an event attend to each other; without blocks every sensor stays with itself.

    Args:
        width: Features of a sensor's vector; a multiple of ``heads``.
        heads: Number of attention heads.
        blocks: Number of blocks; 0 for no relations.

    References:
        Hashemi et al., Ultra-high-granularity detector simulation with intra-event aware generative adversarial
        network and self-supervised relational reasoning (arXiv:2303.08046), section 4.
    """

    def __init__(self, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(AttentionBlock(width, heads, _EXPANSION) for _ in range(blocks))
        self.normal = nn.LayerNorm(width)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return vectors of the same shape ``(events, sensors, width)``."""
        every = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        for block in self.blocks:
            vectors = block(vectors, every)
        result: Tensor = self.normal(vectors)
        return result
