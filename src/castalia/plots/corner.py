"""Corner plot of true and drawn events: every component on the diagonal, every pair as contours below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from castalia.errors import DataError
from castalia.plots.style import MARKERS, MODELS, STRIP, TARGET, axis_label, drawing, new_figure, place

__all__ = ["corner_figure"]

_BINS, _CELLS, _SMOOTH = 30, 40, 1.5
_TAIL = 0.002
"""Share of the truth beyond either end, before an axis is made longer by 8 % at both."""

_LEVELS = (0.95, 0.68)
"""Probabilities inside the contours, outermost first."""


def corner_figure(
    labels: Sequence[str],
    units: Sequence[str],
    truth: NDArray[np.float64],
    drawn: NDArray[np.float64],
    *,
    names: tuple[str, str] = ("Truth", "Drawn"),
    tag: str = "",
) -> Figure:
    """Draw the distributions of some components and of all their pairs.

    Args:
        labels: Names of the components, mathematics allowed; two to six.
        units: Their units, empty for a pure number.
        truth: True events, shape ``(events, components)``.
        drawn: Drawn events, shape ``(others, components)``.
        names: What the two samples are called.
        tag: Words after the program's name, such as the model.

    Raises:
        DataError: If the samples do not fit the labels, or a true component is constant.
    """
    count = len(labels)
    if not 2 <= count <= 6 or len(units) != count or any(table.shape[1:] != (count,) for table in (truth, drawn)):
        raise DataError(
            f"{count} labels and {len(units)} units for samples of shapes {truth.shape} and {drawn.shape}; "
            "give two to six components, one label and one unit each."
        )
    ends = np.quantile(truth, [_TAIL, 1.0 - _TAIL], axis=0).T
    if np.any(ends[:, 0] >= ends[:, 1]):
        raise DataError("a true component is constant; leave it out of the corner plot.")
    ends += 0.08 * np.diff(ends) * np.array([-1.0, 1.0])
    size, gap, left, bottom = 1.9 if count > 3 else 2.3, 0.1, 0.95, 0.85
    step = size + gap
    with drawing():
        figure = new_figure(left + count * step + 0.1, bottom + count * step + STRIP, tag)
        for row in range(count):
            for column in range(row + 1):
                axes = place(figure, left + column * step, bottom + (count - 1 - row) * step, size, size)
                if row == column:
                    _diagonal(axes, truth[:, row], drawn[:, row], ends[row])
                else:
                    _pair(axes, truth[:, [column, row]], drawn[:, [column, row]], ends[[column, row]])
                _label(axes, row, column, labels, units, ends)
        shapes = [Patch(color=TARGET, alpha=0.38, linewidth=0.0), Line2D([], [], color=MODELS[0])]
        figure.legend(
            shapes, [f"{names[0]}: 68 and 95 %", names[1]], loc="upper right", bbox_to_anchor=(1.0, 1.0), ncols=2,
            borderaxespad=0.35, columnspacing=1.4, handlelength=1.6, handletextpad=0.5,
        )  # fmt: skip
    return figure


def _diagonal(axes: Axes, truth: NDArray[np.float64], drawn: NDArray[np.float64], ends: NDArray[np.float64]) -> None:
    edges = np.linspace(ends[0], ends[1], _BINS + 1)
    expected = np.histogram(truth, edges)[0] / len(truth)
    content = np.histogram(drawn, edges)[0]
    value, error = content / len(drawn), np.sqrt(content) / len(drawn)
    axes.stairs(expected, edges, fill=True, color=TARGET, alpha=0.16)
    axes.stairs(expected, edges, color=TARGET, baseline=None, linewidth=1.0)
    axes.errorbar(
        0.5 * (edges[1:] + edges[:-1]), value, yerr=error, fmt=MARKERS[0], color=MODELS[0], markersize=2.2,
        elinewidth=0.9,
    )  # fmt: skip
    axes.set_ylim(0.0, 1.15 * max(float(expected.max()), float((value + error).max())))


def _pair(axes: Axes, truth: NDArray[np.float64], drawn: NDArray[np.float64], ends: NDArray[np.float64]) -> None:
    every = [np.linspace(low, high, _CELLS + 1) for low, high in ends]
    centres = [0.5 * (edges[1:] + edges[:-1]) for edges in every]
    for table, filled in ((truth, True), (drawn, False)):
        density = _density(table, ends)
        if not density.any():
            continue  # all beyond the axes, as the diagonal shows
        heights = _heights(density)
        if filled:
            axes.contourf(
                *centres, density.T, levels=[*heights, max(float(density.max()), heights[-1]) * 1.01],
                colors=[to_rgba(TARGET, 0.16), to_rgba(TARGET, 0.38)],
            )  # fmt: skip
        else:
            axes.contour(*centres, density.T, levels=heights, colors=[MODELS[0]], linewidths=[1.0, 1.4])
    axes.set_ylim(*ends[1])


def _density(table: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smoothed fraction of events in each cell, both samples smoothed alike."""
    content = np.histogram2d(table[:, 0], table[:, 1], bins=_CELLS, range=[tuple(pair) for pair in ends])[0]
    return np.asarray(gaussian_filter(content / len(table), _SMOOTH, mode="nearest"), dtype=np.float64)


def _heights(density: NDArray[np.float64]) -> list[float]:
    """Return the heights above which the density holds each of the probabilities, increasing."""
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered)
    places = np.minimum(np.searchsorted(held, np.array(_LEVELS)), len(ordered) - 1)
    lowest, highest = (float(ordered[place]) for place in places)
    # Contours need increasing heights even where all events lie in one cell.
    return [lowest, max(highest, np.nextafter(lowest, np.inf))]


def _label(
    axes: Axes, row: int, column: int, labels: Sequence[str], units: Sequence[str], ends: NDArray[np.float64]
) -> None:
    axes.set_xlim(*ends[column])
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=4)
    if row == len(labels) - 1:
        axes.set_xlabel(axis_label(labels[column], units[column]))
        axes.tick_params(axis="x", rotation=45)
    else:
        axes.tick_params(labelbottom=False)
    if column == 0 and row > 0:
        axes.set_ylabel(axis_label(labels[row], units[row]))
        axes.yaxis.set_label_coords(-0.34, 0.5)
    else:
        axes.tick_params(labelleft=False)
