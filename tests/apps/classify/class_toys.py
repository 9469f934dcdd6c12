"""Events of two classes, light and heavy, that differ by the momenta of their jets and by nothing else."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.rng import Stream

OBJECTS = """\
[objects.lepton]
collections = ["electron", "muon"]
[objects.b_jet]
collections = ["jet"]
where = { jet_btag = 1 }
take = 2
[objects.light_jet]
collections = ["jet"]
where = { jet_btag = 0 }
take = 2
[objects.met]
columns = { pt = "met_pt", phi = "met_phi" }
"""
TRAINING = "[training]\nepochs = 4\nbatch_size = 64\nlearning_rate = 1e-2\nema = 0.9\n"
CLASSES = '[classes]\nlight = ["light.parquet"]\nheavy = ["heavy.parquet"]\n'
MODEL = '[model]\nestimator = "toy-classifier"\n'
PRETRAINING = f'[data]\nfiles = ["mixed.parquet"]\n{OBJECTS}[model]\nestimator = "toy-pretraining"\n{TRAINING}'

HARDER = 3.0
"""Momenta of jets of the heavy class, over those of the light one."""


def events(count: int, heavy: bool, seed: int = 1) -> Table:
    """Make events of a class: up to two leptons, jets of either flavour, missing momentum, ancestors at random."""
    rng = Stream(seed, "events of a class", str(heavy)).at()
    identifiers = {"run": np.ones(count, np.int64), "luminosityBlock": np.full(count, seed), "event": np.arange(count)}
    columns = {
        **identifiers,
        "weight": rng.uniform(0.5, 1.5, count),
        "process": np.full(count, 7 if heavy else 3),
        "m_bb": rng.exponential(80.0, count),
        "good": rng.random(count) < 0.9,
        "met_pt": rng.exponential(40.0, count),
        "met_phi": rng.uniform(-np.pi, np.pi, count),
    }
    for name, most in (("electron", 2), ("muon", 2), ("jet", 6)):
        counts = rng.integers(0, most, count)
        total = counts.sum()
        scale = HARDER if heavy and name == "jet" else 1.0
        flat = {
            "pt": scale * (20.0 + rng.exponential(40.0, total)),
            "eta": rng.normal(0, 1, total),
            "phi": rng.uniform(-np.pi, np.pi, total),
            "mass": rng.exponential(5.0, total),
            "from_w": rng.integers(0, 3, total),
            "from_top": rng.integers(0, 3, total),
        }
        if name == "jet":
            flat["btag"] = rng.integers(0, 2, total)
        columns |= {f"{name}_{what}": ak.unflatten(values, counts) for what, values in flat.items()}
    return Table(columns)


def write(path: Path, table: Table) -> Path:
    specs = []
    for name in table.names:
        column = table[name]
        listed = isinstance(column, ak.Array)
        dtype = str(column.layout.content.dtype) if listed else str(column.dtype)
        specs.append(ColumnSpec(name=name, dtype=dtype, shape="jagged" if listed else "flat"))
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(table)
    return path


def config(
    folder: Path,
    data: str = '[data]\nweight = "weight"\n',
    classes: str = CLASSES,
    objects: str = OBJECTS,
    further: str = "",
    model: str = MODEL,
    training: str = TRAINING,
) -> Path:
    path = folder / "classify.toml"
    # A label is a key of the whole file, so that it comes before all sections.
    sections = (classes, data) if classes.startswith("label") else (data, classes)
    path.write_text("".join((*sections, objects, further, model, training)))
    return path
