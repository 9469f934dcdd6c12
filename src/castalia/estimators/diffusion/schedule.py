"""Noise schedules: the logarithm of noise over signal as an increasing function of time, in float64.

At time ``t`` the data ``x`` have become ``z = alpha x + sigma noise`` with ``sigma^2 = sigmoid(gamma(t))`` and
``alpha^2 = sigmoid(-gamma(t))``, so that ``alpha^2 + sigma^2 = 1``: ``gamma`` is minus the log signal-to-noise ratio.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CosineSchedule", "LearnedSchedule", "NoiseSchedule", "minimise_variance", "signal_and_noise"]

_UNITS = 64


def signal_and_noise(gamma: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors ``alpha`` and ``sigma`` of data and noise, of the shape of ``gamma``."""
    return torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()


class NoiseSchedule(nn.Module, ABC):
    """``gamma(t) = start + (stop - start) shape(t)`` with a shape that rises from 0 to 1 as the time does.

    References:
        Kingma, Salimans, Poole and Ho, Variational diffusion models (arXiv:2107.00630), section 3.
    """

    @abstractmethod
    def ends(self) -> tuple[Tensor, Tensor]:
        """Return ``start`` and ``stop``, two float64 scalars."""

    @abstractmethod
    def shape(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shape and its slope at times in [0, 1], float64, each of the shape of ``time``."""


@final
class CosineSchedule(NoiseSchedule):
    """``alpha = cos(angle)`` and ``sigma = sin(angle)``, with an angle that grows evenly with time between the ends.

    Args:
        start: ``gamma`` at time 0.
        stop: ``gamma`` at time 1, larger.

    References:
        Nichol and Dhariwal, Improved denoising diffusion probabilistic models (arXiv:2102.09672), section 3.2.
    """

    def __init__(self, start: float, stop: float) -> None:
        super().__init__()
        self._start, self._stop = start, stop

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the two constants."""
        return torch.tensor(self._start, dtype=torch.float64), torch.tensor(self._stop, dtype=torch.float64)

    def shape(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Solve ``gamma = 2 log tan(angle)``."""
        first, last = (math.atan(math.exp(end / 2)) for end in (self._start, self._stop))
        angle = first + (last - first) * time.double()
        span = self._stop - self._start
        return (2 * angle.tan().log() - self._start) / span, 4 * (last - first) / (2 * angle).sin() / span


@final
class LearnedSchedule(NoiseSchedule):
    """A shape made of a straight line and sigmoids with positive factors, and ends that are parameters.

    Parameters may be of any precision: what is computed from them is float64, so that the times of close events do not
    round to one ``gamma``.

    Args:
        start: First ``gamma`` at time 0.
        stop: First ``gamma`` at time 1, larger.

    References:
        Kingma et al. (arXiv:2107.00630), appendix H: the monotonic network.
    """

    def __init__(self, start: float, stop: float) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.tensor(float(start)))
        self.log_span = nn.Parameter(torch.tensor(math.log(stop - start)))
        self.heights = nn.Parameter(torch.full((_UNITS,), -6.0))
        self.rates = nn.Parameter(torch.linspace(5.0, 20.0, _UNITS)[torch.arange(_UNITS).mul(37) % _UNITS])
        self.centres = nn.Parameter(torch.linspace(0.0, 1.0, _UNITS))

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the ends, which stay in order."""
        start = self.start.double()
        return start, start + self.log_span.double().exp()

    def shape(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the sum, shifted and scaled to run from 0 to 1."""
        value, slope = self._sum(time.double())
        ends, _ = self._sum(torch.tensor([0.0, 1.0], dtype=torch.float64, device=time.device))
        span = ends[1] - ends[0]
        return (value - ends[0]) / span, slope / span

    def _sum(self, time: Tensor) -> tuple[Tensor, Tensor]:
        heights, rates = functional.softplus(self.heights.double()), functional.softplus(self.rates.double())
        gates = torch.sigmoid(rates * (time[:, None] - self.centres.double()))
        return time + gates @ heights, 1 + (gates * (1 - gates)) @ (heights * rates)


def minimise_variance(shape: Iterable[Tensor], loss: Tensor) -> None:
    """Make one backward pass change the schedule's shape towards the least variance of the diffusion loss.

    With likelihood weights the mean of the loss does not depend on the shape, so that the gradient of its variance is
    that of its square, twice each event's loss times the gradient of that loss. The shape gets it from the one pass
    in which all else gets the gradient of the mean: what arrives at the shape is multiplied by each event's loss. It is
    divided by twice their mean, which leaves its size that of the other gradients.

    Args:
        shape: Shape and slope at each event's time, shape ``(events,)``; the graph of ``loss`` goes through them.
        loss: Diffusion loss of each event, shape ``(events,)``.

    References:
        Kingma et al. (arXiv:2107.00630), section 5.1 and appendix I.2.
    """
    factor = loss.detach().double() / loss.detach().double().mean().clamp(min=torch.finfo(torch.float64).tiny)
    for values in shape:
        if values.requires_grad:
            values.register_hook(lambda gradient: gradient * factor)  # type: ignore[no-untyped-call]
