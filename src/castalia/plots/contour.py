"""Confidence contours of two parameters: best fit, true point where it is known, and the spread of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import MODELS, TARGET, add_legend, axis_label, drawing

__all__ = ["Contour", "ContourPanel", "contour_grid"]

_DASHES = ("-", "--", ":")
_SHADES = (0.30, 0.14, 0.08)


@dataclass(frozen=True)
class Contour:
    """One closed curve.

    Attributes:
        level: Confidence level, between 0 and 1.
        points: Points of the curve in order, shape ``(points, 2)``, in the units of the panel's axes.
    """

    level: float
    points: NDArray[np.float64]


@dataclass(frozen=True)
class ContourPanel:
    """Two parameters.

    Attributes:
        names: Names of the parameters along and up, mathematics allowed.
        units: Their units, empty for a pure number.
        best: Values at the maximum of the likelihood, shape ``(2,)``.
        contours: The curves, innermost first.
        truth: True values, shape ``(2,)``; None where they are not known.
        members: Best values of each member of an ensemble, shape ``(members, 2)``; None where there is one model.
    """

    names: tuple[str, str]
    units: tuple[str, str]
    best: NDArray[np.float64]
    contours: tuple[Contour, ...]
    truth: NDArray[np.float64] | None = None
    members: NDArray[np.float64] | None = None


def contour_grid(panels: Sequence[ContourPanel], tag: str = "") -> Figure:
    """Draw pairs of parameters, three in a row.

    Args:
        panels: At least one.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, or a curve has fewer than three points or points that are not finite.
    """
    if not panels:
        raise DataError("a contour needs a pair of parameters; there is none.")
    with drawing():
        figure, every = axes_grid(len(panels), 4.3, tag, (6.2, 5.2))
        for panel, axes in zip(panels, every, strict=True):
            _draw(panel, axes)
        add_legend(figure, figure.axes[0])
    return figure


def _draw(panel: ContourPanel, axes: Axes) -> None:
    if any(len(c.points) < 3 or not np.isfinite(c.points).all() for c in panel.contours):
        raise DataError(f"a contour of {panel.names[0]} and {panel.names[1]} is no closed curve of finite points.")
    shown = [panel.best[None, :]]
    for i, contour in enumerate(panel.contours):
        closed = np.vstack([contour.points, contour.points[:1]])
        axes.fill(*contour.points.T, color=MODELS[0], alpha=_SHADES[i % len(_SHADES)], linewidth=0.0)
        axes.plot(*closed.T, color=MODELS[0], linestyle=_DASHES[i % len(_DASHES)], label=f"{100 * contour.level:g} %")
        shown.append(contour.points)
    if panel.members is not None:
        axes.plot(*panel.members.T, "o", color=MODELS[2], markersize=4.0, markerfacecolor="none", label="Members")
        shown.append(panel.members)
    axes.plot(*panel.best, "+", color=TARGET, markersize=11, markeredgewidth=1.6, label="Best fit")
    if panel.truth is not None:
        axes.plot(*panel.truth, "*", color=MODELS[1], markersize=11, markeredgewidth=0.0, label="True point")
        shown.append(panel.truth[None, :])
    everything = np.vstack(shown)
    low, high = everything.min(axis=0), everything.max(axis=0)
    room = np.where(high > low, 0.12 * (high - low), np.maximum(0.05 * np.abs(high), 1e-3))
    axes.set_xlim(low[0] - room[0], high[0] + room[0])
    axes.set_ylim(low[1] - room[1], high[1] + room[1])
    axes.set_xlabel(axis_label(panel.names[0], panel.units[0]))
    axes.set_ylabel(axis_label(panel.names[1], panel.units[1]))
