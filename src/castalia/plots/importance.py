"""Bars of how much a classifier loses without each feature, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from castalia.errors import DataError
from castalia.plots.style import MODELS, STRIP, TARGET, add_legend, drawing, longest_name, new_figure, place

__all__ = ["ImportanceBar", "importance_figure"]

_MOST = 30


@dataclass(frozen=True)
class ImportanceBar:
    """One feature.

    Attributes:
        name: Its name, mathematics allowed.
        total: Loss when it is exchanged between all events.
        total_error: Its standard error.
        relations: Loss when it is exchanged between events of one class.
        relations_error: Its standard error.
    """

    name: str
    total: float
    total_error: float
    relations: float
    relations_error: float


def importance_figure(bars: Sequence[ImportanceBar], tag: str = "") -> Figure:
    """Draw the losses of AUC, at most thirty features.

    Args:
        bars: The features in any order.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no feature.
    """
    if not bars:
        raise DataError("there is no feature to draw the importance of; give one or more.")
    shown = sorted(bars, key=lambda one: -one.total)[:_MOST]
    height, left = 0.27 * len(shown) + 0.2, 0.35 + 0.085 * longest_name([one.name for one in shown])
    with drawing():
        figure = new_figure(left + 4.9, height + 0.6 + STRIP, tag)
        axes = place(figure, left, 0.55, 4.75, height)
        at = np.arange(len(shown))[::-1]
        for shift, colour, label, values, errors in (
            (0.18, MODELS[0], "Exchanged between all events", [one.total for one in shown],
             [one.total_error for one in shown]),
            (-0.18, MODELS[1], "Within a class", [one.relations for one in shown],
             [one.relations_error for one in shown]),
        ):  # fmt: skip
            axes.barh(at + shift, values, 0.34, color=colour, alpha=0.75, label=label)
            axes.errorbar(values, at + shift, xerr=errors, fmt="none", ecolor=TARGET, elinewidth=1.0)
        axes.axvline(0.0, color=TARGET, linewidth=0.8)
        axes.set_yticks(at, [one.name for one in shown])
        axes.tick_params(axis="y", which="both", length=0)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xlabel("Loss of AUC")
        add_legend(figure, axes)
    return figure
