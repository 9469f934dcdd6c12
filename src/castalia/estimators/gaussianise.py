"""Marginal Gaussianisation: every target by itself gets a standard normal distribution over all events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from castalia.estimators.flows.univariate import rational_quadratic_in_bin, rational_quadratic_root
from castalia.estimators.moments import weighted_quantiles

__all__ = ["Gaussianisation"]

_BINS = 64
_OUTERMOST = 3.5  # standard deviations: one event in 4,300 lies beyond either end
_STEP = 2.0 * _OUTERMOST / _BINS
_TAIL = 1.0  # standard deviations next to an end that give the slope beyond it
_STEEPEST = 1e3  # largest slope, where many events have the same value
_MOST_EVENTS = 262_144


@final
class Gaussianisation(nn.Module):
    """An increasing map of each column that carries its quantiles to those of a standard normal distribution.

    Between 65 quantiles, at equal steps from -3.5 to 3.5 standard deviations, the map is a rational-quadratic spline
    with one continuous derivative. Beyond them it is a straight line with the mean slope of the last unit: the tails of
    what is sampled there are normal, with the width that the events have near the end. Where many events share one
    value, the slope is at most a thousand.

    Args:
        columns: Number of columns, ``T``.
        kept: Columns that are left as they are: those whose values are steps, which no continuous map makes normal, or
            narrow peaks, between which a map would leave an edge.

    References:
        Chen and Gopinath, Gaussianization (2000), section 3; the spline: Gregory and Delbourgo (1982), with the
        geometric mean of neighbouring secants for the slope at a knot.
    """

    scores: Tensor
    positions: Tensor
    slopes: Tensor

    def __init__(self, columns: int, kept: Sequence[int] = ()) -> None:
        super().__init__()
        scores = torch.linspace(-_OUTERMOST, _OUTERMOST, _BINS + 1)
        self._changed = [i for i in range(columns) if i not in kept]
        self.register_buffer("scores", scores, persistent=False)
        self.register_buffer("positions", scores.repeat(columns, 1))
        self.register_buffer("slopes", torch.ones(columns, _BINS + 1))
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._seen, self._stride = 0, 1

    def update(self, values: Tensor, weight: Tensor) -> None:
        """Keep events, or every second, fourth, … of them where they become too many.

        Args:
            values: Shape ``(events, T)``, finite.
            weight: Shape ``(events,)``.
        """
        row = torch.arange(self._seen, self._seen + len(values))
        kept = row % self._stride == 0
        self._kept.append((values.detach().cpu()[kept].float(), weight.detach().cpu()[kept].double()))
        self._seen += len(values)
        while sum(len(w) for _, w in self._kept) > _MOST_EVENTS:
            every, its_weight = (torch.cat(part) for part in zip(*self._kept, strict=True))
            self._kept, self._stride = [(every[::2], its_weight[::2])], 2 * self._stride

    def finish(self, mean: Tensor, deviation: Tensor) -> None:
        """Store the quantiles as buffers and begin anew.

        Args:
            mean: What is subtracted from the values that ``update`` saw, before they come to ``forward``, ``(T,)``.
            deviation: What they are then divided by, shape ``(T,)``.
        """
        values, weight = (torch.cat(part) for part in zip(*self._kept, strict=True))
        scores = self.scores.double().cpu()
        levels = torch.special.ndtr(scores)
        scaled = (values.double() - mean) / deviation
        for i in self._changed:
            positions = _increasing(weighted_quantiles(scaled[:, i], weight, levels), scores)
            self.positions[i] = positions
            self.slopes[i] = _knot_slopes(positions, scores)
        self._kept, self._seen, self._stride = [], 0, 1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map values to normal scores.

        Args:
            x: Shape ``(events, T)``.

        Returns:
            Shape ``(events, T)``, and the log of the Jacobian determinant, ``(events,)``.
        """
        bins = torch.searchsorted(self.positions[:, 1:-1].contiguous(), x.t().contiguous(), right=True).t()
        y, log_slope = rational_quadratic_in_bin(x, *self._ends(bins))
        return y, log_slope.sum(1)

    def inverse(self, y: Tensor) -> Tensor:
        """Map normal scores of shape ``(events, T)`` back."""
        clipped = y.clamp(-_OUTERMOST, _OUTERMOST)
        # By arithmetic, as the scores are evenly spaced; not a number becomes the lowest integer.
        bins = ((clipped + _OUTERMOST) / _STEP).long().clamp(0, _BINS - 1)
        beyond = y - clipped
        tail = torch.where(beyond < 0, self.slopes[:, 0], self.slopes[:, -1])
        return rational_quadratic_root(clipped, *self._ends(bins)) + beyond / tail

    def near_inverse(self) -> Callable[[Tensor], Tensor]:
        """Return what does as ``inverse``, with a straight line in the place of the spline between two quantiles."""
        # A line in each bin, and one beyond either end.
        slopes = torch.cat([1.0 / self.slopes[:, :1], self.positions.diff() / _STEP, 1.0 / self.slopes[:, -1:]], dim=1)
        from_left = torch.cat([self.scores[:1], self.scores]), torch.cat([self.positions[:, :1], self.positions], dim=1)
        offsets = from_left[1] - slopes * from_left[0]
        # One index into all columns at once: two of them take twice as long.
        first = torch.arange(0, slopes.numel(), _BINS + 2, device=slopes.device)

        def near(y: Tensor) -> Tensor:
            lines = ((y + (_OUTERMOST + _STEP)) / _STEP).clamp(0.0, _BINS + 1.0).long()
            lines = lines.clamp(min=0) + first  # not a number became the lowest integer, and stays none
            return torch.addcmul(offsets.take(lines), slopes.take(lines), y)

        return near

    def _ends(self, bins: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return position, score and slope, of the left and of the right end each, of bins of shape ``(events, T)``."""
        left = bins + torch.arange(0, self.positions.numel(), _BINS + 1, device=bins.device)
        return (
            self.positions.take(left),
            self.positions.take(left + 1),
            self.scores.take(bins),
            self.scores.take(bins + 1),
            self.slopes.take(left),
            self.slopes.take(left + 1),
        )


def _increasing(positions: Tensor, scores: Tensor) -> Tensor:
    """Move quantiles apart where they are closer than the steepest slope allows, to both sides alike."""
    level = positions - scores / _STEEPEST
    up, down = torch.cummax(level, dim=0).values, torch.cummin(level.flip(0), dim=0).values.flip(0)
    return (up + down) / 2 + scores / _STEEPEST


def _knot_slopes(positions: Tensor, scores: Tensor) -> Tensor:
    """Return the slope at every knot."""
    secants = scores.diff() / positions.diff()
    inner = (secants[:-1] * secants[1:]).sqrt()
    low, high = int((scores <= scores[0] + _TAIL).sum()) - 1, int((scores < scores[-1] - _TAIL).sum())
    first = (scores[low] - scores[0]) / (positions[low] - positions[0])
    last = (scores[-1] - scores[high]) / (positions[-1] - positions[high])
    return torch.cat([first[None], inner, last[None]])
