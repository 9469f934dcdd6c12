"""Reliability of stated probabilities: what was counted against what was stated, with the number of events below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import panel_grid
from castalia.plots.style import BAND, MARKERS, MODELS, TARGET, drawing

__all__ = ["ReliabilityLine", "ReliabilityPanel", "reliability_figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReliabilityLine:
    """One classifier.

    Attributes:
        name: Name in the legend, mathematics allowed.
        edges: Bin edges of the stated probability, shape ``(bins + 1,)``.
        share: Share of the events in each bin, shape ``(bins,)``.
        stated: Mean stated probability, same shape.
        counted: Fraction that was counted, same shape; NaN in an empty bin.
        error: Its standard error, same shape.
    """

    name: str
    edges: Floats
    share: Floats
    stated: Floats
    counted: Floats
    error: Floats


@dataclass(frozen=True)
class ReliabilityPanel:
    """The probability of one class.

    Attributes:
        title: The class, mathematics allowed.
        lines: One a classifier, at least one.
    """

    title: str
    lines: tuple[ReliabilityLine, ...]


def reliability_figure(panels: Sequence[ReliabilityPanel], tag: str = "") -> Figure:
    """Draw classes side by side, three in a row.

    Args:
        panels: At least one.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no panel or one without a classifier.
    """
    if not panels or any(not panel.lines for panel in panels):
        raise DataError("a reliability curve needs a class and a classifier; one is missing.")
    columns = min(len(panels), 3)
    with drawing():
        figure, pairs = panel_grid(-(-len(panels) // columns), columns, 4.7 if columns > 1 else 6.2, 4.9, tag)
        for panel, pair in zip(panels, pairs, strict=False):
            _draw(panel, *pair)
        for unused in pairs[len(panels) :]:
            for axes in unused:
                axes.remove()
        # Several models may have names too long for one line above the panels.
        pairs[0][0].legend(loc="upper left", fontsize=8.5)
    return figure


def _draw(panel: ReliabilityPanel, upper: Axes, lower: Axes) -> None:
    upper.plot([0.0, 1.0], [0.0, 1.0], color=TARGET, linestyle="--", linewidth=0.9)
    for number, line in enumerate(panel.lines):
        colour, marker = MODELS[number % len(MODELS)], MARKERS[(number + number // len(MODELS)) % len(MARKERS)]
        known = np.isfinite(line.counted)
        upper.errorbar(
            line.stated[known], line.counted[known], yerr=line.error[known], fmt=marker, color=colour, markersize=3.6,
            elinewidth=1.1, label=line.name,
        )  # fmt: skip
        # Bins hold equally many events: their density is what differs.
        density = line.share / np.maximum(np.diff(line.edges), 1e-9)
        lower.stairs(
            density, line.edges, color=colour, fill=len(panel.lines) == 1, alpha=0.5 if len(panel.lines) == 1 else 1.0
        )
    upper.set_ylim(0.0, 1.0)
    upper.set_ylabel(f"Fraction of {panel.title}")
    upper.grid(color=BAND, linewidth=0.4, alpha=0.6)
    lower.set_xlim(0.0, 1.0)
    lower.set_ylim(bottom=0.0)
    lower.set_ylabel("Density")
    lower.set_xlabel(f"Stated probability of {panel.title}")
