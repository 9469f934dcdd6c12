"""How a score depends on a mass: its mean, and what a cut on it keeps, in bins of the mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import MARKERS, MODELS, TARGET, add_legend, axis_label, drawing

__all__ = ["MassProfile", "mass_profile_figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MassProfile:
    """One classifier on events of one class.

    Attributes:
        name: Name in the legend, mathematics allowed.
        edges: Bin edges of the mass, shape ``(bins + 1,)``.
        score: Mean score, shape ``(bins,)``.
        score_error: Its standard error, same shape.
        kept: Fraction that the cut keeps, same shape.
        kept_error: Its standard error, same shape.
        share: Fraction that it keeps of all events.
    """

    name: str
    edges: Floats
    score: Floats
    score_error: Floats
    kept: Floats
    kept_error: Floats
    share: float


def mass_profile_figure(profiles: Sequence[MassProfile], mass: str, unit: str, score: str, tag: str = "") -> Figure:
    """Draw mean scores and kept fractions side by side.

    Args:
        profiles: One a classifier, at least one.
        mass: Name of the mass, mathematics allowed.
        unit: Its unit, empty for a pure number.
        score: Name of the score, mathematics allowed.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no classifier, or a profile does not fit its edges.
    """
    if not profiles or any(
        {one.score.shape, one.score_error.shape, one.kept.shape, one.kept_error.shape} != {(len(one.edges) - 1,)}
        for one in profiles
    ):
        raise DataError("a profile needs a classifier or more, with one value a bin of the mass.")
    with drawing():
        figure, (left, right) = axes_grid(2, 3.9, tag, (6.2, 4.2))
        for number, one in enumerate(profiles):
            colour, marker = MODELS[number % len(MODELS)], MARKERS[number % len(MARKERS)]
            centres, halves = 0.5 * (one.edges[1:] + one.edges[:-1]), 0.5 * np.diff(one.edges)
            for axes, value, error in ((left, one.score, one.score_error), (right, one.kept, one.kept_error)):
                axes.errorbar(
                    centres, value, xerr=halves, yerr=error, fmt=marker, color=colour, markersize=3.6, elinewidth=1.1,
                    label=one.name,
                )  # fmt: skip
            right.axhline(one.share, color=TARGET, linestyle="--", linewidth=0.9)
        for axes, label in ((left, f"Mean {score}"), (right, "Fraction kept by a cut")):
            axes.set_ylim(bottom=0.0, top=1.15 * axes.get_ylim()[1])
            axes.set_xlabel(axis_label(mass, unit))
            axes.set_ylabel(label)
        add_legend(figure, left)
    return figure
