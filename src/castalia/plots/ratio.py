"""Normalised distributions of target and generated events, with the ratio below and its statistical band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.ratio_axes import draw_band, draw_ratio, finish_ratio, ratio_panels
from castalia.plots.style import MARKERS, MODELS, TARGET, axis_label, milli

__all__ = ["RatioPanel", "Sample", "ratio_grid", "ratio_histogram"]


@dataclass(frozen=True)
class Sample:
    """One sample of one variable.

    Attributes:
        label: Name in the legend.
        values: Shape ``(events,)``, in the panel's unit.
        weights: Event weights, shape ``(events,)``; None for ones.
    """

    label: str
    values: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class RatioPanel:
    """What one panel shows.

    Attributes:
        target: The target sample, drawn filled; ratios are to it.
        generated: Samples compared with it.
        edges: Increasing bin edges, shape ``(bins + 1,)``, in ``unit``.
        label: Name of the variable, mathematics allowed; pass a name that is not ours through ``style.plain``.
        unit: Its unit, empty for a pure number.
        fold: Whether events beyond the edges are added to the first and last bins (said in the panel); otherwise they
            are left out, but still count in the normalisation.
        log: Whether the upper axis is logarithmic.
        notes: Lines written into the panel, such as mean and standard deviation.
    """

    target: Sample
    generated: tuple[Sample, ...]
    edges: NDArray[np.float64]
    label: str
    unit: str = ""
    fold: bool = False
    log: bool = False
    notes: tuple[str, ...] = ()


def ratio_histogram(panel: RatioPanel, tag: str = "") -> Figure:
    """Draw one variable.

    Args:
        panel: What to draw.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If the target is empty or edges do not increase.
    """
    return ratio_grid([panel], columns=1, tag=tag)


def ratio_grid(panels: Sequence[RatioPanel], columns: int = 3, tag: str = "") -> Figure:
    """Draw several variables side by side, with one legend.

    Args:
        panels: What to draw, row by row.
        columns: Panels in a row, at least 1.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If there is no panel, a target is empty or edges do not increase.
    """
    if not panels:
        raise DataError("no variable was given for the distributions; pass one panel or more.")
    return ratio_panels(panels, _draw, columns, (4.7, 6.2), 4.3, tag)


def _draw(panel: RatioPanel, upper: Axes, lower: Axes) -> None:
    edges = np.asarray(panel.edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0.0):
        raise DataError(f"the bin edges of {panel.label} must increase, and there must be two or more.")
    height, error = _binned(panel, panel.target, edges)
    factor, unit = milli(float(np.abs(edges).max()), panel.unit)
    edges = factor * edges
    widths: NDArray[np.float64] = np.diff(edges)
    uniform = bool(np.allclose(widths, widths[0]))
    # Unequal bins are shown as a density, or a wide bin would look like a peak.
    per = 1.0 if uniform else widths
    upper.stairs(height / per, edges, fill=True, color=TARGET, alpha=0.16)
    upper.stairs(height / per, edges, baseline=None, color=TARGET, linewidth=1.2, label=panel.target.label)
    relative = np.divide(error, height, out=np.full_like(height, np.nan), where=height > 0.0)
    draw_band(lower, edges, relative)
    ratios, errors, tops = [], [], [height / per]
    for i, sample in enumerate(panel.generated):
        value, spread = _binned(panel, sample, panel.edges)
        upper.stairs(
            value / per, edges, baseline=None, color=MODELS[i % len(MODELS)], linewidth=1.4, label=sample.label
        )
        ratio = np.divide(value, height, out=np.full_like(height, np.nan), where=height > 0.0)
        ratios.append(ratio)
        errors.append(np.divide(spread, height, out=np.full_like(height, np.nan), where=height > 0.0))
        tops.append(value / per)
    finish_ratio(lower, [relative, *errors], ratios)
    for i, (ratio, spread) in enumerate(zip(ratios, errors, strict=True)):
        shift = 0.2 * (i - 0.5 * (len(ratios) - 1))
        draw_ratio(lower, edges, ratio, spread, MODELS[i % len(MODELS)], MARKERS[i % len(MARKERS)], shift)
    lower.set_xlim(edges[0], edges[-1])
    lower.set_xlabel(axis_label(panel.label, unit))
    lower.set_ylabel(f"Ratio to\n{panel.target.label.lower()}")
    if uniform:
        upper.set_ylabel(f"Fraction of events / {_bin_width(widths[0], unit)}")
    else:
        upper.set_ylabel(axis_label(r"$1/N\ \mathrm{d}N/\mathrm{d}x$", f"1/{unit}" if unit else ""))
    _finish_upper(panel, upper, np.concatenate(tops))


def _bin_width(width: float, unit: str) -> str:
    # "0.2 of a thousandth" is written as a product, "0.2 mrad" as a quantity.
    if unit.startswith("$10"):
        return rf"${width:.3g}\times {unit.removeprefix('$')}"
    return f"{width:.3g} {unit}".strip()


def _finish_upper(panel: RatioPanel, upper: Axes, heights: NDArray[np.float64]) -> None:
    folded = _folded(panel)
    lines = [*panel.notes, *([folded] if folded else [])]
    top, positive = float(heights.max(initial=0.0)), heights[heights > 0.0]
    room = 0.10 + 0.075 * len(lines)
    if panel.log and positive.size:
        low = float(positive.min()) / 2.0
        upper.set_yscale("log")
        upper.set_ylim(low, top * (top / low) ** (room / (1.0 - room)))
    elif top > 0.0:
        upper.set_ylim(0.0, top / (1.0 - room))
    if lines:
        upper.text(0.97, 0.965, "\n".join(lines), transform=upper.transAxes, ha="right", va="top", fontsize=8.5)


def _folded(panel: RatioPanel) -> str:
    """Say which of the outer bins hold events from beyond the edges; nothing where none does."""
    if not panel.fold:
        return ""
    edges, every = panel.edges, [panel.target.values, *(sample.values for sample in panel.generated)]
    below = any(bool(np.any(values < edges[0])) for values in every)
    above = any(bool(np.any(values > edges[-1])) for values in every)
    names = {(True, True): "Outer bins include under- and overflow", (False, True): "Last bin includes overflow",
             (True, False): "First bin includes underflow"}  # fmt: skip
    return names.get((below, above), "")


def _binned(
    panel: RatioPanel, sample: Sample, edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the fraction of all events in each bin, and its statistical error."""
    values = np.asarray(sample.values, dtype=np.float64)
    weights = np.ones(len(values)) if sample.weights is None else np.asarray(sample.weights, dtype=np.float64)
    total = float(weights.sum())
    if not total > 0.0:
        raise DataError(f"the sample '{sample.label}' of {panel.label} is empty or its weights do not sum above zero.")
    inside = np.clip(values, edges[0], edges[-1]) if panel.fold else values
    height = np.histogram(inside, bins=edges, weights=weights)[0]
    variance = np.histogram(inside, bins=edges, weights=np.square(weights))[0]
    return height / total, np.sqrt(variance) / total
