"""Do collider events and their detector look as they should? ``python benchmarks/detector_sanity.py [--quick]``.

Every process of ``castalia generate`` is made with the shipped ``cms-like`` card, without multiparton interactions,
from Pythia to a finished Parquet file in one process. Measured: events per second of processor time, peaks and widths
of the heavy particles in the truth and behind the detector, multiplicities, lepton and b-tag efficiencies beside the
card's formulas, widths of reconstructed over true. A page with the figures is written to ``build/detector_sanity``.

Beside it stand fully simulated CMS events, where ``../shared/data`` has them: W pairs at 7 TeV with 2011's pile-up, of
which the truth columns are all zero in this file, so that only reconstructed spectra, multiplicities, missing momentum
and pairs of leptons can be compared. The thresholds, jet radius and pile-up of the card are set to that sample's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from castalia.data.readers import open_reader
from castalia.data.table import Table
from castalia.detectors.parametric.card import Card, load_card
from castalia.physics.four_vectors import from_cartesian
from castalia.processes.collider import collider_blocks
from castalia.processes.hard import COLLIDER_PROCESSES, HardProcess
from castalia.production.collider import ColliderRequest, generate_collider, reconstructed
from detector_sanity_measures import (
    LEPTONS,
    dilepton_mass,
    lepton_efficiency,
    peaks,
    tag_efficiency,
    widths,
    worst_pull,
)
from detector_sanity_page import Beside, Process, write_page
from record import ROOT, Goal, write_result

PATHS = ["src/castalia", *(f"benchmarks/detector_sanity{part}.py" for part in ("", "_measures", "_page"))]
CMS_EVENTS = ROOT.parent / "shared" / "data" / "cms-open-data" / "heptutorial_ww.root"
PAGE = ROOT / "build" / "detector_sanity"
TRIGGER = {"pt": 26.0, "eta": 2.1}  # a muon as the sample's trigger asks for, behind its turn-on
TAGGED = 2.0  # of the sample's b-tag variable
W_PAIRS = HardProcess(
    "wpairs-7tev",
    1001,
    "pair of W bosons at 7 TeV",
    (
        "WeakDoubleBoson:ffbar2WW = on",
        "24:onMode = off",
        "24:onIfAny = 1 2 3 4 5 11 13 15",
        "Beams:idA = 2212",
        "Beams:idB = 2212",
        "Beams:eCM = 7000.",
        "PDF:pSet = 13",
        "ParticleDecays:limitTau0 = on",
        "ParticleDecays:tau0Max = 10.",
    ),
)


def make(process: HardProcess, events: int, folder: Path, card: Card) -> Process:
    """Generate a file of a process and measure it, and how long it takes."""
    path = folder / f"{process.name}.parquet"
    before, begin = time.process_time(), time.perf_counter()
    generate_collider(ColliderRequest(process, events, path))
    seconds, wall = time.process_time() - before, time.perf_counter() - begin
    with open_reader(path) as reader:
        table = next(reader.iterate(tuple(reader.columns()), events))
    efficiencies = {name: lepton_efficiency(table, card, name) for name in LEPTONS} | {
        f"{key} tags": tag_efficiency(table, card, flavour, key) for flavour, key in ((5, "b"), (4, "c"), (0, "light"))
    }
    return Process(
        process.name,
        table,
        rate=events / seconds,
        wall_rate=events / wall,
        bytes_per_event=path.stat().st_size / events,
        peaks=peaks(table),
        efficiencies=efficiencies,
        widths=widths(table),
    )


def figures_of(process: Process) -> dict[str, Any]:
    """Return what the result file says of a process."""
    table = process.table
    leptons = ak.num(table["electron_pt"]) + ak.num(table["muon_pt"])
    return {
        "events_per_processor_second": process.rate,
        "events_per_second": process.wall_rate,
        "bytes_per_event": process.bytes_per_event,
        "semileptonic": float(np.mean(table["semileptonic"])),
        "mean_leptons": float(ak.mean(leptons)),
        "mean_jets": float(ak.mean(ak.num(table["jet_pt"]))),
        "mean_b_tags": float(ak.mean(ak.sum(table["jet_btag"], axis=1))),
        "median_met": float(np.median(table["met_pt"])),
        "peaks": {name: asdict(one) for name, one in process.peaks.items()},
        "worst_pulls_against_card": {name: worst_pull(one) for name, one in process.efficiencies.items()},
        "widths": {name: asdict(one) for name, one in process.widths.items()},
    }


def cms_like_2011() -> Card:
    """Return the shipped card with thresholds, jet radius and pile-up of the fully simulated sample."""
    values = load_card("cms-like").model_dump()
    values["pileup"]["mean"] = 8.8  # so that with the vertices found the sample's mean is met
    for name in ("electrons", "muons"):
        values[name]["pt_min"] = 10.0
    values["jets"].update(pt_min=30.0, radius=0.5)
    return Card.model_validate(values)


def ours(events: int) -> Beside:
    """Make W pairs at 7 TeV behind the card."""
    blocks = collider_blocks(W_PAIRS, events, 1, 0)
    table = Table.concatenate([piece.table for piece in reconstructed(blocks, cms_like_2011(), 1, W_PAIRS.name)])
    lepton = {name: {key: table[f"{name}_{key}"] for key in ("pt", "eta", "phi")} for name in LEPTONS}
    return beside("cms-like", lepton, table["jet_pt"], table["jet_btag"] > 0, np.asarray(table["met_pt"]))


def theirs() -> Beside:
    """Read the fully simulated events."""
    axes = ("Px", "Py", "Pz", "E")
    names = [f"{one}_{axis}" for one in ("Muon", "Electron", "Jet") for axis in axes]
    with open_reader(CMS_EVENTS, tree="events") as reader:
        table = next(reader.iterate([*names, "Jet_btag", "MET_px", "MET_py"], reader.count()))
    lepton = {}
    for name in LEPTONS:
        momentum = np.stack([ak.to_numpy(ak.flatten(table[f"{name.title()}_{axis}"])) for axis in axes], axis=-1)
        counts = ak.num(table[f"{name.title()}_E"])
        pt, eta, phi, _ = from_cartesian(momentum)
        lepton[name] = {
            "pt": ak.unflatten(pt, counts),
            "eta": ak.unflatten(eta, counts),
            "phi": ak.unflatten(phi, counts),
        }
    jet_pt = np.hypot(table["Jet_Px"], table["Jet_Py"])
    met = np.hypot(np.asarray(table["MET_px"]), np.asarray(table["MET_py"]))
    return beside("Full simulation", lepton, jet_pt, table["Jet_btag"] > TAGGED, met)


def beside(label: str, lepton: dict[str, dict[str, ak.Array]], jet_pt: ak.Array, tagged: ak.Array, met: Any) -> Beside:
    """Take out of events with a muon as the trigger asks for it what can be compared."""
    muon, electron = lepton["muon"], lepton["electron"]
    fired = ak.any((muon["pt"] > TRIGGER["pt"]) & (abs(muon["eta"]) < TRIGGER["eta"]), axis=1)
    hardest = ak.argmax(muon["pt"][fired], axis=1, keepdims=True)
    both = {key: ak.concatenate([muon[key], electron[key]], axis=1)[fired] for key in muon}
    numbers = {
        "events": ak.ones_like(ak.num(jet_pt[fired])),
        "with an electron above 20 GeV": ak.any(electron["pt"][fired] > 20.0, axis=1),
        "with a second muon above 20 GeV": ak.sum(muon["pt"][fired] > 20.0, axis=1) >= 2,
        "without a jet": ak.num(jet_pt[fired]) == 0,
        "with two jets or more": ak.num(jet_pt[fired]) >= 2,
        "with a b-tag": ak.any(tagged[fired], axis=1),
    }
    return Beside(
        label,
        spectra={
            "muon pt": ak.to_numpy(ak.flatten(muon["pt"][fired][hardest])),
            "muon eta": ak.to_numpy(ak.flatten(muon["eta"][fired][hardest])),
            "electron pt": ak.to_numpy(ak.flatten(electron["pt"][fired])),
            "jet pt": ak.to_numpy(ak.flatten(jet_pt[fired])),
            "jets": ak.to_numpy(ak.num(jet_pt[fired])).astype(np.float64),
            "missing momentum": np.asarray(met)[ak.to_numpy(fired)],
            "dilepton mass": dilepton_mass(both["pt"], both["eta"], both["phi"]),
        },
        fractions={name: float(ak.mean(values)) for name, values in numbers.items() if name != "events"},
        events=int(ak.sum(fired)),
    )


def goals(processes: list[Process]) -> list[Goal]:
    """Return what is claimed: speed, masses as they were set, and efficiencies that are the card's."""
    slowest = min(processes, key=lambda one: one.rate)
    heavy = next(one for one in processes if one.name == "heavy-higgs")
    # Of some 100 bins in all the worst is off by 2.8 standard errors on average; beyond 4.5 is one in 1,500.
    pull = max(worst_pull(one.efficiencies[f"{key} tags"]) for one in processes for key in ("b", "c", "light"))
    set_masses = {"true h": 125.0, "true H": 425.0, "true H+-": 325.0}
    return [
        Goal(f"events/s a core, whole chain to file, slowest process ({slowest.name})", slowest.rate, ">=", 300.0),
        *(
            Goal(
                f"|median of {name} - {mass:g} GeV|",
                abs(heavy.peaks[name].median - mass),
                "<=",
                0.5,
                heavy.peaks[name].error,
            )
            for name, mass in set_masses.items()
        ),
        Goal("b-tag efficiencies, worst deviation from the card in standard errors", pull, "<=", 4.5),
    ]


def main() -> None:
    """Measure, write the page and the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    begin = time.monotonic()
    events, pairs = (1_000, 2_000) if quick else (10_000, 30_000)
    card = load_card("cms-like")
    with tempfile.TemporaryDirectory() as folder:
        processes = [make(process, events, Path(folder), card) for process in COLLIDER_PROCESSES]
    compared = [theirs(), ours(pairs)] if CMS_EVENTS.is_file() else []
    page = write_page(processes, compared, PAGE)
    write_result(
        "detector_sanity_quick" if quick else "detector_sanity",
        values={
            "processes": {one.name: figures_of(one) for one in processes},
            "beside full simulation": {one.label: {"events": one.events, **one.fractions} for one in compared},
            "page": str(page.relative_to(ROOT)),
        },
        goals=goals(processes),
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - begin,
    )


if __name__ == "__main__":
    main()
