"""Increasing maps of single numbers whose parameters come from a network."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "AffineMap",
    "ChainedMap",
    "SplineMap",
    "UnivariateMap",
    "rational_quadratic",
    "rational_quadratic_in_bin",
    "rational_quadratic_inverse",
    "rational_quadratic_root",
]

_LOG_2 = math.log(2)  # powers of two cost a third of powers of e
_LEAST = 1e-3  # least slope at a knot
_EVEN = math.log(math.expm1(1 - _LEAST))  # what makes a slope one
_SMALLEST = 0.01  # size of the smallest bin, in mean sizes


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

    @abstractmethod
    def folding(self) -> tuple[list[float], list[float]]:
        """Return a factor and an offset for each raw parameter, which a frozen network has in its last weights."""

    @abstractmethod
    def inverse_rows(self, y: Tensor, raw: Tensor, out: Tensor) -> None:
        """Write what ``inverse`` returns to ``out``, with few passes over the memory; without gradients.

        Args:
            y: Shape ``(…, events)``.
            raw: Raw parameters after ``folding``, shape ``(…, P, events)``; may be overwritten.
            out: Shape of ``y``, which it may be.
        """


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
        return self.inverse_of(raw)(y)

    def inverse_of(self, raw: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what unshifts and unscales by ``raw``, whose exponential is computed once."""
        log_scale, shift = self._split(raw)
        scale = (-log_scale).exp()
        return lambda y: (y - shift) * scale

    def inverse_scale(self, raw: Tensor) -> Tensor:
        """Return the slope of the inverse, shape ``(…)``."""
        return (-self._split(raw)[0]).exp()

    def folding(self) -> tuple[list[float], list[float]]:
        """Twice the log-scale in units of its limit, and minus the shift."""
        return [2 / self.limit, -1.0], [0.0, 0.0]

    def inverse_rows(self, y: Tensor, raw: Tensor, out: Tensor) -> None:
        """Unshift and unscale; ``tanh(s)`` is taken as ``2 sigmoid(2 s) - 1``, which costs a quarter of it."""
        gate, shift = raw.unbind(-2)
        scale = torch.rsub(gate.sigmoid_(), self.limit / _LOG_2, alpha=2 * self.limit / _LOG_2).exp2_()
        torch.mul(shift.add_(y), scale, out=out)

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

    def folding(self) -> tuple[list[float], list[float]]:
        """Logarithms of the sizes to base 2, and slopes that are one for a raw value of zero."""
        knots = self.bins + 1
        return [1 / _LOG_2] * (2 * self.bins) + [1.0] * knots, [0.0] * (2 * self.bins) + [_EVEN] * knots

    def inverse_rows(self, y: Tensor, raw: Tensor, out: Tensor) -> None:
        """Solve the quadratic equation; all but the knots' places are computed only for the bin that is needed.

        The places come as one product from the bins' sizes before normalisation, multiplied by the sum of these.
        """
        if y.ndim > 1:
            for one in zip(y, raw, out, strict=True):
                self.inverse_rows(*one)
            return
        split, events = 2 * self.bins, len(y)
        sizes = raw[:split].view(2, self.bins, events)
        weights = (sizes - sizes.amax(1, keepdim=True)).exp2_()
        knots = torch.matmul(_sums(self.bins, self.bound, raw.dtype, raw.device), weights)
        total = knots[:, -1:] / self.bound
        clipped = y.clamp(-self.bound, self.bound)
        left = (clipped * total[1] >= knots[1, 1:-1]).sum(0)
        # Picking from a flat table is several times as fast as Tensor.gather.
        left, rows = left.mul_(events).add_(torch.arange(events, device=y.device)), _rows(self.bins, events, y.device)
        ends = knots.view(-1).index_select(0, (left + rows).view(-1)).view(2, 2, events).div_(total)
        slopes = raw[split:].reshape(-1).index_select(0, (left + rows[:2]).view(-1))
        d0, d1 = functional.softplus(slopes).add_(_LEAST).view(2, events)
        beyond = y - clipped
        # Beyond an end the bin is the outermost, whose outer slope is the tail's.
        tail = torch.where(beyond < 0, d0, d1)
        (x0, x1), (y0, y1) = ends
        torch.addcdiv(rational_quadratic_root(clipped, x0, x1, y0, y1, d0, d1), beyond, tail, out=out)

    def knots(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return positions, values and slopes at the knots, each of shape ``(…, bins + 1)``, from raw parameters.

        Bins are at least a hundredth of their mean size, slopes at least 0.001 and one for a raw value of zero.
        """
        sizes, slopes = torch.split(raw, [2 * self.bins, self.bins + 1], dim=-1)
        edges = self._edges(sizes.reshape(*raw.shape[:-1], 2, self.bins))
        return edges[..., 0, :], edges[..., 1, :], functional.softplus(slopes + _EVEN) + _LEAST

    def _edges(self, raw: Tensor) -> Tensor:
        # Written out, because a softmax over so few numbers costs more than the rest of the spline.
        weights = (raw - raw.detach().amax(-1, keepdim=True)).exp()
        sizes = _SMALLEST / self.bins + (1 - _SMALLEST) * weights / weights.sum(-1, keepdim=True)
        inner = 2 * self.bound * torch.cumsum(sizes[..., :-1], dim=-1) - self.bound
        end = torch.full_like(inner[..., :1], self.bound)  # exactly, whatever rounding made of the sum
        return torch.cat([-end, inner, end], dim=-1)


@final
@dataclass(frozen=True)
class ChainedMap(UnivariateMap):
    """One map after another: an affine map for where a number is and how narrow, then its distribution's shape.

    A spline alone follows a narrow distribution that moves with the other targets only by moving all of its knots.

    Attributes:
        first: The map that comes first; the first raw parameters are its own.
        second: The map of what it leaves.
    """

    first: UnivariateMap
    second: UnivariateMap

    @property
    def parameters(self) -> int:
        """Those of both."""
        return self.first.parameters + self.second.parameters

    def forward(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Apply both and add their log-slopes."""
        own, other = torch.split(raw, [self.first.parameters, self.second.parameters], dim=-1)
        between, log_slope = self.first.forward(x, own)
        y, more = self.second.forward(between, other)
        return y, log_slope + more

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """Undo the second, then the first."""
        own, other = torch.split(raw, [self.first.parameters, self.second.parameters], dim=-1)
        return self.first.inverse(self.second.inverse(y, other), own)

    def folding(self) -> tuple[list[float], list[float]]:
        """Those of both."""
        (factors, offsets), (more_factors, more_offsets) = self.first.folding(), self.second.folding()
        return factors + more_factors, offsets + more_offsets

    def inverse_rows(self, y: Tensor, raw: Tensor, out: Tensor) -> None:
        """Undo the second, then the first."""
        self.second.inverse_rows(y, raw[..., self.first.parameters :, :], out)
        self.first.inverse_rows(out, raw[..., : self.first.parameters, :], out)


@cache
def _sums(bins: int, bound: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the matrix from bins to knots, both multiplied by the sum of the bins, shape ``(bins + 1, bins)``."""
    below = torch.ones((bins + 1, bins), dtype=torch.float64).tril(-1)
    even = torch.arange(bins + 1, dtype=torch.float64)[:, None] / bins
    return (2 * bound * ((1 - _SMALLEST) * below + _SMALLEST * even) - bound).to(dtype).to(device)


@lru_cache(maxsize=64)
def _rows(bins: int, events: int, device: torch.device) -> Tensor:
    """Return how far the ends of a bin, in position and in value, lie from its left one in a flat table of knots."""
    return torch.tensor([0, 1, bins + 1, bins + 2], device=device)[:, None] * events


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
    return rational_quadratic_in_bin(x, *_bin(x, positions, (positions, values, slopes)))


def rational_quadratic_in_bin(
    x: Tensor, x0: Tensor, x1: Tensor, y0: Tensor, y1: Tensor, d0: Tensor, d1: Tensor
) -> tuple[Tensor, Tensor]:
    """Evaluate one bin of such a spline, and at its ends the straight lines with the slopes there.

    Args:
        x: Shape ``(…)``.
        x0: Position of the left knot; all as ``x``.
        x1: Position of the right knot.
        y0: Value at the left knot.
        y1: Value at the right knot.
        d0: Slope at the left knot.
        d1: Slope at the right knot.

    Returns:
        As ``rational_quadratic``.
    """
    clipped = x.clamp(x0, x1)
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
    beyond = y - clipped
    tail = torch.where(beyond < 0, slopes[..., 0], slopes[..., -1])
    return rational_quadratic_root(clipped, x0, x1, y0, y1, d0, d1) + beyond / tail


def _bin(at: Tensor, edges: Tensor, knots: tuple[Tensor, ...]) -> list[Tensor]:
    """Return the left and the right knot's number from each of ``knots`` for the bin of ``edges`` that holds ``at``."""
    left = (at[..., None] >= edges[..., 1:-1]).sum(-1, keepdim=True)
    both = torch.cat([left, left + 1], dim=-1)
    return [side for knot in knots for side in knot.gather(-1, both).unbind(-1)]


def rational_quadratic_root(
    y: Tensor, x0: Tensor, x1: Tensor, y0: Tensor, y1: Tensor, d0: Tensor, d1: Tensor
) -> Tensor:
    """Solve one bin's quadratic equation for values within; arguments as of ``rational_quadratic_in_bin``."""
    # Eqs 6 to 8 of Durkan et al. (arXiv:1906.04032), divided by the bin's height.
    width, height = x1 - x0, y1 - y0
    secant, part = height / width, (y - y0) / height
    b = torch.addcmul(d0, part, d0 + d1 - 2 * secant, value=-1)
    c = secant * part
    # This root's form does not cancel for small a, which is secant - b.
    root = torch.addcmul(b.square(), secant - b, c, value=4).clamp(min=0).sqrt()
    return torch.addcdiv(x0, width * c, b + root, value=2)
