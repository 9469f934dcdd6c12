"""Figures of pixel events: occupancy sensor by sensor, maps of the unrolled layers, spectra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.grid import axes_grid
from castalia.plots.style import MODELS, TARGET, drawing, new_figure, place

__all__ = ["PixelSpectrum", "occupancy_figure", "occupancy_maps", "spectra_figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PixelSpectrum:
    """A distribution on a logarithmic scale, with marks where a reference has its quantiles.

    Attributes:
        label: Name of the axis.
        edges: Bin edges, shape ``(bins + 1,)``.
        density: Fraction of the entries in each bin over its width, shape ``(bins,)``.
        marks: Positions of vertical lines, empty for none.
    """

    label: str
    edges: Floats
    density: Floats
    marks: tuple[float, ...] = ()


def occupancy_figure(found: Floats, error: Floats, reference: Floats, tag: str = "") -> Figure:
    """Draw the mean occupancy of every sensor with its error, beside a reference where there is one.

    Args:
        found: Occupancies in per cent, shape ``(sensors,)``.
        error: Their standard errors, same shape.
        reference: Occupancies of the reference, same shape; NaN where it says nothing.
        tag: Words after the program's name.

    Raises:
        DataError: If the shapes differ.
    """
    if not found.shape == error.shape == reference.shape:
        raise DataError(f"Occupancies of shapes {found.shape}, {error.shape} and {reference.shape} are not one figure.")
    with drawing():
        figure, (axes,) = axes_grid(1, 4.2, tag, (8.6, 4.2))
        place_of = np.arange(len(found))
        known = np.isfinite(reference)
        axes.plot(place_of[known], reference[known], "_", color=TARGET, markersize=14, label="Reference")
        axes.errorbar(place_of, found, error, fmt="o", color=MODELS[0], markersize=4, label="Simulated")
        axes.set_xlabel("Sensor, by layer, ladder and number")
        axes.set_ylabel("Occupancy [%]")
        axes.set_ylim(0.0, 1.15 * max(found.max(), reference[known].max(initial=0.0)))
        axes.legend()
    return figure


def occupancy_maps(maps: Sequence[Floats], labels: Sequence[str], tag: str = "") -> Figure:
    """Draw layers side by side, unrolled: the position along the beam to the right, the azimuth upwards.

    Args:
        maps: For each layer the occupancy in per cent, shape ``(rows, columns)``.
        labels: For each layer its name.
        tag: Words after the program's name.

    Raises:
        DataError: If there is no map, or not a label for each.
    """
    if not maps or len(maps) != len(labels):
        raise DataError(f"{len(maps)} maps and {len(labels)} labels are not one figure; give one label a map.")
    with drawing():
        figure = new_figure(5.2 * len(maps), 4.9, tag)
        for number, (one, label) in enumerate(zip(maps, labels, strict=True)):
            axes = place(figure, 0.7 + 5.2 * number, 0.65, 3.55, 3.5)
            picture = axes.imshow(one, origin="lower", aspect="auto", vmin=0.0, cmap="viridis")
            axes.set_title(label)
            axes.set_xlabel("Along the beam (backward to forward)")
            axes.set_ylabel("Ladder, cells u within")
            axes.minorticks_off()
            bar = figure.colorbar(picture, cax=place(figure, 4.35 + 5.2 * number, 0.65, 0.13, 3.5))
            bar.set_label("Occupancy [%]")
    return figure


def spectra_figure(spectra: Sequence[PixelSpectrum], tag: str = "") -> Figure:
    """Draw distributions side by side.

    Args:
        spectra: What to draw.
        tag: Words after the program's name.

    Raises:
        DataError: If there is none, or a density does not fit its edges.
    """
    if not spectra or any(len(one.density) + 1 != len(one.edges) for one in spectra):
        raise DataError("A figure of spectra needs at least one, with one bin edge more than densities in each.")
    with drawing():
        figure, every = axes_grid(len(spectra), 4.0, tag, (6.2, 4.2))
        for axes, one in zip(every, spectra, strict=True):
            axes.stairs(one.density, one.edges, color=MODELS[0], linewidth=1.4)
            for mark in one.marks:
                axes.axvline(mark, color=TARGET, linestyle=":", linewidth=0.9)
            axes.set_yscale("log")
            axes.set_xlabel(one.label)
            axes.set_ylabel("Fraction of entries per unit")
    return figure
