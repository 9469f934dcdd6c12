"""Unfolded spectra by several methods beside the simulation and, where known, the truth, with their ratios below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import draw_band, draw_ratio, finish_ratio, ratio_panels
from castalia.plots.style import BAND, MARKERS, MODELS, TARGET, axis_label

__all__ = ["SpectrumPanel", "UnfoldedPoints", "spectrum_grid"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnfoldedPoints:
    """One method's spectrum.

    Attributes:
        label: Name in the legend.
        contents: Events in each bin, shape ``(bins,)``.
        error: Their statistical errors, same shape: the thick bar.
        total: Their whole errors, same shape: the thin bar.
    """

    label: str
    contents: Floats
    error: Floats
    total: Floats


@dataclass(frozen=True)
class SpectrumPanel:
    """One observable.

    Attributes:
        label: Its name, mathematics allowed.
        unit: Its unit, empty for a pure number.
        edges: Bin edges, shape ``(bins + 1,)``.
        simulated: The simulation's contents, shape ``(bins,)``.
        truth: True contents, same shape; ``None`` where they are not known.
        methods: What was unfolded, at least one.
    """

    label: str
    unit: str
    edges: Floats
    simulated: Floats
    truth: Floats | None
    methods: tuple[UnfoldedPoints, ...]


def spectrum_grid(panels: Sequence[SpectrumPanel], columns: int = 3, tag: str = "") -> Figure:
    """Draw observables side by side, as densities, with ratios to the truth, or to the simulation where none is known.

    Args:
        panels: What to draw, row by row.
        columns: Panels in a row, at least 1.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no panel, one has no method, or contents do not fit the edges.
    """
    if not panels:
        raise DataError("no observable was given for the unfolded spectra; pass one panel or more.")
    return ratio_panels(panels, _draw, columns, (5.4, 6.6), 4.6, tag)


def _draw(panel: SpectrumPanel, upper: Axes, lower: Axes) -> None:
    widths = np.diff(panel.edges)
    known = [panel.simulated, *([] if panel.truth is None else [panel.truth])]
    drawn = [values for one in panel.methods for values in (one.contents, one.error, one.total)]
    if not panel.methods or {len(values) for values in (*known, *drawn)} != {len(widths)}:
        raise DataError(f"the spectra of {panel.label} do not have one value a bin, {len(widths)}, or there is none.")
    upper.stairs(panel.simulated / widths, panel.edges, color=BAND, fill=True, alpha=0.55, label="Simulation")
    if panel.truth is not None:
        upper.stairs(panel.truth / widths, panel.edges, baseline=None, color=TARGET, linewidth=1.2, label="Truth")
    reference = panel.simulated if panel.truth is None else panel.truth
    centres, filled, places = 0.5 * (panel.edges[1:] + panel.edges[:-1]), reference > 0.0, len(panel.methods)

    def relative(values: Floats) -> Floats:
        quotient: Floats = np.divide(values, reference, out=np.full(len(widths), np.nan), where=filled)
        return quotient

    ratios = [relative(one.contents) for one in panel.methods]
    draw_band(lower, panel.edges, np.zeros(len(widths)))
    finish_ratio(lower, [relative(one.total) for one in panel.methods], ratios)
    if panel.truth is not None:
        lower.stairs(relative(panel.simulated), panel.edges, baseline=None, color=BAND, linewidth=1.4)
    for i, (one, ratio) in enumerate(zip(panel.methods, ratios, strict=True)):
        shift, colour, marker = 0.18 * (i - 0.5 * (places - 1)), MODELS[i % len(MODELS)], MARKERS[i % len(MARKERS)]
        at = centres + shift * widths
        upper.errorbar(at, one.contents / widths, yerr=one.total / widths, fmt="none", ecolor=colour, elinewidth=0.8)
        upper.errorbar(
            at, one.contents / widths, yerr=one.error / widths, fmt=marker, color=colour, markersize=3.4,
            elinewidth=1.8, label=one.label,
        )  # fmt: skip
        draw_ratio(lower, panel.edges, ratio, relative(one.total), colour, marker, shift)
    upper.set_ylim(bottom=0.0)
    upper.set_ylabel(axis_label("Events / width", f"1/{panel.unit}" if panel.unit else ""))
    lower.set_ylabel("Ratio to\ntruth" if panel.truth is not None else "Ratio to\nsimulation")
    lower.set_xlim(panel.edges[0], panel.edges[-1])
    lower.set_xlabel(axis_label(panel.label, panel.unit))
