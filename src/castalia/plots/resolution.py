"""Core widths against truth variables: a grid of profiles, each with the ratio to the target's widths below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import draw_band, draw_ratio, finish_ratio, panel_grid
from castalia.plots.style import MARKERS, MODELS, TARGET, add_legend, axis_label, drawing, milli

__all__ = ["ProfilePanel", "WidthCurve", "resolution_grid"]


@dataclass(frozen=True)
class WidthCurve:
    """Core widths of one sample.

    Attributes:
        label: Name in the legend.
        width: Shape ``(bins,)``, in the response's unit; NaN where a bin has too few events.
        error: Statistical errors, same shape and unit.
    """

    label: str
    width: NDArray[np.float64]
    error: NDArray[np.float64]


@dataclass(frozen=True)
class ProfilePanel:
    """One response's width against one truth variable.

    Attributes:
        response: Name of the response, mathematics allowed.
        response_unit: Its unit, empty for a pure number.
        truth: Name of the truth variable.
        truth_unit: Its unit.
        edges: Bin edges of the truth variable, shape ``(bins + 1,)``.
        target: Widths of the target.
        generated: Widths of the samples compared with it.
        analytic: Widths known from the response's formula, shape ``(bins,)``, in the response's unit; None if unknown.
    """

    response: str
    response_unit: str
    truth: str
    truth_unit: str
    edges: NDArray[np.float64]
    target: WidthCurve
    generated: tuple[WidthCurve, ...]
    analytic: NDArray[np.float64] | None = None


def resolution_grid(rows: Sequence[Sequence[ProfilePanel]], tag: str = "") -> Figure:
    """Draw profiles, one row a response and one column a truth variable.

    Args:
        rows: Panels, all rows equally long.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, rows differ in length, or a curve does not fit its edges.
    """
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise DataError("the resolution profiles need rows of equal length, one panel or more in each.")
    columns = len(rows[0])
    panels = [panel for row in rows for panel in row]
    with drawing():
        figure, pairs = panel_grid(len(rows), columns, 4.7 if columns > 1 else 6.2, 3.8, tag)
        for panel, (upper, lower) in zip(panels, pairs, strict=True):
            _draw(panel, upper, lower)
        add_legend(figure, pairs[0][0])
    return figure


def _draw(panel: ProfilePanel, upper: Axes, lower: Axes) -> None:
    edges, bins = panel.edges, len(panel.edges) - 1
    if any(len(curve.width) != bins or len(curve.error) != bins for curve in (panel.target, *panel.generated)):
        raise DataError(
            f"a width curve of {panel.response} against {panel.truth} does not have one value a bin, {bins}."
        )
    factor, unit = milli(float(np.nanmax(np.append(panel.target.width, 0.0))), panel.response_unit)
    upper.set_ylabel(axis_label(rf"Core width of {panel.response}", unit))
    centres, halves = 0.5 * (edges[:-1] + edges[1:]), 0.5 * np.diff(edges)
    upper.errorbar(
        centres, factor * panel.target.width, xerr=halves, yerr=factor * panel.target.error, fmt="_", markersize=1.0,
        color=TARGET, elinewidth=1.6, label=panel.target.label,
    )  # fmt: skip
    if panel.analytic is not None:
        upper.errorbar(centres, factor * panel.analytic, fmt="--", color=MODELS[2], linewidth=1.2, label="Analytic")
    true = panel.target.width
    relative = np.divide(panel.target.error, true, out=np.full(bins, np.nan), where=true > 0.0)
    draw_band(lower, edges, relative)
    ratios = [np.divide(curve.width, true, out=np.full(bins, np.nan), where=true > 0.0) for curve in panel.generated]
    errors = [np.divide(curve.error, true, out=np.full(bins, np.nan), where=true > 0.0) for curve in panel.generated]
    finish_ratio(lower, [relative, *errors], ratios)
    for i, (curve, ratio, error) in enumerate(zip(panel.generated, ratios, errors, strict=True)):
        # The third colour is the analytic line's.
        colour, marker = (*MODELS[:2], MODELS[3])[i % 3], MARKERS[i % len(MARKERS)]
        shift = 0.2 * (i - 0.5 * (len(panel.generated) - 1))
        upper.errorbar(
            centres + 2.0 * shift * halves, factor * curve.width, yerr=factor * curve.error, fmt=marker, color=colour,
            markersize=3.4, elinewidth=1.0, label=curve.label,
        )  # fmt: skip
        draw_ratio(lower, edges, ratio, error, colour, marker, shift)
    _ranges(panel, upper, lower, factor)


def _ranges(panel: ProfilePanel, upper: Axes, lower: Axes, factor: float) -> None:
    lower.set_xlim(panel.edges[0], panel.edges[-1])
    lower.set_xlabel(axis_label(f"True {panel.truth}", panel.truth_unit))
    lower.set_ylabel(f"Ratio to\n{panel.target.label.lower()}")
    widths = np.concatenate([panel.target.width, *(curve.width for curve in panel.generated)])
    known = factor * widths[np.isfinite(widths)]
    if known.size and known.max() > 0.0:
        # From zero where that costs no detail, so that the eye sees the true size of a change.
        low = (
            0.0
            if known.min() < 0.5 * known.max()
            else known.min() - 0.6 * (known.max() - known.min()) - 0.02 * known.max()
        )
        upper.set_ylim(low, known.max() + 0.12 * (known.max() - low))
