"""Figures of an evaluation of pixel events: images, occupancy, spectra, correlations, counts, impact parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.pixels.gathered import Gathered
from castalia.apps.pixels.judging import SPECTRA, Judgement, profiles
from castalia.detectors.pxd.geometry import LAYERS, SENSOR_LADDER, SENSOR_LAYER, SENSOR_NUMBER
from castalia.metrics.pixels.impact import Overlaid, overlay
from castalia.metrics.pixels.pairs import PAIR_EDGES, pair_correlation
from castalia.metrics.pixels.shared import PHI_BINS, Z_BINS, Z_REACH
from castalia.metrics.pixels.spectra import spectrum
from castalia.metrics.pixels.summary import PixelSummary
from castalia.plots.export import Figure, save
from castalia.plots.pixel_correlation import sensor_correlations
from castalia.plots.pixel_curves import Curve, CurvePanel, curve_figure
from castalia.plots.pixel_images import sensor_images
from castalia.plots.pixel_maps import direction_figure
from castalia.reports.document import FigureItem

__all__ = ["draw_figures"]

_SHOWN: Final = (0, 16)  # sensors whose images are drawn: the first of either layer
_NAMES: Final = ("Truth", "Sampled")
_LAYERS: Final = ("layer 1", "layer 2")
_COARSE: Final = 2  # azimuths that share a cell of a map
_SPECTRUM_ENDS: Final = {"charge": 200, "size": 32, "size_u": 24, "size_v": 32, "cluster_charge": 200}
_MERGED: Final = {"charge": 4, "cluster_charge": 5}  # intervals of a spectrum that share a bin of the figure

Floats = NDArray[np.float64]


def draw_figures(
    folder: Path,
    truth: Gathered,
    made: Gathered,
    judged: Judgement,
    condition: Floats,
    names: tuple[str, ...],
    seed: int,
) -> dict[str, FigureItem]:
    """Draw and write every figure.

    Args:
        folder: Where to.
        truth: True events.
        made: Sampled events.
        judged: What was measured of them.
        condition: Conditions, shape ``(events, conditions)``.
        names: Their names.
        seed: Of the tracks.

    Returns:
        The figures by name.
    """
    drawn: dict[str, tuple[Callable[[], Figure], str, str]] = {
        "images": (lambda: _images(truth, made), "Two sensors of the first event: charge of every pixel.",
                   "images of sensors, true above sampled"),
        "occupancy": (lambda: _occupancy(truth.summary, made.summary), "Mean occupancy of every sensor.",
                      "occupancy by sensor with ratio"),
        "directions": (lambda: _directions(truth.summary, made.summary),
                       "Hits by azimuth and position along the beam.", "maps of both layers and their ratio"),
        "profiles": (lambda: _profiles(truth.summary, made.summary), "Hits by azimuth and along the beam.",
                     "profiles in phi and z with ratio"),
        "spectra": (lambda: _spectra(truth, made),
                    "Charge, size and shape of pixels and clusters, and pairs of hits of a sensor by their distance.",
                    "spectra with ratio"),
        "correlations_all": (lambda: _matrix(judged, "all"), "Rank correlations of the occupancy of sensors.",
                             "two matrices and their difference"),
        "correlations_given": (lambda: _matrix(judged, "given"),
                               "The same without what the conditions explain of the occupancy.",
                               "two matrices and their difference"),
        "impact": (lambda: _impact(truth.overlaid, made.overlaid, seed),
                   "Impact parameters of tracks under the background; dashed without.",
                   "distributions of d0 and z0 residuals with ratio"),
    }  # fmt: skip
    for column, name in enumerate(names):
        if np.ptp(condition[:, column]) > 0.0:
            drawn[f"counts_{name}"] = (
                lambda column=column, name=name: _counts(truth.summary, made.summary, condition[:, column], name),
                f"Hits of a layer against {name}.", f"counts against {name} with ratio",
            )  # fmt: skip
    return {
        name: FigureItem(save(draw(), folder, name)[0], caption, alt) for name, (draw, caption, alt) in drawn.items()
    }


def _images(truth: Gathered, made: Gathered) -> Figure:
    columns = [
        f"Sensor {SENSOR_LAYER[i]}.{SENSOR_LADDER[i]}.{SENSOR_NUMBER[i]}" for i in _SHOWN
    ]
    return sensor_images([[one.image[i] for i in _SHOWN] for one in (truth, made)], _NAMES, columns)


def _mean(label: str, counts: NDArray, scale: float = 1.0) -> Curve:
    values = np.asarray(counts, dtype=np.float64) * scale
    return Curve(label, values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def _occupancy(true: PixelSummary, made: PixelSummary) -> Figure:
    per_cent = 100.0 / (250 * 768)
    panels = []
    for layer in (1, 2):
        mine = SENSOR_LAYER == layer
        curves = (_mean(name, one.occupancy[:, mine], per_cent) for name, one in zip(_NAMES, (true, made), strict=True))
        edges = np.flatnonzero(mine)[0] - 0.5 + np.arange(mine.sum() + 1.0)
        panels.append(CurvePanel("Sensor", "", "Occupancy [%]", edges, *curves, points=True, note=f"Layer {layer}"))
    return curve_figure(panels, 2)


def _directions(true: PixelSummary, made: PixelSummary) -> Figure:
    def maps(one: PixelSummary, layer: int) -> Floats:
        summed: Floats = one.maps[:, layer].mean(axis=0).reshape(PHI_BINS // _COARSE, _COARSE, Z_BINS).sum(axis=1)
        return summed

    layers, extents = [], []
    for layer in (0, 1):
        one, other = maps(true, layer), maps(made, layer)
        edges, own = _along_beam(layer, one.sum(axis=0))
        layers.append((one[:, own], other[:, own]))
        extents.append((float(edges[0]), float(edges[-1])))
    return direction_figure(layers, _LAYERS, extents, _NAMES)


def _along_beam(layer: int, counts: NDArray) -> tuple[Floats, slice]:
    """Return the edges in mm of those intervals along the beam where a layer has silicon, and which these are."""
    filled = np.flatnonzero(counts > 1e-3 * counts.sum())
    own = slice(int(filled[0]), int(filled[-1]) + 1)
    scale = LAYERS[layer].distance / LAYERS[0].distance
    return scale * np.linspace(-Z_REACH, Z_REACH, len(counts) + 1)[own.start : own.stop + 1], own


def _profiles(true: PixelSummary, made: PixelSummary) -> Figure:
    here, there = profiles(true), profiles(made)
    panels = []
    for layer in (0, 1):
        phi = [_mean(name, one["phi"][:, layer]) for name, one in zip(_NAMES, (here, there), strict=True)]
        edges = np.linspace(-np.pi, np.pi, len(phi[0].value) + 1)
        note = f"Layer {layer + 1}"
        panels.append(CurvePanel(r"$\phi$", "rad", "Hits per event", edges, *phi, note=note))
        edges, own = _along_beam(layer, here["z"][:, layer].sum(axis=0))
        z = [_mean(name, one["z"][:, layer, own]) for name, one in zip(_NAMES, (here, there), strict=True)]
        panels.append(CurvePanel("$z$", "mm", "Hits per event", edges, *z, note=note))
    return curve_figure(panels, 2)


def _spectra(truth: Gathered, made: Gathered) -> Figure:
    panels = []
    for name, (what, unit, width) in SPECTRA.items():
        end, step = _SPECTRUM_ENDS[name], _MERGED.get(name, 1)
        curves = []
        for label, one in zip(_NAMES, (truth.summary, made.summary), strict=True):
            counts = getattr(one, name)
            last = np.where(np.arange(counts.shape[1]) < end, counts, 0)
            last[:, end - 1] = counts[:, end - 1 :].sum(axis=1)
            found = spectrum(last[:, :end].reshape(len(counts), -1, step).sum(axis=2))
            curves.append(Curve(label, found.value, found.error))
        edges = step * width * np.arange(end // step + 1.0) - (0.0 if unit == "ADU" else 0.5)
        if unit != "ADU":  # no cluster is empty
            edges, curves = edges[1:], [Curve(one.label, one.value[1:], one.error[1:]) for one in curves]
        label = (what[0].upper() + what[1:]).replace("along u", "along $u$").replace("along v", "along $v$")
        whole = "pixels" if name == "charge" else "clusters"
        panels.append(
            CurvePanel(label, unit, f"Fraction of {whole} per bin", edges, *curves, log="y",
                       note="Last bin includes overflow")
        )  # fmt: skip
    pairs = (Curve(name, *pair_correlation(one.pairs)) for name, one in zip(_NAMES, (truth, made), strict=True))
    panels.append(
        CurvePanel("Distance of hits", "mm", "Pairs / pairs of different events", PAIR_EDGES, *pairs, log="xy",
                   note="Of one sensor")
    )  # fmt: skip
    return curve_figure(panels, 3)


def _matrix(judged: Judgement, name: str) -> Figure:
    one = judged.relations[name]
    groups = {f"Layer {layer}": int((SENSOR_LAYER == layer).sum()) for layer in (1, 2)}
    return sensor_correlations(one.truth, one.made, groups, _NAMES)


def _counts(true: PixelSummary, made: PixelSummary, values: Floats, name: str) -> Figure:
    bins = int(np.clip(len(values) // 25, 3, 10))
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, bins + 1)))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    panels = []
    for layer in (1, 2):
        curves = []
        for label, one in zip(_NAMES, (true, made), strict=True):
            hits = one.occupancy[:, SENSOR_LAYER == layer].sum(axis=1) * 1e-3
            parts = [_mean(label, hits[place == i][:, None]) for i in range(len(edges) - 1)]
            curves.append(Curve(label, *(np.concatenate([getattr(part, what) for part in parts])
                                         for what in ("value", "error"))))  # fmt: skip
        panels.append(
            CurvePanel(name.replace("_", " ").capitalize(), "", "Thousand hits per event", edges, *curves, points=True,
                       note=f"Layer {layer}")
        )  # fmt: skip
    return curve_figure(panels, 2)


def _impact(truth: Overlaid, made: Overlaid, seed: int) -> Figure:
    alone = overlay(None, len(truth.d0), 0, seed)
    panels = []
    for name, symbol in (("d0", "d_0"), ("z0", "z_0")):
        edges = np.linspace(-0.8, 0.8, 33)
        curves = []
        for label, one in zip((*_NAMES, "No background"), (truth, made, alone), strict=True):
            residual = np.clip(getattr(one, name), edges[0], edges[-1])
            counts = np.stack([np.histogram(event, edges)[0] for event in residual])
            found = spectrum(counts)
            curves.append(Curve(label, found.value, found.error))
        panels.append(
            CurvePanel(f"Measured $-$ true ${symbol}$", "mm", "Fraction of tracks per bin", edges, *curves, log="y",
                       note="Outer bins include overflow")
        )  # fmt: skip
    return curve_figure(panels, 2)
