"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


@final
class MovingAverage:
    """Average of parameters over the recent steps.

    The decay of step ``t`` is ``min(decay, (1 + t) / (10 + t))``, so that the first, random weights are forgotten soon.

    Args:
        parameters: What is averaged.
        decay: Decay per step, in (0, 1).

    Attributes:
        values: The averages, in the order of ``parameters``.

    References:
        Polyak and Juditsky, Acceleration of stochastic approximation by averaging (1992).
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._parameters = tuple(parameters)
        self._decay = decay
        self.values: list[Tensor] = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the present parameters after ``step`` (from 0) of the phase."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for average, parameter in zip(self.values, self._parameters, strict=True):
            average.lerp_(parameter, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages into the model for the duration of a block."""
        raw = [p.detach().clone() for p in self._parameters]
        self._write(self.values)
        try:
            yield
        finally:
            self._write(raw)

    @torch.no_grad()
    def _write(self, values: Sequence[Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)
