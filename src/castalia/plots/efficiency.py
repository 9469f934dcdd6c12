"""Efficiencies, counted and predicted, against what they depend on, with the ratio of the two below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import draw_band, draw_ratio, finish_ratio, panel_grid
from castalia.plots.style import MARKERS, MODELS, TARGET, add_legend, axis_label, drawing

__all__ = ["EfficiencyPanel", "efficiency_grid"]

NAMES = ("Counted", "Model")


@dataclass(frozen=True)
class EfficiencyPanel:
    """The efficiency against one variable.

    Attributes:
        truth: Name of the variable, mathematics allowed.
        truth_unit: Its unit, empty for a pure number.
        edges: Bin edges, shape ``(bins + 1,)``.
        counted: Fraction of events that was reconstructed, shape ``(bins,)``.
        error: Standard error of ``counted``, same shape.
        predicted: Mean predicted probability, same shape.
    """

    truth: str
    truth_unit: str
    edges: NDArray[np.float64]
    counted: NDArray[np.float64]
    error: NDArray[np.float64]
    predicted: NDArray[np.float64]


def efficiency_grid(panels: Sequence[EfficiencyPanel], tag: str = "") -> Figure:
    """Draw one panel a variable, three in a row.

    Args:
        panels: At least one.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, or a curve does not fit its edges.
    """
    if not panels:
        raise DataError("an efficiency is drawn against at least one variable; there is none.")
    columns = min(len(panels), 3)
    with drawing():
        figure, pairs = panel_grid(-(-len(panels) // columns), columns, 4.7 if columns > 1 else 6.2, 3.8, tag)
        for panel, (upper, lower) in zip(panels, pairs, strict=False):
            _draw(panel, upper, lower)
        for unused in pairs[len(panels) :]:
            for axes in unused:
                axes.remove()
        add_legend(figure, pairs[0][0])
    return figure


def _draw(panel: EfficiencyPanel, upper: Axes, lower: Axes) -> None:
    edges, bins = panel.edges, len(panel.edges) - 1
    if not len(panel.counted) == len(panel.error) == len(panel.predicted) == bins:
        raise DataError(f"an efficiency against {panel.truth} does not have one value a bin, {bins}.")
    centres, halves = 0.5 * (edges[:-1] + edges[1:]), 0.5 * np.diff(edges)
    upper.errorbar(
        centres, panel.counted, xerr=halves, yerr=panel.error, fmt="_", markersize=1.0, color=TARGET, elinewidth=1.6,
        label=NAMES[0],
    )  # fmt: skip
    upper.errorbar(centres, panel.predicted, fmt=MARKERS[0], color=MODELS[0], markersize=3.4, label=NAMES[1])
    counted = panel.counted
    relative = np.divide(panel.error, counted, out=np.full(bins, np.nan), where=counted > 0.0)
    ratio = np.divide(panel.predicted, counted, out=np.full(bins, np.nan), where=counted > 0.0)
    draw_band(lower, edges, relative)
    finish_ratio(lower, [relative], [ratio])
    draw_ratio(lower, edges, ratio, np.zeros(bins), MODELS[0], MARKERS[0], 0.0)
    lower.set_xlim(edges[0], edges[-1])
    lower.set_xlabel(axis_label(f"True {panel.truth}", panel.truth_unit))
    lower.set_ylabel("Ratio to\ncounted")
    upper.set_ylabel("Efficiency")
    upper.set_ylim(0.0, 1.12 * max(float(np.nanmax(np.append(counted, panel.predicted))), 0.1))
