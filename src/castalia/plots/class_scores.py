"""Distributions of a score for every class, as densities with statistical errors on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.roc import LINES
from castalia.plots.style import add_legend, drawing

__all__ = ["ScorePanel", "score_figure"]

Floats = NDArray[np.float64]

_BINS = 40


@dataclass(frozen=True)
class ScorePanel:
    """One score.

    Attributes:
        label: What the score is, mathematics allowed.
        score: Scores in [0, 1], shape ``(events,)``.
        label_of: Class of each event, from 0, same shape.
        weight: Event weights, same shape.
        names: Names of the classes, mathematics allowed, at most twelve.
    """

    label: str
    score: Floats
    label_of: NDArray[np.int64]
    weight: Floats
    names: tuple[str, ...]


def score_figure(panels: Sequence[ScorePanel], tag: str = "") -> Figure:
    """Draw scores side by side.

    Args:
        panels: At least one.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no panel, or a class has no event.
    """
    if not panels:
        raise DataError("no score was given to draw the distributions of; pass one panel or more.")
    with drawing():
        figure, axes = axes_grid(len(panels), 3.8, tag, (6.2, 4.2))
        for panel, one in zip(panels, axes, strict=True):
            _draw(panel, one)
        add_legend(figure, axes[0])
    return figure


def _draw(panel: ScorePanel, axes: Axes) -> None:
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    centres, lowest = 0.5 * (edges[1:] + edges[:-1]), np.inf
    for number, name in enumerate(panel.names):
        own = panel.label_of == number
        if not own.any():
            raise DataError(f"no event of class {name} has a score to draw; give events of every class.")
        content, _ = np.histogram(panel.score[own], edges, weights=panel.weight[own])
        squares, _ = np.histogram(panel.score[own], edges, weights=np.square(panel.weight[own]))
        scale = _BINS / panel.weight[own].sum()
        colour, dash = LINES[number % len(LINES)]
        filled = number == 0
        axes.stairs(content * scale, edges, color=colour, fill=filled, alpha=0.25 if filled else 1.0, linewidth=1.2,
                    linestyle=dash, baseline=1e-12, label=name)  # fmt: skip
        shown = content > 0.0
        axes.errorbar(
            centres[shown], content[shown] * scale, yerr=np.sqrt(squares[shown]) * scale, fmt="none", ecolor=colour,
            elinewidth=0.9,
        )  # fmt: skip
        lowest = min(lowest, float((content[shown] * scale).min(initial=np.inf)))
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5 * lowest if np.isfinite(lowest) else 1e-3)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel(panel.label)
    axes.set_ylabel("Density")
