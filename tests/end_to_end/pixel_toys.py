"""Small events of pixel hits: 60 or so an event at the reference, anywhere in the detector."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.detectors.pxd.columns import hit_lists
from castalia.detectors.pxd.digitiser import PixelHits
from castalia.rng import Stream

HITS = 60

MODEL = '[model]\nestimator = "toy-pixels"\n'
TRAINING = "[training]\nepochs = 3\nbatch_size = 16\nlearning_rate = 0.1\n"
CONDITION = """\
[condition]
luminosity = { column = "luminosity" }
pressure = { column = "pressure" }
"""


def hits(counts: np.ndarray, seed: int = 1) -> PixelHits:
    """Make events with about so many hits each, in order, with charges from 7."""
    rng, cells = Stream(seed, "toy hits").at(), 40 * 250 * 768
    event = np.repeat(np.arange(len(counts)), counts)
    number = np.unique(event * cells + rng.integers(cells, size=len(event)))
    event, cell = np.divmod(number, cells)
    charge = rng.integers(7, 256, len(number)).astype(np.uint8)
    sensor, u, v = cell // (250 * 768), cell // 768 % 250, cell % 768
    return PixelHits(len(counts), event.astype(np.int32), sensor.astype(np.uint8), u.astype(np.uint8),
                     v.astype(np.uint16), charge)  # fmt: skip


def events(count: int, seed: int = 1, luminosity: tuple[float, float] = (0.5, 1.0), *, basf2: bool = False) -> Table:
    """Make events whose number of hits is Poisson, proportional to the luminosity; the pressure is constant."""
    rng = Stream(seed, "toy events").at()
    drawn = rng.uniform(*luminosity, count)
    return Table(
        {
            "run": np.ones(count, dtype=np.int64),
            "luminosityBlock": np.full(count, seed),
            "event": np.arange(count),
            "luminosity": drawn,
            "pressure": np.ones(count),
            **hit_lists(hits(rng.poisson(HITS * drawn), seed), basf2=basf2),
        }
    )


def write(path: Path, table: Table) -> Path:
    """Write a table to a file without a sidecar."""
    specs = []
    for name in table.names:
        column = table[name]
        listed = isinstance(column, ak.Array)
        dtype = str(column.layout.content.dtype) if listed else str(column.dtype)
        specs.append(ColumnSpec(name=name, dtype=dtype, shape="jagged" if listed else "flat"))
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(table)
    return path


def config(path: Path, *files: Path, model: str = MODEL, training: str = TRAINING, data: str = "") -> Path:
    """Write a configuration for files."""
    names = ", ".join(f'"{file}"' for file in files)
    path.write_text(f"[data]\nfiles = [{names}]\n{data}\n{CONDITION}\n{model}\n{training}")
    return path
