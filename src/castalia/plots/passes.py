"""How far each pass of an iterated unfolding still moved the result, and where it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import MARKERS, MODELS, drawing

__all__ = ["PassesPanel", "passes_figure"]


@dataclass(frozen=True)
class PassesPanel:
    """One method.

    Attributes:
        title: Its name.
        labels: Names of its curves.
        changes: Change by each pass in standard errors, shape ``(curves, passes)``, the first pass first.
        stopped: The pass that is quoted.
    """

    title: str
    labels: tuple[str, ...]
    changes: NDArray[np.float64]
    stopped: int


def passes_figure(panels: Sequence[PassesPanel], settled: float, tag: str = "") -> Figure:
    """Draw the methods side by side.

    Args:
        panels: What to draw.
        settled: Change below which a result counts as settled.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no panel, or curves do not fit their labels.
    """
    if not panels or any(panel.changes.ndim != 2 or len(panel.changes) != len(panel.labels) for panel in panels):
        raise DataError("no method was given to draw the passes of, or one without a curve for each label.")
    with drawing():
        figure, axes = axes_grid(len(panels), 3.4, tag, (6.2, 3.8))
        for panel, one in zip(panels, axes, strict=True):
            numbers = np.arange(1, panel.changes.shape[1] + 1)
            for i, (label, changes) in enumerate(zip(panel.labels, panel.changes, strict=True)):
                colour, marker = MODELS[i % len(MODELS)], MARKERS[i % len(MARKERS)]
                shown = np.maximum(changes, 1e-3)
                one.plot(numbers, shown, color=colour, marker=marker, markersize=4.0, label=label)
            one.axhline(settled, color="black", linestyle="--", linewidth=0.9)
            one.axvline(panel.stopped, color="black", linestyle=":", linewidth=0.9)
            one.set_yscale("log")
            one.xaxis.set_major_locator(MaxNLocator(integer=True))
            one.tick_params(axis="x", which="minor", bottom=False, top=False)
            one.set_xlabel("Pass")
            one.set_ylabel("Change [standard errors]")
            one.legend(loc="upper right", title=panel.title, frameon=True, framealpha=0.9, edgecolor="none")
    return figure
