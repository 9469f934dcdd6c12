"""Distributions of the responses, linear for their cores and logarithmic for their tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.plots.ratio import RatioPanel, ratio_grid

__all__ = ["equal_edges", "response_edges", "response_figure"]


def response_figure(panels: Sequence[RatioPanel], columns: int = 3, *, log: bool, tag: str = "") -> Figure:
    """Draw the responses of all targets.

    Args:
        panels: One a target; their own ``log`` is overruled.
        columns: Panels in a row.
        log: Whether the upper axes are logarithmic, for the tails.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, or one is empty.
    """
    return ratio_grid([replace(panel, log=log) for panel in panels], columns, tag)


def response_edges(response: ArrayLike, bins: int = 50) -> NDArray[np.float64]:
    """Choose equal bins that span all but one in a thousand of the responses on either side.

    Args:
        response: Reconstructed minus true, shape ``(events,)``.
        bins: Number of bins.

    Returns:
        Edges in the response's unit, shape ``(bins + 1,)``.

    Raises:
        DataError: If there are no finite responses, or all are equal.
    """
    values = np.asarray(response, dtype=np.float64)
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.001, 0.999]) if values.size else (0.0, 0.0)
    if not low < high:
        raise DataError("the responses are all equal or there is none; they have no distribution to draw.")
    return equal_edges(float(low), float(high), bins)


def equal_edges(low: float, high: float, bins: int) -> NDArray[np.float64]:
    """Divide an interval into equal bins whose width, rounded up to two digits, reads well in an axis label.

    Args:
        low: Lower end, which is rounded down to a multiple of the width.
        high: Upper end, above ``low``.
        bins: Number of bins.

    Returns:
        Edges in the unit of the ends, shape ``(bins + 1,)``.
    """
    step = (high - low) / bins
    digits = 1 - int(np.floor(np.log10(step)))
    step = np.ceil(step * 10.0**digits) / 10.0**digits
    start = np.floor(low / step) * step
    edges: NDArray[np.float64] = start + step * np.arange(bins + 1)
    return edges
