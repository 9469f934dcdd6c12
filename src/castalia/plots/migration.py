"""Migrations between bins: where the events of each true bin are found, with purity and stability beside."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import MARKERS, MODELS, STRIP, add_legend, axis_label, drawing, new_figure, place

__all__ = ["migration_figure"]


def migration_figure(
    edges: NDArray[np.float64],
    content: NDArray[np.float64],
    purity: tuple[NDArray[np.float64], NDArray[np.float64]],
    stability: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    label: str,
    unit: str = "",
    found: str = "Unfolded",
    tag: str = "",
) -> Figure:
    """Draw a migration matrix and what it says of each bin.

    Args:
        edges: Bin edges in ``unit``, shape ``(bins + 1,)``.
        content: Weighted number of events by true and found bin, shape ``(bins + 2, bins + 2)``, under- and overflow
            first and last: counted in the fractions, not drawn.
        purity: Fraction of the events found in a bin that belong there, and its error, each shape ``(bins,)``.
        stability: Fraction of the events of a true bin that are found there, and its error, each shape ``(bins,)``.
        label: Name of the observable, mathematics allowed.
        unit: Its unit, empty for a pure number.
        found: What the found values are, such as ``"Unfolded"`` or ``"Detector-level"``.
        tag: Words after the program's name, such as the model.

    Raises:
        DataError: If the matrix or a fraction does not fit the edges.
    """
    bins = len(edges) - 1
    if content.shape != (bins + 2, bins + 2) or any(part.shape != (bins,) for part in (*purity, *stability)):
        shapes = [part.shape for part in (*purity, *stability)]
        raise DataError(
            f"a matrix of shape {content.shape} and fractions of shapes {shapes} for {bins} bins; "
            "give (bins + 2, bins + 2) and (bins,)."
        )
    total = content.sum(axis=1, keepdims=True)
    share = 100.0 * np.divide(content, total, out=np.zeros_like(content), where=total > 0.0)[1:-1, 1:-1]
    size, bottom, left = max(3.3, 0.5 * bins), 0.78, 0.95
    with drawing():
        figure = new_figure(left + 2.0 * size + 2.35, bottom + size + 0.12 + STRIP, tag)
        matrix = place(figure, left, bottom, size, size)
        image = matrix.imshow(share.T, vmin=0.0, vmax=100.0, cmap="Blues", origin="lower", aspect="auto")
        bar = figure.colorbar(image, cax=place(figure, left + size + 0.1, bottom, 0.13, size))
        bar.set_label("Share of the true bin [%]", labelpad=2.0)
        _write(matrix, share)
        _ticks(matrix, edges)
        matrix.set_yticks(np.arange(bins + 1) - 0.5, [f"{edge:.10g}" for edge in edges])
        matrix.set_xlabel(axis_label(f"True {label}", unit))
        matrix.set_ylabel(axis_label(f"{found} {label}", unit))
        beside = place(figure, left + size + 1.6, bottom, size + 0.6, size)
        for i, (name, (value, error)) in enumerate((("Purity", purity), ("Stability", stability))):
            beside.errorbar(
                np.arange(bins) + 0.12 * (2 * i - 1), 100.0 * value, yerr=100.0 * error, xerr=0.35,
                fmt=MARKERS[i], color=MODELS[i], markersize=4.5, elinewidth=1.2, label=name,
            )  # fmt: skip
        beside.set_xlim(-0.5, bins - 0.5)
        beside.set_ylim(0.0, 100.0)
        _ticks(beside, edges)
        beside.set_xlabel(axis_label(label, unit))
        beside.set_ylabel("Fraction [%]")
        add_legend(figure, beside)
    return figure


def _ticks(axes: Axes, edges: NDArray[np.float64]) -> None:
    # Bins are drawn equally wide, whatever their edges: narrow ones are where the migrations are.
    axes.set_xticks(np.arange(len(edges)) - 0.5, [f"{edge:.10g}" for edge in edges], rotation=45, ha="right",
                    rotation_mode="anchor")  # fmt: skip
    axes.minorticks_off()
    axes.tick_params(top=False, right=False)


def _write(axes: Axes, share: NDArray[np.float64]) -> None:
    for (true, found), value in np.ndenumerate(share):
        if value >= 0.5:
            colour = "white" if value > 60.0 else "#222222"
            axes.text(true, found, f"{value:.0f}", ha="center", va="center", fontsize=8, color=colour)
