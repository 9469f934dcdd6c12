"""Measured curves of pixel events, each with the ratio to the truth's below: spectra, counts, correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import draw_band, draw_ratio, finish_ratio, ratio_panels
from castalia.plots.style import MARKERS, MODELS, TARGET, axis_label

__all__ = ["Curve", "CurvePanel", "curve_figure"]

Floats = NDArray[np.float64]

_REFERENCE = MODELS[2]


@dataclass(frozen=True)
class Curve:
    """One sample.

    Attributes:
        label: Name in the legend.
        value: Shape ``(bins,)``; NaN is not drawn.
        error: Statistical errors, same shape.
    """

    label: str
    value: Floats
    error: Floats


@dataclass(frozen=True)
class CurvePanel:
    """What one panel shows.

    Attributes:
        x: Name of the horizontal axis.
        unit: Its unit, empty for none.
        y: Label of the vertical axis, unit included.
        edges: Bin edges, shape ``(bins + 1,)``.
        curves: The true events, the sampled ones, and what else is to be compared with by eye, such as no background.
        log: Which axes are logarithmic, ``""``, ``"x"``, ``"y"`` or ``"xy"``.
        points: Whether the truth is drawn as points, as measurements are, and not as a filled histogram.
        note: Words in the panel, empty for none.
    """

    x: str
    unit: str
    y: str
    edges: Floats
    curves: tuple[Curve, ...]
    log: str = ""
    points: bool = False
    note: str = ""


def curve_figure(panels: Sequence[CurvePanel], columns: int, tag: str = "") -> Figure:
    """Draw panels side by side.

    Args:
        panels: What to draw.
        columns: Panels in a row.
        tag: Words after the program's name.

    Raises:
        DataError: If there is none, or a curve does not fit its edges.
    """
    for one in panels:
        bins = len(one.edges) - 1
        if len(one.curves) < 2 or any(len(curve.value) != bins or len(curve.error) != bins for curve in one.curves):
            raise DataError(f"A curve of {one.x} does not have one value a bin, {bins}, or has none beside it.")
    if not panels:
        raise DataError("A figure of curves needs at least one panel.")
    return ratio_panels(panels, _draw, columns, (4.7, 6.2), 3.9, tag)


def _draw(panel: CurvePanel, upper: Axes, lower: Axes) -> None:
    edges, (true, made, *others) = panel.edges, panel.curves
    scale = "log" if "x" in panel.log else "linear"
    upper.set_xscale(scale)
    centres = np.sqrt(edges[:-1] * edges[1:]) if scale == "log" else 0.5 * (edges[:-1] + edges[1:])
    known = np.nan_to_num(true.value)
    if panel.points:
        upper.errorbar(centres, true.value, true.error, 0.5 * np.diff(edges), fmt="_", markersize=1.0, color=TARGET,
                       elinewidth=1.5, label=true.label)  # fmt: skip
        upper.errorbar(centres, made.value, made.error, fmt=MARKERS[0], color=MODELS[0], markersize=3.6,
                       elinewidth=1.0, label=made.label)  # fmt: skip
    else:
        upper.stairs(known, edges, fill=True, color=TARGET, alpha=0.16)
        upper.stairs(known, edges, baseline=None, color=TARGET, linewidth=1.2, label=true.label)
        upper.stairs(np.nan_to_num(made.value), edges, baseline=None, color=MODELS[0], linewidth=1.4, label=made.label)
    for other in others:
        upper.stairs(np.nan_to_num(other.value), edges, baseline=None, color=_REFERENCE, linewidth=1.2,
                     linestyle="--", label=other.label)  # fmt: skip
    relative, ratio, error = (_over(one, true.value) for one in (true.error, made.value, made.error))
    draw_band(lower, edges, relative)
    finish_ratio(lower, [relative, error], [ratio])
    draw_ratio(lower, edges, ratio, error, MODELS[0], MARKERS[0])
    _label(panel, upper, lower)


def _over(value: Floats, true: Floats) -> Floats:
    return np.asarray(np.divide(value, true, out=np.full(len(true), np.nan), where=np.nan_to_num(true) > 0.0))


def _label(panel: CurvePanel, upper: Axes, lower: Axes) -> None:
    lower.set_xlim(panel.edges[0], panel.edges[-1])
    lower.set_xlabel(axis_label(panel.x, panel.unit))
    lower.set_ylabel(f"Ratio to\n{panel.curves[0].label.lower()}")
    upper.set_ylabel(panel.y)
    values = np.concatenate([np.nan_to_num(one.value + one.error) for one in panel.curves])
    top, room = float(values.max()), 0.08 + 0.10 * bool(panel.note)
    if "y" in panel.log:
        own = np.concatenate([np.nan_to_num(one.value) for one in panel.curves[:2]])
        low = 0.5 * float(own[own > 0.0].min(initial=max(top, 1e-12)))
        upper.set_yscale("log")
        upper.set_ylim(low, top * (top / low) ** (room / (1.0 - room)))
    else:
        upper.set_ylim(0.0, top / (1.0 - room))
    if panel.note:
        upper.text(0.97, 0.955, panel.note, transform=upper.transAxes, ha="right", va="top", fontsize=8.5)
