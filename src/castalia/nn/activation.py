"""The functions between a network's layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["ACTIVATIONS", "IN_PLACE", "Activation"]

Activation: TypeAlias = Literal["relu", "silu"]
"""``relu`` is the fastest; ``silu``, x / (1 + exp(-x)), makes the network smooth in all that it sees.

References:
    Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function approximation
    (arXiv:1702.03118).
"""

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "silu": functional.silu}
"""Each activation as a function that leaves its argument as it is."""


def _silu_in_place(values: Tensor) -> Tensor:
    return functional.silu(values, inplace=True)


IN_PLACE: dict[Activation, Callable[[Tensor], Tensor]] = {"relu": torch.relu_, "silu": _silu_in_place}
"""Each activation as a function that overwrites its argument."""
