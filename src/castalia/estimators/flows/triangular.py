"""Linear dependence of the targets on each other, the same under every condition."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from castalia.estimators.flows.chain import Frozen, RowBlock
from castalia.nn.workspace import Context

__all__ = ["TriangularLinear"]

_GAIN = 20.0  # on the parameters: a slope of one is a step of one, not hundreds of steps of a usual learning rate


@final
class TriangularLinear(RowBlock):
    """``D L x`` with ``L`` unit lower triangular and ``D`` positive diagonal: correlated targets made independent.

    A network that is to undo a correlation near one must learn a straight line to a precision that it does not reach;
    a matrix reaches it at once.

    Args:
        variables: Number of targets.
    """

    def __init__(self, variables: int) -> None:
        super().__init__()
        self.below = nn.Parameter(torch.zeros(variables, variables))
        self.log_scale = nn.Parameter(torch.zeros(variables))

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Mix and scale; the determinant is that of the scales."""
        return x @ self.matrix().t(), self.log_determinant().expand(len(x))

    def log_determinant(self) -> Tensor:
        """Return the logarithm of the determinant, a single number."""
        return (_GAIN * self.log_scale).sum()

    def matrix(self) -> Tensor:
        """Return ``D L``, shape ``(T, T)``."""
        unit = torch.eye(len(self.below), dtype=self.below.dtype, device=self.below.device)
        return (_GAIN * self.log_scale).exp()[:, None] * (unit + (_GAIN * self.below).tril(-1))

    def inverse_matrix(self) -> Tensor:
        """Return the inverse of ``matrix``, shape ``(T, T)``, lower triangular as well."""
        unit = torch.eye(len(self.below), dtype=torch.float64, device=self.below.device)
        inverse: Tensor = torch.linalg.solve_triangular(self.matrix().double(), unit, upper=False)
        return inverse.to(self.below.dtype)

    def freeze(self, context: Context) -> Frozen:
        """Freeze the unmixing, one product for all events."""
        inverse = self.inverse_matrix()
        return lambda workspace: lambda z: inverse @ z
