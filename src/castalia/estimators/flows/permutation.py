"""Fixed changes of the order of the targets, so that not always the same ones come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from castalia.estimators.flows.chain import Frozen, RowBlock
from castalia.nn.workspace import Context
from castalia.rng import Stream

__all__ = ["Permutation", "half_swap", "mixed", "reverse"]


def half_swap(variables: int, objects: int) -> list[int]:
    """Return the order in which the first half of the objects changes places with the second.

    With two objects this is the paper's swap of the two photons. Targets that do not divide into an even number of
    objects are reversed instead.
    """
    if objects % 2 or variables % objects:
        return reverse(variables)
    half = variables // 2
    return [*range(half, variables), *range(half)]


def reverse(variables: int) -> list[int]:
    """Return the order from last to first."""
    return list(range(variables))[::-1]


def mixed(variables: int, counter: int) -> list[int]:
    """Return a fixed shuffled order, a different one for each ``counter``; the same in every run."""
    return [int(i) for i in Stream(0, "order of the targets in a flow").at(counter).permutation(variables)]


@final
class Permutation(RowBlock):
    """Puts the targets in another order.

    Args:
        order: ``order[i]`` is the target that becomes number ``i``.
    """

    order: Tensor
    back: Tensor

    def __init__(self, order: Sequence[int]) -> None:
        super().__init__()
        forwards = torch.as_tensor(order, dtype=torch.long)
        self.register_buffer("order", forwards, persistent=False)
        self.register_buffer("back", torch.argsort(forwards), persistent=False)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Reorder; the determinant is one."""
        return x[:, self.order], x.new_zeros(len(x))

    def freeze(self, context: Context) -> Frozen:
        """Freeze the restoring of the order."""
        return lambda workspace: lambda z: z.index_select(0, self.back)
