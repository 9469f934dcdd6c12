"""Increasing maps of single numbers whose parameters come from a network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["AffineMap", "SplineMap", "UnivariateMap", "rational_quadratic", "rational_quadratic_inverse"]


class UnivariateMap(ABC):
    """An element-wise bijection of the real line; raw parameters of zero mean the identity."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Raw parameters per number, ``P``."""

    @abstractmethod
    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``x`` of shape ``(…)`` by ``raw`` of shape ``(…, P)``; return values and log-slopes of shape ``(…)``."""

    @abstractmethod
    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Undo ``forward``: ``y`` of shape ``(…)``, ``raw`` of shape ``(…, P)``."""


@final
@dataclass(frozen=True)
class AffineMap(UnivariateMap):
    """``x * exp(s) + t`` with the log-scale ``s`` confined by a tanh.

    Attributes:
        limit: Largest absolute log-scale; the paper's is 1.
    """

    limit: float = 3.0

    @property
    def parameters(self) -> int:
        """Two: the log-scale before its tanh, and the shift."""
        return 2

    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        log_scale, shift = self._split(raw)
        return torch.addcmul(shift, x, log_scale.exp()), log_scale

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Unshift and unscale."""
        log_scale, shift = self._split(raw)
        return (y - shift) * (-log_scale).exp()

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = raw.unbind(-1)
        return self.limit * torch.tanh(log_scale / self.limit), shift


@final
@dataclass(frozen=True)
class SplineMap(UnivariateMap):
    """Monotonic rational-quadratic spline on ``[-bound, bound]``, continued linearly with slopes of its own.

    The end slopes are free, so that the map stays smooth at the bound and the tails can be wider or narrower than the
    base distribution's.

    Attributes:
        bins: Number of bins.
        bound: Half width of the interval.

    References:
        Durkan et al., Neural Spline Flows (arXiv:1906.04032).
    """

    bins: int = 8
    bound: float = 5.0

    @property
    def parameters(self) -> int:
        """Widths and heights of the bins and slopes at all knots."""
        return 3 * self.bins + 1

    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the spline and its log-slope."""
        return rational_quadratic(x, *self.knots(raw))

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Solve the spline's quadratic equation."""
        return rational_quadratic_inverse(y, *self.knots(raw))

    def knots(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return positions, values and slopes at the knots, each of shape ``(…, bins + 1)``, from raw parameters.

        Bins are at least a hundredth of their mean size, slopes at least 0.001 and one for a raw value of zero.
        """
        sizes, slopes = torch.split(raw, [2 * self.bins, self.bins + 1], dim=-1)
        offset = math.log(math.expm1(1 - 1e-3))
        edges = self._edges(sizes.reshape(*raw.shape[:-1], 2, self.bins))
        return edges[..., 0, :], edges[..., 1, :], 1e-3 + functional.softplus(slopes + offset)

    def _edges(self, raw: Tensor) -> Tensor:
        # Written out, because a softmax over so few numbers costs more than the rest of the spline.
        weights = (raw - raw.detach().amax(-1, keepdim=True)).exp()
        sizes = 0.01 / self.bins + 0.99 * weights / weights.sum(-1, keepdim=True)
        inner = 2 * self.bound * torch.cumsum(sizes[..., :-1], dim=-1) - self.bound
        end = torch.full_like(inner[..., :1], self.bound)  # exactly, whatever rounding made of the sum
        return torch.cat([-end, inner, end], dim=-1)


def rational_quadratic(x: Tensor, positions: Tensor, values: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate a monotonic rational-quadratic spline with linear tails.

    Args:
        x: Shape ``(…)``.
        positions: Increasing knot positions, shape ``(…, bins + 1)``.
        values: Increasing knot values, same shape.
        slopes: Positive slopes at the knots, same shape; the tails continue with the end slopes.

    Returns:
        The spline at ``x`` and the logarithm of its slope there, each of shape ``(…)``.

    References:
        Gregory and Delbourgo (1982); Eqs 4 and 5 of Durkan et al. (arXiv:1906.04032).
    """
    low, high = positions[..., 0], positions[..., -1]
    clipped = x.clamp(low, high)
    x0, x1, y0, y1, d0, d1 = _bin(clipped, positions, (positions, values, slopes))
    width, height = x1 - x0, y1 - y0
    secant = height / width
    z = (clipped - x0) / width
    rest = 1 - z
    denominator = secant + (d0 + d1 - 2 * secant) * z * rest
    inside = y0 + height * (secant * z.square() + d0 * z * rest) / denominator
    slope = secant.square() * (d1 * z.square() + 2 * secant * z * rest + d0 * rest.square()) / denominator.square()
    # At an end the slope above is the end slope already, so the tails need only their straight line.
    beyond = x - clipped
    return inside + beyond * slope, slope.log()


def rational_quadratic_inverse(y: Tensor, positions: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
    """Solve ``rational_quadratic(x, …) = y`` for ``x``; shapes as there.

    References:
        Eqs 6 to 8 of Durkan et al. (arXiv:1906.04032).
    """
    low, high = values[..., 0], values[..., -1]
    clipped = y.clamp(low, high)
    x0, x1, y0, y1, d0, d1 = _bin(clipped, values, (positions, values, slopes))
    width, height = x1 - x0, y1 - y0
    secant = height / width
    bend = (clipped - y0) * (d0 + d1 - 2 * secant)
    a = height * (secant - d0) + bend
    b = height * d0 - bend
    c = -secant * (clipped - y0)
    # This root's form does not cancel for small a.
    z = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
    beyond = y - clipped
    tail = torch.where(beyond < 0, slopes[..., 0], slopes[..., -1])
    return x0 + z * width + beyond / tail


def _bin(at: Tensor, edges: Tensor, knots: tuple[Tensor, ...]) -> list[Tensor]:
    """Return the left and the right knot's number from each of ``knots`` for the bin of ``edges`` that holds ``at``."""
    left = (at[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True)
    both = torch.cat([left, left + 1], dim=-1)
    return [side for knot in knots for side in knot.gather(-1, both).unbind(-1)]
