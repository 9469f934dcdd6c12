"""The page of ``detector_sanity.py``: a section a process, and one beside fully simulated events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.table import Table
from castalia.metrics.resolution import CoreWidth
from castalia.plots.efficiency import EfficiencyPanel, efficiency_grid
from castalia.plots.export import save
from castalia.plots.ratio import RatioPanel, Sample, ratio_grid
from castalia.reports.document import FigureItem, Report, Section, write_report
from castalia.reports.tables import TableItem, cell, measured
from detector_sanity_measures import Efficiency, Floats, Peak, flat


@dataclass(frozen=True)
class Process:
    """A process: its events, what was measured of them, and how fast they were made (events a second)."""

    name: str
    table: Table
    rate: float
    wall_rate: float
    bytes_per_event: float
    peaks: Mapping[str, Peak]
    efficiencies: Mapping[str, Efficiency]
    widths: Mapping[str, CoreWidth]


@dataclass(frozen=True)
class Beside:
    """One of two samples that are compared: spectra and fractions of the events with a hard muon."""

    label: str
    spectra: Mapping[str, Floats]
    fractions: Mapping[str, float]
    events: int


_SPECTRA: Mapping[str, tuple[str, str, NDArray[Any]]] = {
    "muon pt": (r"Hardest muon $p_T$", "GeV", np.linspace(26.0, 146.0, 25)),
    "muon eta": (r"Hardest muon $\eta$", "", np.linspace(-2.4, 2.4, 25)),
    "electron pt": (r"Electron $p_T$", "GeV", np.linspace(10.0, 130.0, 25)),
    "jet pt": (r"Jet $p_T$", "GeV", np.linspace(30.0, 180.0, 26)),
    "jets": ("Jets", "", np.arange(-0.5, 7.5)),
    "missing momentum": ("Missing momentum", "GeV", np.linspace(0.0, 150.0, 26)),
    "dilepton mass": ("Mass of two leptons", "GeV", np.linspace(0.0, 200.0, 21)),
}


def write_page(processes: Sequence[Process], compared: Sequence[Beside], folder: Path) -> Path:
    """Write ``folder/report.html`` with its figures beside it, and return where it is."""
    sections = [_section(one, folder / "figures") for one in processes]
    if compared:
        sections.append(_comparison(compared, folder / "figures"))
    rates = ", ".join(f"{one.name} {one.rate:.0f}" for one in processes)
    report = Report(
        "Collider events and their detector",
        f"Card cms-like, no multiparton interactions. Events a second of one core, Pythia to file: {rates}.",
        None,
        tuple(sections),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    write_report(report, path)
    return path


def _section(process: Process, folder: Path) -> Section:
    png, _ = save(ratio_grid(_spectra(process.table), tag=process.name), folder, f"{process.name}_spectra")
    panels = [_efficiency(name, one) for name, one in process.efficiencies.items() if np.isfinite(one.counted).any()]
    second, _ = save(efficiency_grid(panels, tag=process.name), folder, f"{process.name}_efficiencies")
    return Section(
        process.name,
        (f"{len(process.table)} events, {process.bytes_per_event:.0f} bytes each.",),
        (
            FigureItem(png, "What the detector has seen beside the truth it was made of.", "spectra and their ratios"),
            FigureItem(
                second,
                "Efficiencies counted, beside the card's formulas; of leptons the count includes isolation.",
                "efficiencies against pt and their ratios",
            ),
        ),
        (
            TableItem(
                "Peaks: medians and half of the interval that holds the middle 68 %",
                ("what", "median", "half width", "entries"),
                tuple(
                    (cell(name), measured(one.median, one.error, "GeV"), measured(one.half_width), cell(one.events))
                    for name, one in process.peaks.items()
                ),
            ),
            TableItem(
                "Widths of the core",
                ("what", "mean", "width", "entries"),
                tuple(
                    (cell(name), measured(one.mean), measured(one.width, one.error), cell(one.events))
                    for name, one in process.widths.items()
                ),
            ),
        ),
    )


def _spectra(table: Table) -> list[RatioPanel]:
    inside = {
        name: (table[f"truth_{name}_pt"] > pt) & (abs(table[f"truth_{name}_eta"]) < 2.5)
        for name, pt in (("jet", 25.0), ("lepton", 20.0))
    }

    def true(name: str, key: str) -> Floats:
        return np.asarray(ak.to_numpy(ak.flatten(table[f"truth_{name}_{key}"][inside[name]])), dtype=np.float64)

    def seen(name: str, key: str) -> Floats:
        return flat(table, f"{name}_{key}").astype(np.float64)

    def leptons(key: str) -> Floats:
        return np.concatenate([seen("electron", key), seen("muon", key)])

    def count(name: str) -> Floats:
        number = ak.sum(inside["jet"], axis=1) if name == "truth_jet" else ak.num(table[f"{name}_pt"])
        return np.asarray(ak.to_numpy(number), dtype=np.float64)

    rows = (
        ("Jet", r"$p_T$", "GeV", np.linspace(25.0, 265.0, 25), true("jet", "pt"), seen("jet", "pt")),
        ("Jet", r"$\eta$", "", np.linspace(-2.5, 2.5, 26), true("jet", "eta"), seen("jet", "eta")),
        ("Jets", "", "", np.arange(-0.5, 10.5), count("truth_jet"), count("jet")),
        ("Lepton", r"$p_T$", "GeV", np.linspace(20.0, 140.0, 25), true("lepton", "pt"), leptons("pt")),
        (
            "Lepton", r"$\eta$", "", np.linspace(-2.5, 2.5, 26), true("lepton", "eta"), leptons("eta"),
        ),
        ("Missing momentum", "", "GeV", np.linspace(0.0, 200.0, 26), table["truth_met_pt"], table["met_pt"]),
    )  # fmt: skip
    return [
        RatioPanel(Sample("Truth", true), (Sample("Detector", found),), edges, f"{name} {key}".strip(), unit)
        for name, key, unit, edges, true, found in rows
    ]


def _efficiency(name: str, one: Efficiency) -> EfficiencyPanel:
    known = np.isfinite(one.counted)
    low, high = int(np.argmax(known)), len(known) - int(np.argmax(known[::-1]))
    bins = slice(low, high)
    return EfficiencyPanel(
        rf"$p_T$ ({name})", "GeV", one.edges[low : high + 1], one.counted[bins], one.error[bins], one.card[bins]
    )


def _comparison(compared: Sequence[Beside], folder: Path) -> Section:
    target, other = compared
    panels = [
        RatioPanel(
            Sample(target.label, target.spectra[name]), (Sample(other.label, other.spectra[name]),), edges, label, unit,
            fold=True,
        )
        for name, (label, unit, edges) in _SPECTRA.items()
    ]  # fmt: skip
    png, _ = save(ratio_grid(panels), folder, "beside_cms")
    return Section(
        "Beside fully simulated CMS events",
        (
            "Pairs of W bosons at 7 TeV, events with a muon above 26 GeV and within 2.1 in eta. The truth columns of "
            "the CMS file are all zero, so its efficiencies and resolutions cannot be measured one by one; spectra, "
            "multiplicities and missing momentum contain them.",
            "The generators may differ as well: the file does not name its own, and here jets are of the shower alone.",
        ),
        (FigureItem(png, "CMS full simulation beside the card.", "spectra and their ratios"),),
        (
            TableItem(
                "Fractions of the events",
                ("what", *(one.label for one in compared)),
                tuple(
                    (
                        cell(name),
                        *(
                            measured(one.fractions[name], _binomial(one.fractions[name], one.events))
                            for one in compared
                        ),
                    )
                    for name in target.fractions
                ),
            ),
        ),
    )


def _binomial(fraction: float, events: int) -> float:
    return float(np.sqrt(max(fraction * (1.0 - fraction), 1.0 / events) / events))
