"""An upper axis with its ratio axis below: how the pair is laid out, ranged and filled, for every figure alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.plots.style import BAND, STRIP, add_legend, drawing, new_figure, place

__all__ = ["draw_band", "draw_ratio", "finish_ratio", "panel_grid", "ratio_panels"]

P = TypeVar("P")

_SPANS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)


def panel_grid(
    rows: int, columns: int, width: float, height: float, tag: str
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Make a figure with pairs of axes, row by row, each ratio axis sharing the axis above it.

    Args:
        rows: Pairs in a column.
        columns: Pairs in a row.
        width: Inches of a pair, labels included.
        height: Inches of a pair, labels included.
        tag: Words after the program's name.
    """
    figure = new_figure(width * columns, height * rows + STRIP, tag)
    left, right, bottom, gap, top = 0.86, 0.16, 0.58, 0.09, 0.08
    inner = height - bottom - gap - top
    pairs: list[tuple[Axes, Axes]] = []
    for row in range(rows):
        floor = (rows - 1 - row) * height + bottom
        for column in range(columns):
            corner = column * width + left
            lower = place(figure, corner, floor, width - left - right, 0.27 * inner)
            upper = place(figure, corner, floor + 0.27 * inner + gap, width - left - right, 0.73 * inner, lower)
            upper.tick_params(labelbottom=False)
            for axes in (upper, lower):
                # One distance for all labels, so that a column of panels reads as one.
                axes.yaxis.set_label_coords(-0.62 / (width - left - right), 0.5)
                axes.yaxis.label.set_verticalalignment("center")
            lower.yaxis.label.set_fontsize(9.0)
            pairs.append((upper, lower))
    return figure, pairs


def ratio_panels(
    panels: Sequence[P],
    draw: Callable[[P, Axes, Axes], None],
    columns: int,
    widths: tuple[float, float],
    height: float,
    tag: str,
) -> Figure:
    """Draw panels side by side, each on a pair of axes, with one legend.

    Args:
        panels: What to draw, row by row; at least one.
        draw: Draws a panel on its upper and its ratio axis.
        columns: Panels in a row, at least 1.
        widths: Inches of a panel beside others, and of one alone in its row.
        height: Inches of a panel.
        tag: Words after the program's name.
    """
    across = min(columns, len(panels))
    with drawing():
        figure, pairs = panel_grid(-(-len(panels) // across), across, widths[across == 1], height, tag)
        for panel, pair in zip(panels, pairs, strict=False):
            draw(panel, *pair)
        for upper, lower in pairs[len(panels) :]:
            upper.remove()
            lower.remove()
        add_legend(figure, pairs[0][0])
    return figure


def draw_band(axes: Axes, edges: NDArray[np.float64], relative: NDArray[np.float64]) -> None:
    """Draw the target's own statistical error around one, shape ``(bins,)``; nothing where it is NaN."""
    spread = np.nan_to_num(relative, nan=0.0)
    axes.stairs(1.0 + spread, edges, baseline=1.0 - spread, fill=True, color=BAND, alpha=0.6, linewidth=0.0)
    axes.axhline(1.0, color="black", linewidth=0.8, zorder=1)


def draw_ratio(
    axes: Axes,
    edges: NDArray[np.float64],
    ratio: NDArray[np.float64],
    error: NDArray[np.float64],
    colour: str,
    marker: str,
    shift: float = 0.0,
) -> None:
    """Draw ratios with errors; those beyond the axis appear as triangles at its rim, so that none is lost.

    Args:
        axes: The ratio axis, its range already set.
        edges: Bin edges, shape ``(bins + 1,)``.
        ratio: Shape ``(bins,)``; NaN is not drawn.
        error: Shape ``(bins,)``.
        colour: Of points and bars.
        marker: Of points inside the range.
        shift: Sideways shift in bin widths, so that several samples' bars do not hide each other.
    """
    low, high = axes.get_ylim()
    centres = 0.5 * (edges[:-1] + edges[1:]) + shift * np.diff(edges)
    inside = (ratio >= low) & (ratio <= high)
    axes.errorbar(
        centres[inside], ratio[inside], yerr=error[inside], fmt=marker, color=colour, markersize=3.2, elinewidth=1.0
    )
    rim = 0.045 * (high - low)
    for beyond, level, arrow in ((ratio > high, high - rim, "^"), (ratio < low, low + rim, "v")):
        if np.any(beyond):
            axes.plot(centres[beyond], np.full(int(beyond.sum()), level), arrow, color=colour, markersize=4.5)


def finish_ratio(axes: Axes, errors: Sequence[NDArray[np.float64]], ratios: Sequence[NDArray[np.float64]]) -> None:
    """Choose the ratio axis's range: around one, wide enough for every ratio that has a useful error.

    Args:
        axes: The ratio axis.
        errors: Relative errors of target and samples, each shape ``(bins,)``.
        ratios: The samples' ratios, each shape ``(bins,)``.
    """
    typical = [float(np.nanmedian(error)) for error in errors if np.isfinite(error).any()]
    reach = [0.01, 3.0 * max(typical, default=0.0)]
    for ratio, error in zip(ratios, errors[-len(ratios) :] if ratios else [], strict=True):
        useful = np.isfinite(ratio) & np.isfinite(error) & (error < 0.15)
        if useful.any():
            # The tenth part with the largest distances may lie at the rim: one bin must not flatten all the others.
            reach.append(1.15 * float(np.quantile(np.abs(ratio[useful] - 1.0) + error[useful], 0.9)))
    span = next((span for span in _SPANS if span >= max(reach)), _SPANS[-1])
    axes.set_ylim(1.0 - 1.25 * span, 1.0 + 1.25 * span)
    digits = 3 if span < 0.02 else 2 if span < 0.2 else 1
    ticks = [1.0 - span, 1.0, 1.0 + span]
    axes.set_yticks(ticks, [f"{tick:.{digits}f}" for tick in ticks])
    axes.set_yticks([1.0 - 0.5 * span, 1.0 + 0.5 * span], minor=True)
