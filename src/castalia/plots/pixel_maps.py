"""Occupancy against azimuth and the direction along the beam: truth, sampled and their ratio, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from castalia.errors import DataError
from castalia.plots.style import drawing, new_figure, place

__all__ = ["direction_figure"]

Floats = NDArray[np.float64]

_SPANS = (0.05, 0.1, 0.2, 0.5, 1.0)
_STEP, _WIDTH, _HEIGHT = 5.15, 3.45, 2.55


def direction_figure(
    layers: Sequence[tuple[Floats, Floats]],
    names: Sequence[str],
    extents: Sequence[tuple[float, float]],
    kinds: tuple[str, str] = ("Truth", "Sampled"),
    tag: str = "",
) -> Figure:
    """Draw maps of the layers, one row a layer.

    Args:
        layers: For each layer the hits an event of both samples, shape ``(azimuths, directions)``.
        names: Names of the layers.
        extents: For each layer where the maps begin and end along the beam, in mm.
        kinds: Names of the samples.
        tag: Words after the program's name.

    Raises:
        DataError: If maps differ in shape, or there is not a name and an extent for each.
    """
    if not layers or not len(layers) == len(names) == len(extents) or any(a.shape != b.shape for a, b in layers):
        raise DataError("Maps of directions need a name and an extent for each layer, and two maps of one shape.")
    with drawing():
        row = _HEIGHT + 0.95
        figure = new_figure(3.0 * _STEP, row * len(layers) + 0.35, tag)
        for number, (maps, name, extent) in enumerate(zip(layers, names, extents, strict=True)):
            floor = (len(layers) - 1 - number) * row + 0.58
            true, made = (np.ma.masked_less_equal(one, 0.0) for one in maps)
            ratio = np.ma.masked_invalid(np.divide(maps[1], maps[0], out=np.full(true.shape, np.nan),
                                                   where=maps[0] > 0.3 * maps[0].max()))  # fmt: skip
            reach = float(np.quantile(np.abs(ratio.compressed() - 1.0), 0.98)) if ratio.count() else 0.05
            span = next((one for one in _SPANS if one >= reach), _SPANS[-1])
            top = float(max(maps[0].max(), maps[1].max()))
            pictures = (
                (true, f"{kinds[0]}, {name}", "viridis", 0.0, top, "Hits per event and cell"),
                (made, f"{kinds[1]}, {name}", "viridis", 0.0, top, "Hits per event and cell"),
                (ratio, f"{kinds[1]} / {kinds[0].lower()}", "RdBu_r", 1.0 - span, 1.0 + span, "Ratio"),
            )
            for column, (shown, title, colours, low, high, label) in enumerate(pictures):
                axes = place(figure, 0.72 + _STEP * column, floor, _WIDTH, _HEIGHT)
                image = axes.imshow(
                    shown, origin="lower", aspect="auto", cmap=colours, vmin=low, vmax=high, interpolation="none",
                    extent=(*extent, -np.pi, np.pi),
                )  # fmt: skip
                axes.set_title(title, fontsize=10.5)
                axes.set_xlabel("$z$ [mm]")
                axes.set_ylabel(r"$\phi$ [rad]", labelpad=1.0)
                axes.tick_params(which="both", direction="out", top=False, right=False)
                bar = figure.colorbar(image, cax=place(figure, 0.72 + _STEP * column + _WIDTH + 0.1, floor, 0.13,
                                                       _HEIGHT))  # fmt: skip
                bar.set_label(label, labelpad=2.0)
    return figure
