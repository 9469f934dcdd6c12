"""From physical conditions to what a network is given: scaled, and embedded where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.estimators.scaling import ConditionScaling
from castalia.nn.embeddings import PiecewiseLinear

__all__ = ["ConditionEncoding"]

_QUANTILE_EVENTS = 262_144  # enough for any quantile, whatever the size of the training sample


@final
class ConditionEncoding(nn.Module):
    """Scaling of the conditions with an optional piecewise-linear embedding.

    Args:
        variables: Condition variables, at least one.
        bins: Bins of the embedding; 0 for none.

    Raises:
        ConfigError: If there are no variables.
    """

    def __init__(self, variables: Sequence[Variable], bins: int) -> None:
        super().__init__()
        self.scaling = ConditionScaling(variables)
        self.embedding = PiecewiseLinear(len(variables), bins) if bins else None
        self.width = len(variables) if self.embedding is None else self.embedding.width
        self._seen: list[Tensor] = []
        self._events = 0

    def update(self, values: Tensor, weight: Tensor) -> None:
        """Take events into the statistics; see ``ConditionScaling.update``."""
        self.scaling.update(values, weight)
        if self.embedding is not None and self._events < _QUANTILE_EVENTS:
            self._seen.append(values.detach()[: _QUANTILE_EVENTS - self._events])
            self._events += len(self._seen[-1])

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew; see ``ConditionScaling.finish``."""
        self.scaling.finish()
        if self.embedding is not None:
            self.embedding.place(self.scaling(torch.cat(self._seen)))
        self._seen, self._events = [], 0

    def forward(self, values: Tensor) -> Tensor:
        """Encode physical conditions of shape ``(events, C)`` as ``(events, width)``.

        Raises:
            DataError: As ``ConditionScaling.forward``.
        """
        scaled: Tensor = self.scaling(values)
        return scaled if self.embedding is None else self.embedding(scaled)
