"""ROC curves with bands, the background rejection they mean, and the ratio of rejections to the first curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import BAND, MODELS, STRIP, TARGET, drawing, new_figure, place

__all__ = ["LINES", "RocLine", "roc_figure"]

Floats = NDArray[np.float64]

LINES = tuple((colour, dash) for dash in ("-", "--", ":") for colour in MODELS)
"""Colour and dash of the curves of one figure, in order: twelve."""

_MOST_RATIO = 4.0


@dataclass(frozen=True)
class RocLine:
    """One curve.

    Attributes:
        name: Name in the legend, mathematics allowed.
        signal: Signal efficiencies, increasing, shape ``(points,)``.
        background: Background efficiencies, same shape; 0 where no background is left.
        low: Lower end of their 68 % interval, same shape.
        high: Upper end, same shape.
    """

    name: str
    signal: Floats
    background: Floats
    low: Floats
    high: Floats


def roc_figure(lines: Sequence[RocLine], signal: str, background: str, tag: str = "") -> Figure:
    """Draw the curves, and beside them the rejections with their ratio to the first.

    Args:
        lines: One to twelve curves, all at the same signal efficiencies.
        signal: Name of the signal, mathematics allowed.
        background: Name of the background, mathematics allowed.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no curve or more than twelve, or they have different points.
    """
    if not 1 <= len(lines) <= len(LINES):
        raise DataError(f"{len(lines)} ROC curves cannot be told apart in one figure; give 1 to {len(LINES)}.")
    if any(
        part.shape != lines[0].signal.shape for one in lines for part in (one.signal, one.background, one.low, one.high)
    ) or any(not np.array_equal(one.signal, lines[0].signal) for one in lines):
        raise DataError("ROC curves of one figure have different signal efficiencies; measure all at the same.")
    size, height = 3.9, 3.9
    with drawing():
        figure = new_figure(2.0 * size + 2.1, height + 0.68 + STRIP, tag)
        left = place(figure, 0.86, 0.58, size, height)
        lower = place(figure, size + 1.9, 0.58, size, 0.28 * height)
        upper = place(figure, size + 1.9, 0.58 + 0.28 * height + 0.09, size, 0.72 * height - 0.09, lower)
        upper.tick_params(labelbottom=False)
        left.plot([0.0, 1.0], [0.0, 1.0], color=BAND, linestyle="--", linewidth=1.0)
        for line, (colour, dash) in zip(lines, LINES, strict=False):
            _draw(left, upper, lower, line, lines[0], colour, dash)
        left.set_xlim(0.0, 1.0)
        left.set_ylim(0.0, 1.0)
        left.set_xlabel(f"Efficiency of {background}")
        left.set_ylabel(f"Efficiency of {signal}")
        _finish(upper, lower, lines, signal, background)
        left.legend(loc="lower right", fontsize=8.5)
    return figure


def _draw(left: Axes, upper: Axes, lower: Axes, line: RocLine, first: RocLine, colour: str, dash: str) -> None:
    left.plot(
        np.append(0.0, line.background), np.append(0.0, line.signal), color=colour, linestyle=dash, label=line.name
    )
    left.fill_betweenx(line.signal, line.low, line.high, color=colour, alpha=0.25, linewidth=0.0)
    known = (line.background > 0.0) & (line.low > 0.0)
    x, value, low, high = line.signal[known], line.background[known], line.low[known], line.high[known]
    upper.plot(x, 1.0 / value, color=colour, linestyle=dash)
    upper.fill_between(x, 1.0 / high, 1.0 / low, color=colour, alpha=0.25, linewidth=0.0)
    reference = first.background[known]
    lower.plot(x, reference / value, color=colour, linestyle=dash)
    lower.fill_between(x, reference / high, reference / low, color=colour, alpha=0.25, linewidth=0.0)


def _finish(upper: Axes, lower: Axes, lines: Sequence[RocLine], signal: str, background: str) -> None:
    upper.set_yscale("log")
    upper.set_ylabel(f"Rejection of {background}")
    lower.set_xlabel(f"Efficiency of {signal}")
    lower.set_ylabel("Ratio to\n" + lines[0].name if len(lines) > 1 else "Relative\nband", fontsize=9.0)
    lower.axhline(1.0, color=TARGET, linewidth=0.8, zorder=0)
    lower.set_xlim(0.0, 1.0)
    reach = [0.95, 1.05]
    for one in lines:
        # Where the band is as wide as a quarter of the value, a ratio says little; it must not set the range.
        told = (one.low > 0.0) & (one.high < 1.25 * one.low) & (lines[0].background > 0.0)
        for end in (one.low[told], one.high[told]):
            reach.extend((lines[0].background[told] / end).tolist())
    low, high = min(reach), min(max(reach), _MOST_RATIO)
    room = 0.15 * (high - low)
    lower.set_ylim(max(0.0, low - room), high + room)
    for axes in (upper, lower):
        axes.yaxis.set_label_coords(-0.15, 0.5)
        axes.yaxis.label.set_verticalalignment("center")
