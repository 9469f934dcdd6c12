"""Samples of the classification benchmarks: ``python benchmarks/classify_data.py [--quick] [--data DIR]``.

Labelled, by the card cms-like: top-quark pairs, heavy Higgs bosons (425, 325) and Z' bosons (1000), 130,000 selected
events each, with the ancestors of every object. Unlabelled, for pre-training: 600,000 events with a lepton and a jet,
of which 40 % are top-quark pairs, 15 % single top quarks, 30 % W + jets and 15 % Z + jets, by another shower tune and
another detector. Of each sample only the selected events and the columns that classification needs are copied; their
``run`` is the seed of the sample, so that identifiers are unique over all files.

The labelled top-quark pairs are a sample of the scan benchmark (``scan_heavy_higgs_data.py``), which is taken from its
folder where it is there, and a few more. The others take an hour of two cores, and those pairs 25 minutes more; the
quick form takes two minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import scan_heavy_higgs_data as scan
from castalia.data.readers import open_reader
from castalia.data.schema import Schema
from castalia.data.sidecar import make_sidecar, read_sidecar, write_sidecar
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.detectors.ancestry import ANCESTRY_COLUMNS, ancestry_columns
from castalia.detectors.observables import SEMILEPTONIC_COLUMNS
from castalia.detectors.parametric.columns import RECONSTRUCTED_COLUMNS
from castalia.errors import DataError
from castalia.production.collider import EVENT_COLUMNS
from collider_samples import Sample, cache_folder, make_samples

__all__ = ["FULL", "QUICK", "SCHEMA", "UNLABELLED", "Part", "make_parts", "parts_folder"]

UNLABELLED: Final = {"ttbar": 0.40, "singletop": 0.15, "wjets": 0.30, "zjets": 0.15}
"""Fractions of the unlabelled events by process."""

_CARD: Final = Path(__file__).with_name("classify_other_detector.toml")
_OBJECTS: Final = ("pt", "eta", "phi", "mass", "charge", "btag")
_KEPT: Final = {f"{one}_{name}" for one in ("electron", "muon", "jet") for name in _OBJECTS}
SCHEMA: Final = Schema(
    columns=(
        *EVENT_COLUMNS,
        *(spec for spec in RECONSTRUCTED_COLUMNS if spec.name in {*_KEPT, "met_pt", "met_phi", "selected"}),
        *SEMILEPTONIC_COLUMNS,
        *ANCESTRY_COLUMNS,
    )
)
"""Columns of every file."""

# What the ancestry is found with, beside the columns that are kept.
_LINKS: Final = ("electron_truth", "muon_truth", "truth_lepton_mother", "particle_pdg", "particle_mother")
_DIRECTIONS: Final = ("particle_eta", "particle_phi")
_CHUNK: Final = 50_000


@dataclass(frozen=True)
class Part:
    """One file of the benchmark.

    Attributes:
        name: Its name, without ending.
        samples: What its events are taken from, in this order.
        selection: The column that is 1 for the events that are taken.
        events: How many are taken.
        of_scan: Samples in the folder of the scan benchmark, which come before the others.
    """

    name: str
    samples: tuple[Sample, ...]
    selection: str
    events: int
    of_scan: tuple[Sample, ...] = ()


def _parts(of_scan: scan.Samples, labelled: int, unlabelled: int, first: int) -> tuple[Part, ...]:
    """Say what is made: some 13 % of events with heavy Higgs bosons are selected, and 17 % of those with Z' bosons.

    Of a million top-quark pairs, 130,000 are selected as well, less or more by a few hundred.
    """
    scale = labelled / 130_000
    more = Sample("ttbar_more", "ttbar", round(10_000 * scale), first + 2 + len(UNLABELLED))
    heavy = Sample("heavy_higgs", "heavy-higgs", round(1_100_000 * scale), first, {"m_H": 425.0, "m_Hpm": 325.0})
    zprime = Sample("zprime", "zprime", round(900_000 * scale), first + 1, {"m_Zprime": 1000.0})
    # Events to generate for one that has a lepton and a jet, with some in reserve.
    needed = {"ttbar": 1.80, "singletop": 1.95, "wjets": 4.4, "zjets": 3.0}
    loose = []
    for number, (process, fraction) in enumerate(UNLABELLED.items(), first + 2):
        events = round(unlabelled * fraction)
        name = f"unlabelled_{process}"
        made = Sample(name, process, round(events * needed[process]), number, tune="a14", card=_CARD)
        loose.append(Part(name, (made,), "selected", events))
    return (
        Part("ttbar", (more,), "semileptonic", labelled, (of_scan.background,)),
        Part("heavy_higgs", (heavy,), "semileptonic", labelled),
        Part("zprime", (zprime,), "semileptonic", labelled),
        *loose,
    )


FULL: Final = _parts(scan.FULL, 130_000, 600_000, first=501)
"""Labelled classes, the background first, and the unlabelled events process by process."""

QUICK: Final = _parts(scan.QUICK, 1_300, 2_000, first=601)


def parts_folder(data: Path | None, quick: bool) -> Path:
    """Return the folder of the files: in the one named, or else in the user's cache."""
    folder = data or cache_folder("classify")
    return folder / "quick" if quick else folder


