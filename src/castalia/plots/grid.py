"""Axes in rows and columns without a ratio panel: how figures of one curve a panel are laid out."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from castalia.plots.style import STRIP, new_figure, place

__all__ = ["axes_grid"]


def axes_grid(count: int, height: float, tag: str, single: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Make a figure with ``count`` axes, three in a row.

    Args:
        count: Number of axes, at least 1.
        height: Inches of one axes, labels included, where there are several; its width is 4.7.
        tag: Words after the program's name.
        single: Width and height in inches where there is one only.
    """
    columns = min(count, 3)
    rows = -(-count // columns)
    width, height = single if count == 1 else (4.7, height)
    figure = new_figure(width * columns, height * rows + STRIP, tag)
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        floor = (rows - 1 - row) * height + 0.58
        axes.append(place(figure, column * width + 0.86, floor, width - 1.08, height - 0.68))
        axes[-1].locator_params(axis="x", nbins=6)  # of labels such as 104.5 no more fit side by side
    return figure, axes
