"""The page of ``pxd_sanity.py``: occupancies, maps and spectra beside the reference figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from castalia.detectors.pxd.geometry import U_CELLS, V_CELLS
from castalia.plots.export import save
from castalia.plots.pixels import PixelSpectrum, occupancy_figure, occupancy_maps, spectra_figure
from castalia.reports.document import FigureItem, Report, Section, write_report
from castalia.reports.tables import TableItem, cell, measured
from pxd_sanity_measures import LAYER_1, LEVELS, MAP_U, MAP_V, QUANTILES, Block, Floats


def write_page(blocks: Sequence[Block], values: Mapping[str, Any], folder: Path) -> Path:
    """Write ``folder/report.html`` with its figures beside it, and return where it is."""
    figures = folder / "figures"
    reference = np.concatenate([LAYER_1, np.full(24, np.nan)])
    occupancy = values["occupancy"]
    sensors, _ = save(occupancy_figure(occupancy["percent"], occupancy["error"], reference), figures, "occupancy")
    maps, _ = save(occupancy_maps(unrolled(blocks), ("Layer 1", "Layer 2")), figures, "maps")
    spectra, _ = save(spectra_figure(_spectra(blocks)), figures, "spectra")
    section = Section(
        "Events at the reference",
        (
            f"{values['events']} events by our own simulation, which is not Geant4. The reference is what the authors "
            "of IEA-GAN released; it says nothing of single sensors of layer 2.",
        ),
        (
            FigureItem(sensors, "Mean occupancy of every sensor.", "occupancy against sensor"),
            FigureItem(maps, "Occupancy of the unrolled layers.", "two maps"),
            FigureItem(spectra, "Charge, with the reference's quantiles dotted; cluster sizes.", "three spectra"),
        ),
        (_figures(values), _quantiles(values)),
    )
    rate = values["events_per_processor_second"]
    head = f"{rate['simulated']:.1f} events a second of one core, {rate['to_file']:.1f} through to a file."
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    write_report(Report("Pixel background", head, None, (section,)), path)
    return path


def unrolled(blocks: Sequence[Block]) -> tuple[Floats, Floats]:
    """Return the occupancy of both layers in per cent: rows by ladder and u, columns along the beam."""
    events = sum(len(one.occupancy) for one in blocks)
    share = 100.0 * np.sum([one.map for one in blocks], axis=0) / (events * U_CELLS * V_CELLS / (MAP_U * MAP_V))
    # v counts from the outer ends: of the forward sensor against the beam's axis, of the backward one along it.
    ladders = np.concatenate([share[1::2], share[0::2, :, ::-1]], axis=2)
    return ladders[:8].reshape(8 * MAP_U, -1), ladders[8:].reshape(12 * MAP_U, -1)


def _spectra(blocks: Sequence[Block]) -> list[PixelSpectrum]:
    charges = np.sum([one.charges for one in blocks], axis=0).astype(np.float64)
    found = [PixelSpectrum("Charge [ADU]", np.arange(257.0), charges / charges.sum(), tuple(QUANTILES))]
    for name, label in (("size", "Pixels in a cluster"), ("size_v", "Cells of a cluster along v")):
        sizes = np.concatenate([getattr(one.clusters, name) for one in blocks])
        edges = np.arange(0.5, 41.0)
        found.append(PixelSpectrum(label, edges, np.histogram(sizes, edges)[0] / len(sizes)))
    return found


def _figures(values: Mapping[str, Any]) -> TableItem:
    rows = (
        (cell(name.replace("_", " ")), measured(one["value"], one["error"])) for name, one in values["figures"].items()
    )
    return TableItem("Figures", ("what", "value"), tuple(rows))


def _quantiles(values: Mapping[str, Any]) -> TableItem:
    rows = zip(LEVELS, values["charge_quantiles"]["found"], QUANTILES, strict=True)
    return TableItem(
        "Quantiles of the charge in ADU",
        ("level [%]", "simulated", "reference"),
        tuple((cell(100.0 * level), cell(found), cell(reference)) for level, found, reference in rows),
    )
