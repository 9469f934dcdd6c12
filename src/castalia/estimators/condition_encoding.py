"""From physical conditions to what a network is given: scaled, and embedded where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.errors import ConfigError
from castalia.estimators.change_points import change_points
from castalia.estimators.moments import weighted_quantiles
from castalia.estimators.scaling import ConditionScaling
from castalia.nn.embeddings import PiecewiseLinear

__all__ = ["ConditionEncoding", "require_condition"]

_EDGE_EVENTS = 262_144  # enough for any quantile, and for any change that matters
_QUANTILE_SHARE = 4  # one bin in so many lies between quantiles, the others serve the changes


def require_condition(variables: Sized) -> None:
    """Refuse a model of nothing but its targets, where its estimator cannot be one.

    Raises:
        ConfigError: If there are no condition variables.
    """
    if not variables:
        raise ConfigError("The model has no condition; declare at least one variable under [condition].")


@final
class ConditionEncoding(nn.Module):
    """Scaling of the conditions with an optional piecewise-linear embedding.

    Args:
        variables: Condition variables; may be none.
        bins: Bins of the embedding; 0 for none.
    """

    def __init__(self, variables: Sequence[Variable], bins: int) -> None:
        super().__init__()
        self.scaling = ConditionScaling(variables)
        self.embedding = PiecewiseLinear(len(variables), bins) if bins and variables else None
        self.width = len(variables) if self.embedding is None else self.embedding.width
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []
        self._events = 0

    def update(self, values: Tensor, weight: Tensor, target: Tensor) -> None:
        """Take events into the statistics; see ``ConditionScaling.update``.

        Args:
            values: Physical conditions, shape ``(events, C)``.
            weight: Shape ``(events,)``.
            target: What is to be modelled, in any unit, shape ``(events, T)``; the embedding has its edges where the
                distribution of a target changes.
        """
        self.scaling.update(values, weight)
        if self.embedding is not None and self._events < _EDGE_EVENTS:
            room = _EDGE_EVENTS - self._events
            self._seen.append((values.detach()[:room], weight.detach()[:room], target.detach()[:room]))
            self._events += len(values)

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew; see ``ConditionScaling.finish``."""
        self.scaling.finish()
        if self.embedding is not None:
            values, weight, target = (torch.cat(part) for part in zip(*self._seen, strict=True))
            bins = self.embedding.edges.shape[1] - 1
            columns = self.scaling(values).unbind(1)
            self.embedding.place(torch.stack([_edges(column, weight, target, bins) for column in columns]))
        self._seen, self._events = [], 0

    def forward(self, values: Tensor) -> Tensor:
        """Encode physical conditions of shape ``(events, C)`` as ``(events, width)``.

        Raises:
            DataError: As ``ConditionScaling.forward``.
        """
        scaled: Tensor = self.scaling(values)
        return scaled if self.embedding is None else self.embedding(scaled)


def _edges(values: Tensor, weight: Tensor, target: Tensor, bins: int) -> Tensor:
    """Place two edges around every change and the others at quantiles, shape ``(bins + 1,)``.

    Where there are fewer changes than bins for them, the last bins have no width and cost nothing.
    """
    quantile_bins = -(-bins // _QUANTILE_SHARE)
    quantiles = weighted_quantiles(values, weight, torch.linspace(0, 1, quantile_bins + 1))
    numbers, targets, weights = (part.double().numpy() for part in (values, target, weight))
    changes = change_points(numbers, targets, weights, at_most=(bins - quantile_bins) // 2)
    edges = np.sort(np.concatenate([quantiles.numpy(), changes.ravel()]))
    return torch.from_numpy(np.pad(edges, (0, bins + 1 - len(edges)), mode="edge"))
