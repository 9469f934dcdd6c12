"""One number for every component by every model, side by side: scores, or how far a calibration is off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import BAND, MARKERS, MODELS, STRIP, TARGET, drawing, longest_name, new_figure, place

__all__ = ["ComponentRow", "ComponentSeries", "component_overview"]

_MOST = 16  # series that are told apart by colour and marker
_WIDEST, _HEIGHT = 12.5, 2.4  # inches of a row of components
_ACROSS = 0.66  # of the room of a component, over which the series are spread


@dataclass(frozen=True)
class ComponentSeries:
    """The numbers of one model.

    Attributes:
        name: Its name, plain text.
        value: One number a component, shape ``(components,)``.
        error: Its standard error, same shape; ``None`` where there is none to draw.
    """

    name: str
    value: NDArray[np.float64]
    error: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class ComponentRow:
    """One quantity.

    Attributes:
        label: What it is, mathematics allowed.
        series: One a model, at least one and at most sixteen.
        line: A value to compare with, such as a goal, or ``None``.
        line_name: What the line is; empty without one.
        reference: One value a component to compare with, shape ``(components,)``, or ``None``.
        reference_name: What the reference is; empty without one.
    """

    label: str
    series: tuple[ComponentSeries, ...]
    line: float | None = None
    line_name: str = ""
    reference: NDArray[np.float64] | None = None
    reference_name: str = ""


def component_overview(names: Sequence[str], row: ComponentRow, tag: str = "") -> Figure:
    """Draw a quantity of all components by several models, models side by side, in as many rows as are needed.

    Args:
        names: Names of the components, mathematics allowed.
        row: What to draw.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no component, no series or more than sixteen, or a series does not fit the names.
    """
    count, series = len(names), row.series
    arrays = [one.value for one in series] + ([] if row.reference is None else [row.reference])
    if not count or not 1 <= len(series) <= _MOST or any(values.shape != (count,) for values in arrays):
        raise DataError(
            f"{len(series)} series of shapes {[one.value.shape for one in series]} do not fit {count} components; give "
            f"1 to {_MOST} series with one value for each component."
        )
    entries = len(series) + (row.line is not None) + (row.reference is not None)
    columns = min(entries, 5)
    room = 0.12 + 0.05 * len(series)  # of one component, in inches
    down = math.ceil(room * count / _WIDEST)
    across = math.ceil(count / down)
    width, below = max(6.0, room * across + 1.4), 0.25 + 0.075 * longest_name(names)
    height = below + _HEIGHT + 0.12
    reach = 1.06 * max(float(np.max(values)) for values in arrays)
    with drawing():
        figure = new_figure(width, height * down + 0.24 * math.ceil(entries / columns) + STRIP, tag)
        for number in range(down):
            chosen = slice(number * across, min((number + 1) * across, count))
            share = (chosen.stop - chosen.start) / across  # of the width: a component is as wide in every row
            axes = place(figure, 0.86, (down - 1 - number) * height + below, share * (width - 1.02), _HEIGHT)
            _draw(axes, row, chosen, names[chosen])
            axes.set_ylim(0.0, max(reach, 1.06 * (row.line or 0.0)))
        figure.axes[0].legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, fontsize=8.5, borderaxespad=0.2,
            columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip
    return figure


def _draw(axes: Axes, row: ComponentRow, chosen: slice, names: Sequence[str]) -> None:
    """Draw some of the components."""
    count, models = len(names), len(row.series)
    for number, one in enumerate(row.series):
        shift = _ACROSS * ((number + 0.5) / models - 0.5)
        colour, filled = MODELS[number % len(MODELS)], number // len(MODELS) % 2 == 0
        axes.errorbar(
            np.arange(count) + shift, one.value[chosen], yerr=None if one.error is None else one.error[chosen],
            fmt=MARKERS[(number + number // len(MODELS)) % len(MARKERS)], color=colour, markersize=3.4,
            markerfacecolor=colour if filled else "white", elinewidth=0.9, linewidth=0.0, label=one.name,
        )  # fmt: skip
    if row.reference is not None:
        edges = np.arange(count + 1) - 0.5
        axes.stairs(row.reference[chosen], edges, color=TARGET, linewidth=0.9, baseline=None, label=row.reference_name)
    if row.line is not None:
        axes.axhline(row.line, color=TARGET, linewidth=1.0, linestyle="--", label=row.line_name)
    for edge in np.arange(count - 1) + 0.5:
        axes.axvline(edge, color=BAND, linewidth=0.4, zorder=0)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_xticks(range(count), names, rotation=90, fontsize=8.0)
    axes.tick_params(axis="x", which="both", length=0)
    axes.set_ylabel(row.label)
