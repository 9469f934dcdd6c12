"""From physical conditions to what a network is given: scaled, and embedded where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.estimators.moments import weighted_quantiles
from castalia.estimators.scaling import ConditionScaling
from castalia.nn.embeddings import PiecewiseLinear

__all__ = ["ConditionEncoding"]

_TAIL = 2e-4  # fraction of events beyond either end of the equally spaced edges
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
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._events = 0

    def update(self, values: Tensor, weight: Tensor) -> None:
        """Take events into the statistics; see ``ConditionScaling.update``."""
        self.scaling.update(values, weight)
        if self.embedding is not None and self._events < _QUANTILE_EVENTS:
            room = _QUANTILE_EVENTS - self._events
            self._seen.append((values.detach()[:room], weight.detach()[:room]))
            self._events += len(values)

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew; see ``ConditionScaling.finish``."""
        self.scaling.finish()
        if self.embedding is not None:
            values, weight = (torch.cat(part) for part in zip(*self._seen, strict=True))
            columns = self.scaling(values).unbind(1)
            bins = self.embedding.edges.shape[1] - 1
            self.embedding.place(torch.stack([_edges(column, weight, bins) for column in columns]))
        self._seen, self._events = [], 0

    def forward(self, values: Tensor) -> Tensor:
        """Encode physical conditions of shape ``(events, C)`` as ``(events, width)``.

        Raises:
            DataError: As ``ConditionScaling.forward``.
        """
        scaled: Tensor = self.scaling(values)
        return scaled if self.embedding is None else self.embedding(scaled)


def _edges(values: Tensor, weight: Tensor, bins: int) -> Tensor:
    """Place half of the edges at quantiles and half at equal distances, shape ``(bins + 1,)``.

    Quantiles resolve where the events are; equal distances resolve a step in a thinly populated tail.
    """
    quantiles = weighted_quantiles(values, weight, torch.linspace(0, 1, bins + 1 - bins // 2))
    low, high = weighted_quantiles(values, weight, torch.tensor([_TAIL, 1 - _TAIL]))
    steps = torch.linspace(0, 1, bins // 2 + 2)[1:-1].to(quantiles)
    return torch.sort(torch.cat([quantiles, low + (high - low) * steps])).values
