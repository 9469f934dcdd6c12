"""Where a variable can lie, and the smooth map from there to the whole real line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import final

import torch
from torch import Tensor

from castalia.data.layout import Variable
from castalia.errors import ConfigError

__all__ = ["DeclaredSupport", "Support", "support_of"]


@final
class Support(Enum):
    """Open supports. Each has a map to the real line with its log-slope, and the inverse."""

    LINE = "line"
    ABOVE = "above"
    BELOW = "below"
    INTERVAL = "interval"

    def forward(self, x: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Map values strictly inside to the line.

        Args:
            x: Values, shape ``(events,)``.
            low: Lower end, a scalar; not used where there is none.
            high: Upper end, a scalar; not used where there is none.

        Returns:
            The unbounded values and the logarithm of the slope, each of shape ``(events,)``.
        """
        match self:
            case Support.LINE:
                return x, torch.zeros_like(x)
            case Support.ABOVE:
                log_distance = (x - low).log()
                return log_distance, -log_distance
            case Support.BELOW:
                log_distance = (high - x).log()
                return -log_distance, -log_distance
            case Support.INTERVAL:
                # Differences to the two ends keep their precision close to them, where a quotient would not.
                log_low, log_high = (x - low).log(), (high - x).log()
                return log_low - log_high, (high - low).log() - log_low - log_high

    def inverse(self, z: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Map the line back; rounding never puts a value on an end of the support.

        Args:
            z: Unbounded values, any shape.
            low: Lower end, a scalar or one of each column.
            high: Upper end, likewise.
        """
        match self:
            case Support.LINE:
                return z
            case Support.ABOVE:
                return torch.maximum(low + z.exp(), torch.nextafter(low, high))
            case Support.BELOW:
                return torch.minimum(high - (-z).exp(), torch.nextafter(high, low))
            case Support.INTERVAL:
                width = high - low
                x = torch.where(z < 0, low + width * torch.sigmoid(z), high - width * torch.sigmoid(-z))
                return x.clamp(torch.nextafter(low, high), torch.nextafter(high, low))


@dataclass(frozen=True)
class DeclaredSupport:
    """The support of one target variable.

    Attributes:
        kind: Which map unbounds it.
        low: Lower end in physical units, minus infinity where there is none.
        high: Upper end.
        truncated: True where the range is a choice of the model and not a property of the variable.
    """

    kind: Support
    low: float
    high: float
    truncated: bool = False


def support_of(variable: Variable, truncate: bool) -> DeclaredSupport:
    """Read the support off a variable's declaration.

    ``bounds`` come first; ``transform = "log"`` means above zero (or above the lower bound); else the whole line, or
    ``(-scale, scale)`` with ``truncate`` (a placeholder of one where the scale is still to be measured). An integer
    ``k`` occupies the cell ``[k, k + 1)``, so open bounds on integers become the outer edges of their cells.

    Args:
        variable: The target variable.
        truncate: Whether the model confines unbounded variables.

    Raises:
        ConfigError: If the bounds are not increasing or the scale is not positive.
    """
    low, high = variable.bounds or (-math.inf, math.inf)
    if variable.integer:
        low = math.floor(low) + 1 if math.isfinite(low) else low
        high = math.ceil(high) if math.isfinite(high) else high
    if variable.transform == "log" and not math.isfinite(low):
        low = 0.0
    if not low < high:
        raise ConfigError(f"The target '{variable.name}' has bounds {variable.bounds}, which leave it no value.")
    match math.isfinite(low), math.isfinite(high):
        case True, True:
            return DeclaredSupport(Support.INTERVAL, low, high)
        case True, False:
            return DeclaredSupport(Support.ABOVE, low, high)
        case False, True:
            return DeclaredSupport(Support.BELOW, low, high)
    if not truncate:
        return DeclaredSupport(Support.LINE, low, high)
    scale = 1.0 if variable.scale is None else variable.scale
    if not scale > 0:
        raise ConfigError(f"The target '{variable.name}' has scale {variable.scale}; give a positive one.")
    if variable.integer:
        scale = float(math.ceil(scale))
    return DeclaredSupport(Support.INTERVAL, -scale, scale, truncated=True)
