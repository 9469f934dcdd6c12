"""Figures of an evaluation of pixel events: images, occupancy, spectra, correlations, counts, impact parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.pixels.gathered import Gathered
from castalia.apps.pixels.judging import SPECTRA, Judgement, profiles
from castalia.detectors.pxd.geometry import LAYERS, SENSOR_LADDER, SENSOR_LAYER, SENSOR_NUMBER, U_CELLS, V_CELLS
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
    true, sampled = truth.summary, made.summary
    drawn: dict[str, tuple[Callable[[], Figure], str, str]] = {
        "images": (partial(_images, truth, made), "Two sensors of the first event: charge of every pixel.",
                   "images of sensors, true above sampled"),
        "occupancy": (partial(_occupancy, true, sampled), "Mean occupancy of every sensor.",
                      "occupancy by sensor with ratio"),
        "directions": (partial(_directions, true, sampled), "Hits by azimuth and position along the beam.",
                       "maps of both layers and their ratio"),
        "profiles": (partial(_profiles, true, sampled), "Hits by azimuth and along the beam.",
                     "profiles in phi and z with ratio"),
        "spectra": (partial(_spectra, truth, made),
                    "Charge, size and shape of pixels and clusters, and pairs of hits of a sensor by their distance.",
                    "spectra with ratio"),
        "correlations_all": (partial(_matrix, judged, "all"), "Rank correlations of the occupancy of sensors.",
                             "two matrices and their difference"),
        "correlations_given": (partial(_matrix, judged, "given"),
                               "The same without what the conditions explain of the occupancy.",
                               "two matrices and their difference"),
        "impact": (partial(_impact, truth.overlaid, made.overlaid, seed),
                   "Impact parameters of tracks under the background; dashed without.",
                   "distributions of d0 and z0 residuals with ratio"),
    }  # fmt: skip
    for name, values in zip(names, condition.T, strict=True):
        if np.ptp(values) > 0.0:
            drawn[f"counts_{name}"] = (
                partial(_counts, true, sampled, values, name),
                f"Hits of a layer against {name}.",
                f"counts against {name} with ratio",
            )
    return {
        name: FigureItem(save(draw(), folder, name)[0], caption, alt) for name, (draw, caption, alt) in drawn.items()
    }


def _images(truth: Gathered, made: Gathered) -> Figure:
    columns = [f"Sensor {SENSOR_LAYER[i]}.{SENSOR_LADDER[i]}.{SENSOR_NUMBER[i]}" for i in _SHOWN]
    return sensor_images([[one.image[i] for i in _SHOWN] for one in (truth, made)], _NAMES, columns)


def _mean(label: str, counts: NDArray[Any]) -> Curve:
    values = np.asarray(counts, dtype=np.float64)
    return Curve(label, values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def _means(true: NDArray[Any], made: NDArray[Any]) -> tuple[Curve, ...]:
    return tuple(_mean(name, one) for name, one in zip(_NAMES, (true, made), strict=True))


def _occupancy(true: PixelSummary, made: PixelSummary) -> Figure:
    per_cent = 100.0 / (U_CELLS * V_CELLS)
    panels = []
    for layer in (1, 2):
        mine = np.flatnonzero(SENSOR_LAYER == layer)
        curves = _means(per_cent * true.occupancy[:, mine], per_cent * made.occupancy[:, mine])
        edges = mine[0] - 0.5 + np.arange(len(mine) + 1.0)
        panels.append(CurvePanel("Sensor", "", "Occupancy [%]", edges, curves, points=True, note=f"Layer {layer}"))
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


def _along_beam(layer: int, counts: NDArray[Any]) -> tuple[Floats, slice]:
    """Return the edges in mm of those intervals along the beam where a layer has silicon, and which these are."""
    filled = np.flatnonzero(counts > 1e-3 * counts.sum())
    own = slice(int(filled[0]), int(filled[-1]) + 1)
    scale = LAYERS[layer].distance / LAYERS[0].distance
    return scale * np.linspace(-Z_REACH, Z_REACH, len(counts) + 1)[own.start : own.stop + 1], own


def _profiles(true: PixelSummary, made: PixelSummary) -> Figure:
    here, there = profiles(true), profiles(made)
    panels = []
    for layer in (0, 1):
        note = f"Layer {layer + 1}"
        phi = _means(here["phi"][:, layer], there["phi"][:, layer])
        edges = np.linspace(-np.pi, np.pi, len(phi[0].value) + 1)
        panels.append(CurvePanel(r"$\phi$", "rad", "Hits per event", edges, phi, note=note))
        edges, own = _along_beam(layer, here["z"][:, layer].sum(axis=0))
        z = _means(here["z"][:, layer, own], there["z"][:, layer, own])
        panels.append(CurvePanel("$z$", "mm", "Hits per event", edges, z, note=note))
    return curve_figure(panels, 2)


def _spectra(truth: Gathered, made: Gathered) -> Figure:
    panels = [_spectrum(truth.summary, made.summary, name) for name in SPECTRA]
    pairs = tuple(Curve(name, *pair_correlation(one.pairs)) for name, one in zip(_NAMES, (truth, made), strict=True))
    label = "Pairs / pairs of different events"
    panels.append(CurvePanel("Distance of hits", "mm", label, PAIR_EDGES, pairs, log="xy", note="Of one sensor"))
    return curve_figure(panels, 3)


def _spectrum(true: PixelSummary, made: PixelSummary, name: str) -> CurvePanel:
    what, unit, width = SPECTRA[name]
    end, step = _SPECTRUM_ENDS[name], _MERGED.get(name, 1)
    edges, first = step * width * np.arange(end // step + 1.0), 0
    if step == 1:  # whole numbers, and no cluster is empty
        edges, first = edges[1:] - 0.5, 1
    curves = []
    for label, one in zip(_NAMES, (true, made), strict=True):
        counts = getattr(one, name)
        folded = np.column_stack([counts[:, : end - 1], counts[:, end - 1 :].sum(axis=1)])
        found = spectrum(folded.reshape(len(counts), -1, step).sum(axis=2))
        curves.append(Curve(label, found.value[first:], found.error[first:]))
    title = (what[0].upper() + what[1:]).replace("along u", "along $u$").replace("along v", "along $v$")
    y = f"Fraction of {'pixels' if name == 'charge' else 'clusters'} per bin"
    return CurvePanel(title, unit, y, edges, tuple(curves), log="y", note="Last bin includes overflow")


def _matrix(judged: Judgement, name: str) -> Figure:
    one = judged.relations[name]
    groups = {f"Layer {layer}": int((SENSOR_LAYER == layer).sum()) for layer in (1, 2)}
    return sensor_correlations(one.truth, one.made, groups, _NAMES)


def _counts(true: PixelSummary, made: PixelSummary, values: Floats, name: str) -> Figure:
    bins = int(np.clip(len(values) // 25, 3, 10))
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, bins + 1)))
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    label, y = name.replace("_", " ").capitalize(), "Thousand hits per event"
    panels = []
    for layer in (1, 2):
        curves = []
        for kind, one in zip(_NAMES, (true, made), strict=True):
            hits = one.occupancy[:, SENSOR_LAYER == layer].sum(axis=1) * 1e-3
            parts = [_mean(kind, hits[place == i]) for i in range(len(edges) - 1)]
            curves.append(Curve(kind, *(np.array([getattr(one, of) for one in parts]) for of in ("value", "error"))))
        panels.append(CurvePanel(label, "", y, edges, tuple(curves), points=True, note=f"Layer {layer}"))
    return curve_figure(panels, 2)


def _impact(truth: Overlaid, made: Overlaid, seed: int) -> Figure:
    samples = (truth, made, overlay(None, len(truth.d0), 0, seed))
    edges, y = np.linspace(-0.8, 0.8, 33), "Fraction of tracks per bin"
    panels = []
    for name, symbol in (("d0", "d_0"), ("z0", "z_0")):
        curves = []
        for label, one in zip((*_NAMES, "No background"), samples, strict=True):
            residual = np.clip(getattr(one, name), edges[0], edges[-1])
            found = spectrum(np.stack([np.histogram(event, edges)[0] for event in residual]))
            curves.append(Curve(label, found.value, found.error))
        title = f"Measured $-$ true ${symbol}$"
        panels.append(CurvePanel(title, "mm", y, edges, tuple(curves), log="y", note="Outer bins include overflow"))
    return curve_figure(panels, 2)
