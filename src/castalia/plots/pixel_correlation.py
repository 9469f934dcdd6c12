"""Rank correlations of all sensors of an event: truth, sampled, difference."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import STRIP, drawing, new_figure, place

__all__ = ["sensor_correlations"]

_SIZE, _STEP = 3.5, 5.15
_REACHES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def sensor_correlations(
    truth: NDArray[np.float64],
    made: NDArray[np.float64],
    groups: dict[str, int],
    kinds: tuple[str, str] = ("Truth", "Sampled"),
    tag: str = "",
) -> Figure:
    """Draw two matrices and their difference; lines part the groups of sensors.

    Args:
        truth: Correlations of the true events, shape ``(sensors, sensors)``.
        made: Those of the sampled events, same shape.
        groups: Number of sensors by the name of the group, in order.
        kinds: Names of the samples.
        tag: Words after the program's name.

    Raises:
        DataError: If the shapes differ, or the groups do not hold all sensors.
    """
    sensors = len(truth)
    if truth.shape != (sensors, sensors) or made.shape != truth.shape or sum(groups.values()) != sensors:
        raise DataError(f"Correlations of shapes {truth.shape} and {made.shape} are not one figure of {groups}.")
    off = ~np.eye(sensors, dtype=np.bool_)
    difference = made - truth
    largest = float(np.abs(np.stack([truth, made])[:, off]).max())
    reach = next((one for one in _REACHES if one >= largest), 1.0)
    apart = next((one for one in _REACHES if one >= float(np.abs(difference[off]).max())), 2.0)
    panels = (
        (truth, kinds[0], reach, "Rank correlation"),
        (made, kinds[1], reach, "Rank correlation"),
        (difference, f"{kinds[1]} $-$ {kinds[0].lower()}", apart, "Difference"),
    )
    with drawing():
        figure = new_figure(3.0 * _STEP, _SIZE + 1.05 + STRIP, tag)
        for column, (matrix, title, limit, label) in enumerate(panels):
            axes = place(figure, 0.72 + _STEP * column, 0.62, _SIZE, _SIZE)
            shown = np.ma.masked_array(matrix, mask=~off)
            image = axes.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="none", origin="lower")
            axes.set_title(title, fontsize=10.5, pad=16.0)
            axes.set_xlabel("Sensor")
            axes.set_ylabel("Sensor", labelpad=1.0)
            axes.tick_params(which="both", direction="out", top=False, right=False)
            start = 0
            for name, number in groups.items():
                if start:
                    axes.axhline(start - 0.5, color="black", linewidth=0.7)
                    axes.axvline(start - 0.5, color="black", linewidth=0.7)
                axes.text(start + 0.5 * number - 0.5, sensors - 0.2, name, ha="center", va="bottom", fontsize=8.5)
                start += number
            bar = figure.colorbar(image, cax=place(figure, 0.72 + _STEP * column + _SIZE + 0.1, 0.62, 0.13, _SIZE))
            bar.set_label(label, labelpad=2.0)
    return figure
