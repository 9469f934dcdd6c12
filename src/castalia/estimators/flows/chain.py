"""What a piece of a flow is, and how pieces are chained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

from castalia.nn.workspace import Context, PlainContext, Workspace

__all__ = ["Block", "Chain", "Frozen", "Inverse", "RowBlock"]

Inverse: TypeAlias = Callable[[Tensor], Tensor]
"""Maps from the base distribution: shape ``(T, events)`` to the same. The result may lie in ``Workspace.values``."""

Frozen: TypeAlias = Callable[[Workspace], Inverse]
"""Binds an inverse to the buffers of a workspace; it then holds for the conditions that are loaded there."""


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


class RowBlock(Block, ABC):
    """A block that can be frozen for sampling, to work on targets and events as rows and columns."""

    @abstractmethod
    def freeze(self, context: Context) -> Frozen:
        """Prepare the inverse once for many events; later changes of the weights are not followed.

        Args:
            context: How the condition is given.
        """

    @final
    @torch.no_grad()
    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Map from the base distribution; see ``Block.inverse``. Without gradients."""
        context = PlainContext(condition.shape[1])
        workspace = Workspace(context, z.shape[1], len(z), z)
        workspace.load(condition)
        return self.freeze(context)(workspace)(z.t()).t()


@final
class Chain(RowBlock):
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

    def freeze(self, context: Context) -> Frozen:
        """Freeze the inverse of every block, last one first."""
        blocks: list[Block] = list(reversed(self.blocks))  # type: ignore[arg-type]
        frozen = [one.freeze(context) if isinstance(one, RowBlock) else partial(_as_rows, one) for one in blocks]
        return lambda workspace: partial(_one_by_one, [bind(workspace) for bind in frozen])


def _one_by_one(inverses: Sequence[Inverse], z: Tensor) -> Tensor:
    for inverse in inverses:
        z = inverse(z)
    return z


def _as_rows(block: Block, workspace: Workspace) -> Inverse:
    return lambda z: block.inverse(z.t(), workspace.encoded()).t()
