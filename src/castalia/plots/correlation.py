"""Correlation matrices of target and generated events side by side, and their difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import STRIP, drawing, new_figure, place

__all__ = ["correlation_figure"]


def correlation_figure(
    labels: Sequence[str],
    target: NDArray[np.float64],
    generated: NDArray[np.float64],
    *,
    error: NDArray[np.float64] | None = None,
    names: tuple[str, str] = ("Target", "Generated"),
    tag: str = "",
) -> Figure:
    """Draw two matrices and their difference, every cell with its number.

    Args:
        labels: Names of the columns, mathematics allowed.
        target: Correlations of the target, shape ``(columns, columns)``.
        generated: Correlations of the generated events, same shape.
        error: Standard errors of the difference, same shape; its largest is written beside the title.
        names: Titles of the first two matrices.
        tag: Words after the program's name, such as the scenario.

    Raises:
        DataError: If a matrix does not fit ``labels``.
    """
    count = len(labels)
    if np.shape(target) != (count, count) or np.shape(generated) != (count, count):
        raise DataError(f"{count} labels for matrices of shapes {np.shape(target)} and {np.shape(generated)}.")
    difference = generated - target
    reach = _reach(difference)
    with drawing():
        size, left, bottom = max(2.6, 0.66 * count), 0.85, 0.80
        step = left + size + 0.15
        figure = new_figure(3.0 * step + 1.9, bottom + size + 0.35 + STRIP, tag)
        one, two, three = (place(figure, i * step + left + 0.8 * (i == 2), bottom, size, size) for i in range(3))
        _matrix(one, labels, target, names[0], 1.0, "{:.2f}")
        image = _matrix(two, labels, generated, names[1], 1.0, "{:.2f}")
        bar = figure.colorbar(image, cax=place(figure, 2 * step + 0.05, bottom, 0.13, size))
        bar.set_label("Correlation of pulls", labelpad=2.0)
        title = f"{names[1]} $-$ {names[0].lower()}"
        if error is not None:
            title += rf" (statistical error up to {float(np.max(error)):.2g})"
        image = _matrix(three, labels, difference, title, reach, "{:+.3f}")
        bar = figure.colorbar(image, cax=place(figure, 3 * step + 0.85, bottom, 0.13, size))
        bar.set_label("Difference", labelpad=2.0)
        for axes in figure.axes[3:]:
            axes.minorticks_off()
    return figure


def _reach(difference: NDArray[np.float64]) -> float:
    largest = float(np.abs(difference).max(initial=0.0))
    return next((reach for reach in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if reach >= largest), 2.0)


def _matrix(
    axes: Axes, labels: Sequence[str], values: NDArray[np.float64], title: str, reach: float, pattern: str
) -> AxesImage:
    image = axes.imshow(values, vmin=-reach, vmax=reach, cmap="RdBu_r")
    axes.set_title(title, fontsize=10.5)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.minorticks_off()
    axes.tick_params(which="both", length=0)
    for (row, column), value in np.ndenumerate(values):
        shown = pattern.format(value)
        # A rounded minus zero is a zero; on dark cells the number is white.
        shown = shown.replace("-", "−") if float(shown) != 0.0 else pattern.replace("+", "").format(0.0)
        colour = "white" if abs(value) > 0.6 * reach else "#222222"
        axes.text(column, row, shown, ha="center", va="center", fontsize=8, color=colour)
    return image
