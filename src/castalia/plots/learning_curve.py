"""Learning curves: a score against the number of training events, with bands over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import MARKERS, MODELS, drawing

__all__ = ["LearningLine", "learning_figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearningLine:
    """One recipe.

    Attributes:
        name: Name in the legend, mathematics allowed.
        sizes: Training events a class, increasing, shape ``(sizes,)``.
        value: Score, shape ``(sizes,)``.
        error: Its standard error, same shape; NaN where it is not known.
    """

    name: str
    sizes: Floats
    value: Floats
    error: Floats


def learning_figure(lines: Sequence[LearningLine], label: str, tag: str = "") -> Figure:
    """Draw recipes on one logarithmic axis of sizes.

    Args:
        lines: At least one.
        label: What the score is, mathematics allowed.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no recipe, or a score does not fit its sizes.
    """
    if not lines or any(not one.sizes.shape == one.value.shape == one.error.shape for one in lines):
        raise DataError("a learning curve needs a recipe or more, with one score and error a size.")
    with drawing():
        figure, (axes,) = axes_grid(1, 4.2, tag, (6.2, 4.4))
        for number, line in enumerate(lines):
            colour, marker = MODELS[number % len(MODELS)], MARKERS[(number + number // 4) % len(MARKERS)]
            error = np.nan_to_num(line.error)
            axes.fill_between(
                line.sizes, line.value - error, line.value + error, color=colour, alpha=0.25, linewidth=0.0
            )
            style = "-" if number < len(MODELS) else "--"
            axes.plot(
                line.sizes, line.value, color=colour, marker=marker, markersize=4.5, linestyle=style, label=line.name
            )
        axes.set_xscale("log")
        sizes = np.unique(np.concatenate([line.sizes for line in lines]))
        axes.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{size:,.0f}".replace(",", "\u202f") for size in sizes])
        axes.set_xlabel("Training events a class")
        axes.set_ylabel(label)
        axes.legend(loc="lower right")
    return figure
