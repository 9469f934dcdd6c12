"""The confusion matrix: where the events of each class are put."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import STRIP, drawing, longest_name, new_figure, place

__all__ = ["confusion_figure"]


def confusion_figure(
    names: Sequence[str], share: NDArray[np.float64], error: NDArray[np.float64], tag: str = ""
) -> Figure:
    """Draw the matrix with its numbers and errors, each row adding up to one.

    Args:
        names: Names of the classes, mathematics allowed.
        share: Share of the events of true class i that is put into class j, shape ``(classes, classes)``.
        error: Its standard error, same shape.
        tag: Words after the program's name.

    Raises:
        DataError: If a matrix does not fit the names.
    """
    count = len(names)
    if not count or share.shape != (count, count) or error.shape != (count, count):
        raise DataError(f"matrices of shapes {share.shape} and {error.shape} for {count} classes; give one row each.")
    longest = longest_name(names)
    size, left, bottom = max(2.6, 1.05 * count), 0.65 + 0.085 * longest, 0.55 + 0.06 * longest
    with drawing():
        figure = new_figure(left + size + 1.0, bottom + size + 0.12 + STRIP, tag)
        axes = place(figure, left, bottom, size, size)
        image = axes.imshow(100.0 * share, vmin=0.0, vmax=100.0, cmap="Blues", aspect="auto")
        bar = figure.colorbar(image, cax=place(figure, left + size + 0.1, bottom, 0.13, size))
        bar.set_label("Share of the true class [%]", labelpad=2.0)
        for (true, chosen), value in np.ndenumerate(100.0 * share):
            axes.text(
                chosen, true, f"{value:.1f}\n± {100.0 * error[true, chosen]:.1f}", ha="center", va="center",
                fontsize=8.5, color="white" if value > 60.0 else "#222222",
            )  # fmt: skip
        axes.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(count), names)
        axes.minorticks_off()
        axes.tick_params(length=0)
        axes.set_xlabel("Most probable class")
        axes.set_ylabel("True class")
    return figure
