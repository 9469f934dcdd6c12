"""Posteriors of single events: the draws of some components, with the truth of that event as a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio import Sample
from castalia.plots.style import MODELS, STRIP, TARGET, add_legend, axis_label, drawing, new_figure, place

__all__ = ["PosteriorPanel", "posterior_grid"]

_BINS = (12, 40)
"""Fewest and most bins; between them twice the square root of the smallest number of draws."""

_TAIL = 0.005
"""Share of the draws that may lie beyond either end of the axis."""


@dataclass(frozen=True)
class PosteriorPanel:
    """One component of one event.

    Attributes:
        label: Name of the component, mathematics allowed.
        unit: Its unit, empty for a pure number.
        samples: Draws by each model, or by a brute-force search among like events; at least one.
        truth: True value of the event.
    """

    label: str
    unit: str
    samples: tuple[Sample, ...]
    truth: float


def posterior_grid(events: Sequence[Sequence[PosteriorPanel]], titles: Sequence[str], tag: str = "") -> Figure:
    """Draw the posteriors of some events, one row an event.

    Args:
        events: The panels of each event; every event has as many.
        titles: Words on each event, such as its number, written into its first panel.
        tag: Words after the program's name, such as the model.

    Raises:
        DataError: If there is no panel, rows differ in length, or a panel has no finite draw.
    """
    if not events or not events[0] or {len(row) for row in events} != {len(events[0])} or len(titles) != len(events):
        raise DataError(
            f"{len(titles)} titles for events of {[len(row) for row in events]} panels; give one title an event, "
            "and the same number of panels to each."
        )
    width, height = 3.6, 2.7
    with drawing():
        figure = new_figure(width * len(events[0]) + 0.1, height * len(events) + STRIP, tag)
        for row, (panels, title) in enumerate(zip(events, titles, strict=True)):
            for column, panel in enumerate(panels):
                floor = (len(events) - 1 - row) * height + 0.55
                axes = place(figure, column * width + 0.8, floor, width - 0.9, height - 0.63)
                _draw(panel, axes)
                if column == 0:
                    axes.text(0.03, 0.96, title, transform=axes.transAxes, ha="left", va="top", fontsize=9.0)
        add_legend(figure, figure.axes[0])
    return figure


def _draw(panel: PosteriorPanel, axes: Axes) -> None:
    edges = _edges(panel)
    width, top = float(edges[1] - edges[0]), 0.0
    for i, sample in enumerate(panel.samples):
        density, error = _density(sample, edges)
        colour = MODELS[i % len(MODELS)]
        axes.stairs(density, edges, color=colour, linewidth=1.4, baseline=None, label=sample.label)
        if i == 0:
            axes.stairs(density, edges, color=colour, fill=True, alpha=0.15)
        filled = density > 0.0
        centres = 0.5 * (edges[1:] + edges[:-1])
        axes.errorbar(centres[filled], density[filled], yerr=error[filled], fmt="none", ecolor=colour, elinewidth=0.9)
        top = max(top, float((density + error).max()))
    axes.axvline(panel.truth, color=TARGET, linewidth=1.6, linestyle="--", label="Truth")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.0, 1.25 * top)
    # Where a quantity is known well its numbers have many digits.
    narrow = edges[-1] - edges[0] < 0.1 * np.abs(edges).max()
    axes.locator_params(axis="x", nbins=3 if narrow else 5)
    axes.locator_params(axis="y", nbins=5)
    axes.set_xlabel(axis_label(panel.label, panel.unit))
    axes.set_ylabel(f"Fraction of draws / {width:.2g} {panel.unit}".strip(), fontsize=9.0)


def _edges(panel: PosteriorPanel) -> NDArray[np.float64]:
    finite = [sample.values[np.isfinite(sample.values)] for sample in panel.samples]
    if not panel.samples or any(not len(values) for values in finite):
        raise DataError(f"the posterior of {panel.label} has no finite draw; there is nothing to draw.")
    ends = np.array([np.quantile(values, [_TAIL, 1.0 - _TAIL]) for values in finite])
    low, high = min(float(ends[:, 0].min()), panel.truth), max(float(ends[:, 1].max()), panel.truth)
    # Draws that are all equal still have a bin around them.
    room = max(0.04 * (high - low), 1e-3 * abs(high), 1e-9)
    bins = int(np.clip(2.0 * np.sqrt(min(len(values) for values in finite)), *_BINS))
    return np.linspace(low - room, high + room, bins + 1)


def _density(sample: Sample, edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the fraction of all draws in each bin and its statistical error."""
    weights = np.ones(len(sample.values)) if sample.weights is None else sample.weights
    total = float(weights.sum())
    if not total > 0.0:
        raise DataError(f"the weights of '{sample.label}' sum to {total:g}; give draws with a positive sum.")
    content = np.histogram(sample.values, edges, weights=weights)[0]
    squares = np.histogram(sample.values, edges, weights=np.square(weights))[0]
    return content / total, np.sqrt(squares) / total
