"""Weighted statistics of columns, in float64: mean and standard deviation of a stream, quantiles of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from castalia.data.layout import Variable
from castalia.errors import DataError

__all__ = ["Moments", "weighted_quantiles"]


@final
class Moments:
    """Accumulates weighted means and variances chunk by chunk.

    An event counts with the size of its weight, so that a sample with negative weights still has a positive variance;
    for positive weights this is the ordinary weighted moment, and a weight of two equals the event twice.

    Args:
        columns: Number of columns.

    References:
        Chan, Golub and LeVeque, Algorithms for computing the sample variance (1983): merging of partial sums.
    """

    def __init__(self, columns: int) -> None:
        self.total = torch.zeros((), dtype=torch.float64)
        self.mean = torch.zeros(columns, dtype=torch.float64)
        self.squares = torch.zeros(columns, dtype=torch.float64)

    def update(self, values: Tensor, weight: Tensor) -> None:
        """Add events.

        Args:
            values: Shape ``(events, columns)``, finite.
            weight: Shape ``(events,)``.
        """
        values, weight = values.detach().double().cpu(), weight.detach().double().cpu().abs()
        total = weight.sum()
        if total == 0:
            return
        mean = (weight[:, None] * values).sum(0) / total
        squares = (weight[:, None] * (values - mean) ** 2).sum(0)
        step, together = mean - self.mean, self.total + total
        self.mean = self.mean + step * total / together
        self.squares = self.squares + squares + step**2 * self.total * total / together
        self.total = together

    def result(self, variables: Sequence[Variable], side: str, free: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation per column.

        Args:
            variables: What the columns are, for the message.
            side: ``"condition"`` or ``"target"``, for the message.
            free: Columns that may be constant, as an angle may that others are relative to.

        Raises:
            DataError: If no event with a weight was seen, or another column is constant.
        """
        if self.total == 0:
            raise DataError(f"The {side} has no training event with a weight other than zero; give more events.")
        deviation = (self.squares / self.total).sqrt()
        floor = 1e-12 * self.mean.abs()  # what rounding leaves of a constant
        constants = (deviation <= floor).tolist()
        for place, (variable, constant) in enumerate(zip(variables, constants, strict=True)):
            if constant and place not in free:
                raise DataError(
                    f"The {side} '{variable.name}' has the same value in every training event; "
                    f"leave it out of [{side}] or train on events in which it varies."
                )
        return self.mean, deviation


def weighted_quantiles(values: Tensor, weight: Tensor, levels: Tensor) -> Tensor:
    """Return the values at which the sorted events reach given shares of the total weight.

    An event counts with the size of its weight, so a weight of two equals the event twice.

    Args:
        values: Shape ``(events,)``, at least one event.
        weight: Shape ``(events,)``, not all zero.
        levels: Shares in ``[0, 1]``, shape ``(levels,)``.

    Returns:
        Shape ``(levels,)``, float64, on the device of ``values``.
    """
    values, order = values.detach().double().sort()
    share = weight.detach().double().abs()[order].cumsum(0)
    # Rounding of the sum must not move a level that falls between two events to the later one.
    wanted = levels.to(share) * share[-1] * (1 - 1e-12)
    return values[torch.searchsorted(share, wanted).clamp(max=len(values) - 1)]
