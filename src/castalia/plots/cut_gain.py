"""What a cut on the score gains at every signal efficiency: significance improvement, and expected significance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.roc import LINES
from castalia.plots.style import BAND, TARGET, drawing

__all__ = ["GainLine", "GainPanel", "cut_gain_figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GainLine:
    """One classifier.

    Attributes:
        name: Name in the legend, mathematics allowed.
        signal: Signal efficiencies, increasing, shape ``(points,)``.
        value: What a cut at each gains, same shape; NaN where no background is left.
        low: Lower end of the 68 % interval, same shape.
        high: Upper end, same shape.
        enough: Whether so much simulated background is left that a maximum may be sought, booleans, same shape.
        best: Place of the largest value among those; ``None`` where there is none.
    """

    name: str
    signal: Floats
    value: Floats
    low: Floats
    high: Floats
    enough: NDArray[np.bool_]
    best: int | None


@dataclass(frozen=True)
class GainPanel:
    """One quantity.

    Attributes:
        label: What is gained, mathematics allowed.
        lines: One a classifier, one to twelve.
        uncut: The value without a cut.
    """

    label: str
    lines: tuple[GainLine, ...]
    uncut: float


def cut_gain_figure(panels: Sequence[GainPanel], signal: str, tag: str = "") -> Figure:
    """Draw the quantities side by side; where too little background is left, the curve is thin and has no maximum.

    Args:
        panels: At least one.
        signal: Name of the signal, mathematics allowed.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no panel, or one has no classifier or more than twelve.
    """
    if not panels or any(not 1 <= len(panel.lines) <= len(LINES) for panel in panels):
        raise DataError(f"a gain is drawn of 1 to {len(LINES)} classifiers in one panel or more; there are others.")
    with drawing():
        figure, axes = axes_grid(len(panels), 4.2, tag, (6.2, 4.4))
        for panel, one in zip(panels, axes, strict=True):
            one.axhline(panel.uncut, color=TARGET, linestyle="--", linewidth=0.9)
            one.text(0.985, panel.uncut, "no cut ", ha="right", va="top", fontsize=8.5, color=TARGET)
            for line, (colour, dash) in zip(panel.lines, LINES, strict=False):
                known = np.isfinite(line.value)
                x, enough = line.signal[known], line.enough[known]
                one.plot(x, line.value[known], color=colour, linestyle=dash, linewidth=0.6, alpha=0.6)
                solid = np.where(enough, line.value[known], np.nan)
                one.plot(x, solid, color=colour, linestyle=dash, label=line.name)
                one.fill_between(
                    x, line.low[known], line.high[known], where=enough.tolist(), color=colour, alpha=0.25, linewidth=0.0
                )
                if line.best is not None:
                    one.plot(line.signal[line.best], line.value[line.best], "o", color=colour, markersize=5.0)
            tops = [np.nanmax(np.where(line.enough, line.high, np.nan), initial=panel.uncut) for line in panel.lines]
            one.set_ylim(0.0, 1.25 * float(max(tops)))
            one.set_xlim(0.0, 1.0)
            one.grid(axis="y", color=BAND, linewidth=0.4, alpha=0.6)
            one.set_xlabel(f"Efficiency of {signal}")
            one.set_ylabel(panel.label)
        # Below, where only cuts are that lose significance.
        axes[0].legend(loc="lower center", ncols=1 if len(panels[0].lines) < 4 else 2, fontsize=8.5)
    return figure
