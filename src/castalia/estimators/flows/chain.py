"""What a piece of a flow is, and how pieces are chained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

__all__ = ["Block", "Chain"]


class Block(nn.Module, ABC):
    """An invertible map of the targets that may depend on the condition.

    ``forward`` goes from the targets to the base distribution, the direction of training and of the density.
    """

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map towards the base distribution.

        Args:
            x: Shape ``(events, T)``.
            condition: Scaled condition, shape ``(events, C)``.

        Returns:
            Mapped values of shape ``(events, T)`` and the log of the absolute Jacobian determinant, ``(events,)``.
        """

    @abstractmethod
    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Map from the base distribution: shape ``(events, T)`` to the same; need not carry gradients."""


@final
class Chain(Block):
    """Blocks one after the other.

    Args:
        blocks: In the order of ``forward``: the first one touches the targets.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Apply every block and sum their log-determinants."""
        total = x.new_zeros(len(x))
        for block in self.blocks:
            x, log_determinant = block(x, condition)
            total = total + log_determinant
        return x, total

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Apply the inverse of every block, last one first."""
        for block in reversed(list(self.blocks)):
            z = block.inverse(z, condition)  # type: ignore[operator]
        return z
