"""Calibration of all components at a glance: deviations of ranks from uniform, and coverage of central intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import (
    BAND,
    MARKERS,
    MODELS,
    STRIP,
    TARGET,
    add_legend,
    drawing,
    longest_name,
    new_figure,
    place,
)

__all__ = ["CoverageRow", "RankPanel", "coverage_overview", "rank_overview"]

_LINES = tuple((colour, dash) for dash in ("-", "--", ":") for colour in MODELS)
"""Colour and dash of a panel's curves, in order: twelve."""


@dataclass(frozen=True)
class RankPanel:
    """The components of one particle, say.

    Attributes:
        title: What they belong to, mathematics allowed.
        names: Names of the components, mathematics allowed, at most twelve.
        curves: Fraction of events with a rank up to each of the levels minus that level, shape
            ``(components, levels)``.
    """

    title: str
    names: tuple[str, ...]
    curves: NDArray[np.float64]


@dataclass(frozen=True)
class CoverageRow:
    """How often central intervals of one level held the truth.

    Attributes:
        level: Nominal probability, between 0 and 1.
        value: Fraction of events by component, shape ``(components,)``.
        error: Its standard error, same shape.
    """

    level: float
    value: NDArray[np.float64]
    error: NDArray[np.float64]


def rank_overview(panels: Sequence[RankPanel], levels: NDArray[np.float64], threshold: float, tag: str = "") -> Figure:
    """Draw how far the ranks of each component are from uniform, four panels in a row on one scale.

    Args:
        panels: At least one.
        levels: Probabilities at which the curves are given, increasing to 1, shape ``(levels,)``.
        threshold: Largest deviation that 95 % of the components of a right posterior stay below.
        tag: Words after the program's name, such as the model.

    Raises:
        DataError: If there is no panel, or curves fit neither their names nor the levels.
    """
    if not panels:
        raise DataError("a calibration needs components; there is no panel.")
    for panel in panels:
        if panel.curves.shape != (len(panel.names), len(levels)) or len(panel.names) > len(_LINES):
            raise DataError(
                f"{panel.title} has {len(panel.names)} names for curves of shape {panel.curves.shape} at {len(levels)} "
                f"levels; give one curve a name, at most {len(_LINES)}, with one value a level."
            )
    largest = max(float(np.abs(panel.curves).max(initial=0.0)) for panel in panels)
    reach = max(largest, 1.25 * threshold)
    across, width, height = min(4, len(panels)), 3.3, 2.9
    down = -(-len(panels) // across)
    with drawing():
        figure = new_figure(width * across + 0.45, height * down + STRIP, tag)
        for number, panel in enumerate(panels):
            row, column = divmod(number, across)
            floor = (down - 1 - row) * height + 0.52
            axes = place(figure, column * width + 0.82, floor, width - 0.5, height - 0.6)
            _draw_ranks(panel, axes, levels, threshold)
            axes.set_ylim(-1.65 * reach, 1.3 * reach)  # room for the names below and the title above
            if column == 0:
                axes.set_ylabel("ECDF $-$ uniform", labelpad=2.0)
            else:
                axes.tick_params(labelleft=False)
            if number + across >= len(panels):
                axes.set_xlabel("Normalised rank of the truth")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        kept = labels.index("95 % of right posteriors stay inside")
        figure.legend([handles[kept]], [labels[kept]], loc="upper right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.35)
    return figure


def _draw_ranks(panel: RankPanel, axes: Axes, levels: NDArray[np.float64], threshold: float) -> None:
    band = axes.axhspan(
        -threshold,
        threshold,
        color=BAND,
        alpha=0.45,
        linewidth=0.0,
        label="95 % of right posteriors stay inside",
        zorder=0,
    )
    axes.axhline(0.0, color="black", linewidth=0.8, zorder=1)
    for name, curve, (colour, dash) in zip(panel.names, panel.curves, _LINES, strict=False):
        axes.plot(
            np.append(0.0, levels), np.append(0.0, curve), color=colour, linestyle=dash, linewidth=1.2, label=name
        )
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
    axes.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    axes.text(0.03, 0.96, panel.title, transform=axes.transAxes, ha="left", va="top")
    lines = [handle for handle in axes.get_legend_handles_labels()[0] if handle is not band]
    # A legend fills column by column; the names are in order row by row.
    columns = min(len(lines), 3)
    order = [i for column in range(columns) for i in range(column, len(lines), columns)]
    axes.legend(
        [lines[i] for i in order], [panel.names[i] for i in order], loc="lower center", ncols=columns, fontsize=7.5,
        columnspacing=0.9, handlelength=1.5, handletextpad=0.4, labelspacing=0.25, borderaxespad=0.3,
    )  # fmt: skip


def coverage_overview(names: Sequence[str], rows: Sequence[CoverageRow], tag: str = "") -> Figure:
    """Draw the coverage of every component, one row a level.

    Args:
        names: Names of the components, mathematics allowed.
        rows: One a level, at least one.
        tag: Words after the program's name, such as the model.

    Raises:
        DataError: If there is no row, or a row does not have one value a component.
    """
    count = len(names)
    if not count or not rows or any(row.value.shape != (count,) or row.error.shape != (count,) for row in rows):
        raise DataError(f"coverage needs one row or more with one value for each of {count} components.")
    longest = longest_name(names)
    width, height, bottom = max(4.2, 0.23 * count + 1.2), 2.0, 0.25 + 0.075 * longest
    with drawing():
        figure = new_figure(width, bottom + height * len(rows) + STRIP, tag)
        for number, row in enumerate(rows):
            floor = bottom + (len(rows) - 1 - number) * height
            axes = place(figure, 0.86, floor, width - 1.02, height - 0.14)
            axes.axhline(100.0 * row.level, color=TARGET, linewidth=1.0, linestyle="--", label="Nominal")
            axes.errorbar(
                np.arange(count), 100.0 * row.value, yerr=100.0 * row.error, fmt=MARKERS[0], color=MODELS[0],
                markersize=3.8, elinewidth=1.2, label="Measured, with standard error",
            )  # fmt: skip
            far = float(np.max(np.abs(row.value - row.level) + row.error)) + 2e-3
            axes.set_ylim(100.0 * (row.level - 1.15 * far), 100.0 * (row.level + 1.15 * far))
            axes.set_xlim(-0.7, count - 0.3)
            axes.set_xticks(range(count), names, rotation=90, fontsize=8.0)
            axes.tick_params(axis="x", which="both", length=0, labelbottom=number == len(rows) - 1)
            for component in range(count):
                axes.axvline(component, color=BAND, linewidth=0.4, zorder=0)
            axes.set_ylabel(f"Truth in central\n{100.0 * row.level:.3g} % [%]", fontsize=9.5)
        add_legend(figure, figure.axes[0])
    return figure
