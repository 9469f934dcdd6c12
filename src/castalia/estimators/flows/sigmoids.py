"""An increasing map of single numbers without kinks: a straight line and a sum of sigmoids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from castalia.estimators.flows.univariate import UnivariateMap

__all__ = ["SigmoidMap"]

_SPREAD = 3.0  # of the sigmoids' centres
_LOWEST = 0.95  # what the negative heights may add up to, so that the slope stays above 0.05
_ITERATIONS = 15  # for the worst of shapes; most need five
_ALMOST = 1e-5  # from here two of Newton's steps end at a rounding error


@final
@dataclass(frozen=True)
class SigmoidMap(UnivariateMap):
    """``x`` plus a sum of sigmoids: as flexible as a spline of as many bins, and smooth to every order.

    The slope of a spline has a kink at each knot, and knots that move with the condition make the density's gradient
    jump there. A minimiser that follows this gradient wants a map like this one. Its inverse is found by iteration.

    Attributes:
        sigmoids: Number of sigmoids, ``K``; their centres start evenly spaced in ``[-3, 3]``.
    """

    sigmoids: int = 8

    @property
    def parameters(self) -> int:
        """Height, centre and width of each sigmoid."""
        return 3 * self.sigmoids

    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the sum and its log-slope."""
        y, slope = self._sum(x, *self._shapes(raw))
        return y, slope.log()

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Solve for ``x`` by Newton's method, halving the interval that holds it where a step does not help."""
        heights, centres, widths = self._shapes(raw)
        reach = (heights * widths).abs().sum(-1)
        low, high = y - reach, y + reach
        x, last = y, torch.full_like(y, torch.inf)
        for _ in range(_ITERATIONS):
            value, slope = self._sum(x, heights, centres, widths)
            off = value - y
            low, high = torch.where(off > 0, low, x), torch.where(off > 0, x, high)
            step = x - off / slope
            # Newton's step is taken where the last one helped, or there is nothing left to gain.
            helps = (off.abs() < 0.5 * last) | (off.abs() < _ALMOST)
            x = torch.where(helps & (step >= low) & (step <= high), step, 0.5 * (low + high))
            last = off.abs()
        return x

    def folding(self) -> tuple[list[float], list[float]]:
        """Nothing is folded."""
        return [1.0] * self.parameters, [0.0] * self.parameters

    def inverse_rows(self, y: Tensor, raw: Tensor, out: Tensor) -> None:
        """Solve for ``x``."""
        out.copy_(self.inverse(y, raw.movedim(-2, -1)))

    def _sum(self, x: Tensor, heights: Tensor, centres: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map and its slope."""
        sigmoid = torch.tanh((x[..., None] - centres) / widths)
        y = x + (heights * widths * sigmoid).sum(-1)
        return y, 1 + (heights * (1 - sigmoid.square())).sum(-1)

    def _shapes(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return heights, over their width, centres and widths of the sigmoids, each of shape ``(…, K)``."""
        height, centre, width = raw.reshape(*raw.shape[:-1], 3, self.sigmoids).unbind(-2)
        heights = (_LOWEST / self.sigmoids) * torch.expm1(self._confined(height, 3.0))
        even = torch.linspace(-_SPREAD, _SPREAD, self.sigmoids, dtype=raw.dtype, device=raw.device)
        widths = (2 * _SPREAD / self.sigmoids) * self._confined(width, 2.0).exp()
        return heights, even + centre, widths

    @staticmethod
    def _confined(raw: Tensor, limit: float) -> Tensor:
        return limit * torch.tanh(raw / limit)
