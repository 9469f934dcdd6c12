"""Images of pixel sensors, true above sampled: the charge of every pixel on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import drawing, new_figure, place

__all__ = ["sensor_images"]

_WIDTH, _HEIGHT = 4.4, 1.75  # inches of one image
_RANGE = (7.0, 255.0)
_COLOURS = ListedColormap(colormaps["viridis_r"](np.linspace(0.2, 1.0, 256)))  # yellow would be lost on white
_DOT = 2  # pixels along u and v that share a dot with the largest charge, so that single hits can be seen


def sensor_images(
    rows: Sequence[Sequence[NDArray[Any]]], labels: Sequence[str], columns: Sequence[str], tag: str = ""
) -> Figure:
    """Draw images in rows of equal kind.

    Args:
        rows: Images of each row, of charges in ADU with zero for none, shape ``(cells along u, cells along v)``.
        labels: Name of every row, such as true and sampled.
        columns: Name of every column, such as the sensor.
        tag: Words after the program's name.

    Raises:
        DataError: If there are not a label for every row and a name for every column.
    """
    if not rows or len(rows) != len(labels) or any(len(row) != len(columns) for row in rows):
        raise DataError(f"{len(rows)} rows of images for {len(labels)} labels and {len(columns)} names; give one each.")
    left, bottom, gap, top = 1.0, 0.62, 0.14, 0.58
    across = left + len(columns) * (_WIDTH + gap) + 0.95
    with drawing():
        figure = new_figure(across, bottom + len(rows) * (_HEIGHT + gap) + top, tag)
        for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
            floor = bottom + (len(rows) - 1 - number) * (_HEIGHT + gap)
            for column, (picture, name) in enumerate(zip(row, columns, strict=True)):
                axes = place(figure, left + column * (_WIDTH + gap), floor, _WIDTH, _HEIGHT)
                image = _draw(axes, picture)
                if number == 0:
                    axes.set_title(name, fontsize=10.5)
                if column == 0:
                    axes.set_ylabel(f"{label}\nCell $u$")
                axes.tick_params(labelleft=column == 0, labelbottom=number == len(rows) - 1)
                if number == len(rows) - 1:
                    axes.set_xlabel("Cell $v$")
        height = len(rows) * (_HEIGHT + gap) - gap
        bar = figure.colorbar(image, cax=place(figure, across - 0.88, bottom, 0.13, height))
        bar.set_ticks([10, 20, 50, 100, 200], labels=["10", "20", "50", "100", "200"])
        bar.set_label("Charge [ADU]", labelpad=2.0)
    return figure


def _draw(axes: Axes, picture: NDArray[Any]) -> AxesImage:
    along_u, along_v = picture.shape
    even = picture[: along_u // _DOT * _DOT, : along_v // _DOT * _DOT]
    largest = even.reshape(along_u // _DOT, _DOT, along_v // _DOT, _DOT).max(axis=(1, 3)).astype(np.float64)
    shown = np.ma.masked_less_equal(largest, 0.0)
    image = axes.imshow(
        shown, origin="lower", aspect="auto", cmap=_COLOURS, norm=LogNorm(*_RANGE), interpolation="none",
        extent=(0.0, float(along_v), 0.0, float(along_u)),
    )  # fmt: skip
    axes.tick_params(which="both", direction="out", top=False, right=False)
    return image
