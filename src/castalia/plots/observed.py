"""Observed events on top of the fitted model, its parts stacked, with their ratio and their pulls below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import draw_band, draw_ratio, finish_ratio
from castalia.plots.style import MARKERS, MODELS, STRIP, TARGET, add_legend, axis_label, drawing, new_figure, place

__all__ = ["ModelPart", "ObservedPanel", "observed_grid"]

Floats = NDArray[np.float64]
_REACH = 3.5  # of the axis of the pulls


@dataclass(frozen=True)
class ModelPart:
    """One component of the fitted model.

    Attributes:
        label: Name in the legend.
        expected: Expected events in each bin, shape ``(bins,)``.
        error: Their statistical errors, from the number of generated events; same shape.
    """

    label: str
    expected: Floats
    error: Floats


@dataclass(frozen=True)
class ObservedPanel:
    """One observable.

    Attributes:
        label: Name of the observable, mathematics allowed.
        unit: Its unit, empty for a pure number.
        edges: Increasing, equal bins, shape ``(bins + 1,)``.
        observed: Observed events in each bin, weighted, shape ``(bins,)``.
        error: Their statistical errors, same shape.
        parts: Components of the model, from the bottom up.
        note: A line written into the panel; empty for none.
    """

    label: str
    unit: str
    edges: Floats
    observed: Floats
    error: Floats
    parts: tuple[ModelPart, ...]
    note: str = ""

    @property
    def expected(self) -> Floats:
        """Expected events in each bin, all parts together."""
        return np.asarray(sum((part.expected for part in self.parts), np.zeros(len(self.observed))))

    @property
    def expected_error(self) -> Floats:
        """Statistical errors of ``expected``."""
        return np.asarray(np.sqrt(sum((np.square(part.error) for part in self.parts), np.zeros(len(self.observed)))))

    @property
    def pulls(self) -> Floats:
        """(Observed minus expected) / error of the difference; NaN where both are empty.

        The error is that of the expected number of events, ``sqrt(expected)``: it stays meaningful in a bin where
        nothing was observed. A weighted bin's is as much larger as its own error is than ``sqrt(observed)``.
        """
        inflation = np.ones_like(self.observed)
        filled = self.observed > 0.0
        inflation[filled] = np.square(self.error[filled]) / self.observed[filled]
        sigma = np.sqrt(self.expected * inflation + np.square(self.expected_error))
        result: Floats = np.full_like(sigma, np.nan)
        np.divide(self.observed - self.expected, sigma, out=result, where=sigma > 0.0)
        return result


def observed_grid(panels: Sequence[ObservedPanel], columns: int = 3, tag: str = "") -> Figure:
    """Draw observables side by side.

    Args:
        panels: What to draw, row by row.
        columns: Panels in a row, at least 1.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, one has no part, or a histogram does not fit its edges.
    """
    if not panels:
        raise DataError("no observable was given to compare with the model; pass one panel or more.")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    width, height = 4.7 if columns > 1 else 6.2, 4.9
    with drawing():
        figure = new_figure(width * columns, height * rows + STRIP, tag)
        triples = []
        for number, panel in enumerate(panels):
            row, column = divmod(number, columns)
            triples.append(_axes(figure, column * width, (rows - 1 - row) * height, width, height))
            _draw(panel, *triples[-1])
        add_legend(figure, triples[0][0])
    return figure


def _axes(figure: Figure, corner: float, floor: float, width: float, height: float) -> tuple[Axes, Axes, Axes]:
    """Return the axes of events, ratio and pulls, from the top down."""
    left, bottom, gap, inner = 0.86, 0.58, 0.08, height - 0.58 - 0.16 - 0.08
    across = width - left - 0.16
    share = 0.20 * inner
    pulls = place(figure, corner + left, floor + bottom, across, share)
    ratio = place(figure, corner + left, floor + bottom + share + gap, across, share, pulls)
    upper = place(figure, corner + left, floor + bottom + 2 * (share + gap), across, inner - 2 * share, pulls)
    for axes in (upper, ratio, pulls):
        axes.yaxis.set_label_coords(-0.62 / across, 0.5)
        axes.yaxis.label.set_verticalalignment("center")
        axes.tick_params(labelbottom=axes is pulls)
    for axes in (ratio, pulls):
        axes.yaxis.label.set_fontsize(9.0)
    return upper, ratio, pulls


def _draw(panel: ObservedPanel, upper: Axes, ratio: Axes, pulls: Axes) -> None:
    bins = len(panel.edges) - 1
    sizes = {
        len(panel.observed),
        len(panel.error),
        *(len(values) for p in panel.parts for values in (p.expected, p.error)),
    }
    if not panel.parts or sizes != {bins}:
        raise DataError(f"the histograms of {panel.label} do not have one value a bin, {bins}, or no part of a model.")
    edges, expected = panel.edges, panel.expected
    floor = np.zeros(bins)
    for i, part in enumerate(panel.parts):
        colour = MODELS[(len(panel.parts) - 1 - i) % len(MODELS)]
        upper.stairs(
            floor + part.expected, edges, baseline=floor, fill=True, color=colour, alpha=0.35, label=part.label
        )
        upper.stairs(floor + part.expected, edges, baseline=None, color=colour, linewidth=1.2)
        floor = floor + part.expected
    centres = 0.5 * (edges[1:] + edges[:-1])
    upper.errorbar(
        centres, panel.observed, yerr=panel.error, fmt=MARKERS[0], color=TARGET, markersize=3.4, elinewidth=1.0,
        label="Observed",
    )  # fmt: skip
    top = float(max((panel.observed + panel.error).max(), expected.max()))
    upper.set_ylim(0.0, 1.22 * top if top > 0.0 else 1.0)
    width = float(edges[1] - edges[0])
    upper.set_ylabel(f"Events / {f'{width:.3g} {panel.unit}'.strip()}")
    if panel.note:
        upper.text(0.97, 0.965, panel.note, transform=upper.transAxes, ha="right", va="top", fontsize=8.5)
    known = expected > 0.0
    relative, quotient, error = (
        np.divide(values, expected, out=np.full(bins, np.nan), where=known)
        for values in (panel.expected_error, panel.observed, panel.error)
    )
    draw_band(ratio, edges, relative)
    finish_ratio(ratio, [relative, error], [quotient])
    draw_ratio(ratio, edges, quotient, error, TARGET, MARKERS[0])
    ratio.set_ylabel("Observed /\nmodel")
    shown = np.clip(np.nan_to_num(panel.pulls), -_REACH, _REACH)
    pulls.bar(centres, shown, width=np.diff(edges), color=MODELS[0], alpha=0.55, linewidth=0.0)
    pulls.axhline(0.0, color="black", linewidth=0.8)
    pulls.set_ylim(-_REACH, _REACH)
    pulls.set_yticks([-2.0, 0.0, 2.0])
    pulls.set_ylabel("Pull")
    pulls.set_xlim(edges[0], edges[-1])
    pulls.set_xlabel(axis_label(panel.label, panel.unit))
