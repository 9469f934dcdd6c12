"""Pulls and coverage of pseudo-experiments: what errors and intervals are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import MARKERS, MODELS, STRIP, TARGET, add_legend, drawing, new_figure, place

__all__ = ["CoveragePoint", "PullPanel", "coverage_figure", "pull_grid"]

_EDGES = np.linspace(-4.0, 4.0, 33)


@dataclass(frozen=True)
class PullPanel:
    """The pulls of one parameter.

    Attributes:
        name: Name of the parameter, mathematics allowed.
        pulls: (Fitted minus true) / error of each experiment, shape ``(experiments,)``.
        notes: Lines written into the panel, such as mean and width with their errors.
    """

    name: str
    pulls: NDArray[np.float64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CoveragePoint:
    """How often an interval held the true value.

    Attributes:
        name: Name of the parameter, mathematics allowed.
        method: How the interval was made, such as ``"profile"``; one marker each.
        nominal: Confidence level, between 0 and 1.
        covered: Fraction of the experiments whose interval held the truth.
        low: Lower end of the binomial interval of ``covered``.
        high: Its upper end.
    """

    name: str
    method: str
    nominal: float
    covered: float
    low: float
    high: float


def pull_grid(panels: Sequence[PullPanel], tag: str = "") -> Figure:
    """Draw the pulls of each parameter beside the unit normal distribution, three in a row.

    Args:
        panels: At least one.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, or one has no finite pull.
    """
    if not panels:
        raise DataError("pulls need a parameter; there is none.")
    with drawing():
        figure, every = axes_grid(len(panels), 3.7, tag, (6.2, 3.7))
        for panel, axes in zip(panels, every, strict=True):
            _draw(panel, axes)
        add_legend(figure, figure.axes[0])
    return figure


def _draw(panel: PullPanel, axes: Axes) -> None:
    pulls = panel.pulls[np.isfinite(panel.pulls)]
    if not len(pulls):
        raise DataError(f"no pull of {panel.name} is finite; there is nothing to draw.")
    # Pulls beyond the edges are counted in the outer bins, so that none is lost.
    counts = np.histogram(np.clip(pulls, _EDGES[0], _EDGES[-1]), _EDGES)[0]
    centres, width = 0.5 * (_EDGES[1:] + _EDGES[:-1]), float(_EDGES[1] - _EDGES[0])
    axes.errorbar(
        centres, counts, yerr=np.sqrt(counts), fmt=MARKERS[0], color=TARGET, markersize=3.4, elinewidth=1.0,
        label="Pseudo-experiments",
    )  # fmt: skip
    line = np.linspace(_EDGES[0], _EDGES[-1], 200)
    normal = len(pulls) * width * np.exp(-0.5 * np.square(line)) / np.sqrt(2.0 * np.pi)
    axes.plot(line, normal, color=MODELS[0], label="Unit normal")
    axes.set_xlim(_EDGES[0], _EDGES[-1])
    axes.set_ylim(0.0, 1.3 * max(float((counts + np.sqrt(counts)).max()), float(normal.max())))
    axes.set_xlabel(f"Pull of {panel.name}")
    axes.set_ylabel(f"Experiments / {width:g}")
    if panel.notes:
        axes.text(0.03, 0.965, "\n".join(panel.notes), transform=axes.transAxes, ha="left", va="top", fontsize=8.5)


def coverage_figure(points: Sequence[CoveragePoint], tag: str = "") -> Figure:
    """Draw how often the intervals of each parameter held the truth, one panel a confidence level.

    Args:
        points: At least one.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no point, or one does not lie inside its own interval.
    """
    if not points:
        raise DataError("coverage needs a parameter; there is none.")
    wrong = next((p for p in points if not p.low <= p.covered <= p.high), None)
    if wrong is not None:
        raise DataError(
            f"the coverage {wrong.covered:g} of {wrong.name} is outside its interval {wrong.low:g} to {wrong.high:g}."
        )
    levels = sorted({point.nominal for point in points})
    names, methods = list(dict.fromkeys(p.name for p in points)), list(dict.fromkeys(p.method for p in points))
    across, height = max(3.4, 0.8 * len(names) + 1.4), 3.6
    with drawing():
        figure = new_figure(across * len(levels), height + STRIP, tag)
        for number, level in enumerate(levels):
            axes = place(figure, number * across + 0.86, 0.58, across - 1.02, height - 0.68)
            axes.axhline(100 * level, color=TARGET, linewidth=1.0, linestyle=":")
            for i, method in enumerate(methods):
                mine = [p for p in points if p.nominal == level and p.method == method]
                _bars(axes, mine, names, 0.22 * (i - 0.5 * (len(methods) - 1)), i)
            ends = 100.0 * np.array([(p.low, p.high) for p in points if p.nominal == level] + [(level, level)])
            room = 0.15 * float(np.ptp(ends)) + 0.1
            axes.set_ylim(max(float(ends.min()) - room, 0.0), float(ends.max()) + room)
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.6, len(names) - 0.4)
            axes.tick_params(axis="x", which="both", length=0)
            axes.set_ylabel(f"Coverage of the {100 * level:.3g} % interval [%]")
        add_legend(figure, figure.axes[0])
    return figure


def _bars(axes: Axes, points: Sequence[CoveragePoint], names: Sequence[str], shift: float, number: int) -> None:
    if not points:
        return
    covered = 100.0 * np.array([p.covered for p in points])
    ends = 100.0 * np.array([(p.low, p.high) for p in points])
    axes.errorbar(
        np.array([names.index(p.name) for p in points]) + shift, covered,
        yerr=(covered - ends[:, 0], ends[:, 1] - covered), fmt=MARKERS[number % len(MARKERS)],
        color=MODELS[number % len(MODELS)], markersize=4.5, elinewidth=1.4, label=points[0].method,
    )  # fmt: skip