def make_parts(parts: Sequence[Part], folder: Path, scan_folder: Path, workers: int) -> dict[str, Path]:
    """Make the files that are missing, their samples in ``samples`` beside; return them by name.

    Raises:
        DataError: If a file is there that is not the sample, or a sample has too few selected events.
    """
    paths: dict[str, Path] = {}
    for part in parts:
        shared = make_samples(part.of_scan, scan_folder, workers)
        own = make_samples(part.samples, folder / "samples", workers)
        paths[part.name] = folder / f"{part.name}.parquet"
        _copy(part, [*shared.values(), *own.values()], paths[part.name])
    return paths


def _copy(part: Part, sources: list[Path], path: Path) -> None:
    """Write the first selected events of the samples, unless the file is there and is that."""
    sidecars = [read_sidecar(source) for source in sources]
    hashes = [sidecar.file.sha256 for sidecar in sidecars if sidecar is not None]
    provenance = {"samples": hashes, "selection": part.selection, "events": part.events}
    there = read_sidecar(path) if path.exists() else None
    if there is not None and there.provenance == provenance:
        return
    sys.stdout.write(f"writing {path}: {part.events} events\n")
    sys.stdout.flush()
    taken = 0
    with open_writer(path, SCHEMA) as writer:
        for table in _selected(part, sources):
            table = table.slice(0, min(len(table), part.events - taken))
            writer.write(table)
            taken += len(table)
            if taken == part.events:
                break
        else:
            raise DataError(f"{path}: the samples have {taken} selected events of {part.events}; generate more.")
    write_sidecar(path, make_sidecar(path, writer.summary, SCHEMA, provenance=provenance))


def _selected(part: Part, sources: list[Path]) -> Iterator[Table]:
    """Yield the selected events with their ancestors, which older samples do not have."""
    ancestry = {spec.name for spec in ANCESTRY_COLUMNS}
    plain = [name for name in SCHEMA.names if name not in ancestry]
    for sample, source in zip((*part.of_scan, *part.samples), sources, strict=True):
        with open_reader(source) as reader:
            for table in reader.iterate([*plain, *_LINKS, *_DIRECTIONS], _CHUNK):
                table = table.take(np.asarray(table[part.selection], dtype=np.bool_))
                run = np.full(len(table), sample.seed, dtype=np.int64)
                yield table.select(plain).with_columns({"run": run, **ancestry_columns(table)})


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scan-data", type=Path, help="folder of the scan benchmark's samples")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    of_scan = scan.folder_of(options.scan_data, scan.QUICK if options.quick else scan.FULL)
    make_parts(QUICK if options.quick else FULL, parts_folder(options.data, options.quick), of_scan, options.workers)


if __name__ == "__main__":
    main()
