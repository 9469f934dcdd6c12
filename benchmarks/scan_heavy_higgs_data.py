"""Samples of the heavy-Higgs scan benchmark: ``python benchmarks/scan_heavy_higgs_data.py [--quick] [--data DIR]``.

Every sample is what ``castalia generate`` makes with its seed, and none shares an event with another: two train the
densities, the others are pools from which data sets are drawn. The full ones take an hour and a half of two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from castalia.data.readers import open_reader
from castalia.data.table import Table
from castalia.detectors.observables import semileptonic_columns
from castalia.processes.points import Choice
from collider_samples import Sample, cache_folder, make_samples

__all__ = [
    "FULL",
    "QUICK",
    "SCALE",
    "Samples",
    "folder_of",
    "scaled_jets",
    "scaled_pool",
]

Array = NDArray[np.float64]

SCALE = 1.05
"""Energy of the jets in the scaled pools over that of the simulation."""

_RANGES: dict[str, Choice] = {"m_H": (350.0, 600.0), "m_Hpm": (200.0, 450.0)}
_WRONG: dict[str, Choice] = {"m_Zprime": 600.0}
_OBJECTS = [f"{name}_{part}" for name in ("electron", "muon", "jet") for part in ("pt", "eta", "phi", "mass")]
_CHUNK = 50_000


@dataclass(frozen=True)
class Samples:
    """All files of one form of the benchmark.

    Attributes:
        folder: Name of their folder below that of the benchmark; empty for that itself.
        signal: Signal to train on, with masses drawn for every 500 events.
        background: Top-quark pairs to train on.
        points: Pools of signal by its true masses (m_H, m_Hpm) in GeV.
        pool: Pool of top-quark pairs.
        wrong: Pool of another process that takes the signal's place.
    """

    folder: str
    signal: Sample
    background: Sample
    points: Mapping[tuple[float, float], Sample]
    pool: Sample
    wrong: Sample

    @property
    def every(self) -> tuple[Sample, ...]:
        """The samples in the order in which they are made."""
        return (self.signal, self.background, *self.points.values(), self.wrong, self.pool)


def _samples(folder: str, signal: int, background: int, point: int, pool: int, wrong: int, first: int) -> Samples:
    points = [(475.0, 350.0), (400.0, 280.0), (550.0, 420.0)][: 1 if folder else 3]
    return Samples(
        folder,
        Sample("signal_train", "heavy-higgs", signal, first, _RANGES),
        Sample("ttbar_train", "ttbar", background, first + 4, {}),
        {
            at: Sample(
                f"signal_{at[0]:.0f}_{at[1]:.0f}",
                "heavy-higgs",
                point,
                first + 1 + place,
                dict(zip(_RANGES, at, strict=True)),
            )
            for place, at in enumerate(points)
        },
        Sample("ttbar_pool", "ttbar", pool, first + 5, {}),
        Sample("zprime_pool", "zprime", wrong, first + 6, _WRONG),
    )


# One pair in eight is selected. The pool holds 104,000, of which a data set of 20,000 takes a fifth. What a density
# learned from the events at hand gets wrong moves the parameters as the fluctuations of the data do, hence a million
# of each for training: with 300,000 of the signal its density alone moved both masses by 1.3 standard deviations.
FULL = _samples("", 1_000_000, 1_000_000, 100_000, 800_000, 25_000, first=101)
QUICK = _samples("quick", 14_000, 12_000, 4_000, 7_000, 1_200, first=201)


def folder_of(data: Path | None, samples: Samples) -> Path:
    """Return the folder of the samples: in the one named, or else in the user's cache."""
    return (data or cache_folder("scan_heavy_higgs")) / samples.folder


def scaled_pool(path: Path, names: Sequence[str], most: int) -> Array:
    """Return the observables of a file's selected events with the energy of their jets scaled.

    Jets that only the scaling would lift above the card's threshold are not in the file, and stay lost.

    Args:
        path: A file of ``castalia generate``.
        names: Observables.
        most: Enough events.

    Returns:
        Shape ``(events, observables)``.
    """
    columns = (*_OBJECTS, "jet_btag", "met_pt", "met_phi")
    found: list[Array] = []
    with open_reader(path) as reader:
        for table in reader.iterate(columns, _CHUNK):
            made = semileptonic_columns(scaled_jets(table, SCALE))
            found.append(np.column_stack([made[name] for name in names])[made["semileptonic"]])
            if sum(map(len, found)) >= most:
                break
    return np.concatenate(found)


def scaled_jets(events: Table, scale: float) -> Table:
    """Return events with four-momenta of all jets times ``scale``, and missing momentum that balances it."""
    pt, phi = events["jet_pt"], events["jet_phi"]
    met, angle = events["met_pt"], events["met_phi"]
    more = [(scale - 1.0) * ak.to_numpy(ak.sum(pt * part, axis=1)) for part in (np.cos(phi), np.sin(phi))]
    x, y = met * np.cos(angle) - more[0], met * np.sin(angle) - more[1]
    return events.with_columns(
        {
            "jet_pt": pt * scale,
            "jet_mass": events["jet_mass"] * scale,
            "met_pt": np.hypot(x, y),
            "met_phi": np.arctan2(y, x),
        }
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the samples."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    samples = QUICK if options.quick else FULL
    make_samples(samples.every, folder_of(options.data, samples), options.workers)


if __name__ == "__main__":
    main()
