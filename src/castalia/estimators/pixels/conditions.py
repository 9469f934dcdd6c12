"""What is given of an event, standardised; a constant is no fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn

from castalia.data.layout import Variable
from castalia.errors import DataError
from castalia.estimators.base import Batch
from castalia.estimators.moments import Moments

__all__ = ["Conditions"]


@final
class Conditions(nn.Module):
    """Flat conditions of mean zero and variance one over the training events; zero for one that is constant there.

    Args:
        variables: The conditions; may be none.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, variables: tuple[Variable, ...]) -> None:
        super().__init__()
        self.variables = variables
        self.register_buffer("mean", torch.zeros(len(variables)))
        self.register_buffer("scale", torch.ones(len(variables)))

    def fit(self, stream: Iterable[Batch]) -> None:
        """Measure mean and deviation.

        Raises:
            DataError: If no event has a weight other than zero.
        """
        moments = Moments(len(self.variables))
        for batch in stream:
            moments.update(batch.condition.flat, batch.weight)
        every = range(len(self.variables))
        mean, deviation = moments.result(self.variables, "condition", list(every))
        constant = deviation <= 1e-9 * mean.abs()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(constant, 0.0, 1.0 / deviation))

    def forward(self, values: Tensor) -> Tensor:
        """Standardise conditions of shape ``(events, conditions)``.

        Raises:
            DataError: If the shape is another.
        """
        if values.ndim != 2 or values.shape[1] != len(self.variables):
            names = ", ".join(variable.name for variable in self.variables) or "none"
            raise DataError(f"the condition has shape {tuple(values.shape)}; this model needs the columns {names}.")
        return (values.to(self.mean) - self.mean) * self.scale
