"""Z bosons decaying to two leptons, with jets: a second topology, declared in a configuration and nowhere else."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table, jagged
from castalia.data.writers import open_writer
from castalia.physics.decay_coordinates import decode
from castalia.physics.decay_tree import DecayTree
from castalia.physics.four_vectors import from_cartesian
from castalia.rng import Stream

TREE = DecayTree(("plus", "minus"), {"z": ("plus", "minus")}, ("z",))
MASS = 0.105658

CONFIG = """\
[data]
files = ["z.parquet"]
{data}

[condition]
met = {{ column = "met", unit = "GeV", transform = "log" }}

[lists.lepton]
pt = {{ column = "lepton_pt", unit = "GeV", transform = "log" }}
eta = {{ column = "lepton_eta" }}
phi = {{ column = "lepton_phi", unit = "rad", transform = "angle" }}
charge = {{ column = "lepton_charge" }}

[lists.jet]
pt = {{ column = "jet_pt", unit = "GeV", transform = "log" }}
phi = {{ column = "jet_phi", unit = "rad", transform = "angle" }}

[truth]
coordinates = "{coordinates}"
resonances = ["z"]
{truth}

[truth.particles]
plus = "true_plus"
minus = "true_minus"

[truth.composites]
z = ["plus", "minus"]

[model]
preset = "{preset}"
options = {{ {options} }}

[training]
epochs = {epochs}
batch_size = 128
learning_rate = 1e-2
"""
SMALL = "hidden = [32, 32], encoder = { width = 16, heads = 2, blocks = 1 }"


def events(count: int, seed: int = 1) -> Table:
    """Make Z events: truth by the decay tree, leptons measured to 3 %, one in eight of them lost, jets that recoil."""
    rng = Stream(seed, "Z toys").at()
    pt, angle = rng.exponential(25.0, count), rng.uniform(-np.pi, np.pi, count)
    mass = 91.2 + 1.25 * rng.standard_t(3, count).clip(-20, 20)
    values = np.column_stack(
        [pt * np.cos(angle), pt * np.sin(angle), rng.normal(0, 1, count), mass - 2 * MASS, rng.normal(size=(count, 2))]
    )
    leaves = decode(TREE, values, np.array([MASS, MASS]))
    truth = {}
    measured = []
    for place, name in enumerate(TREE.leaves):
        momentum = leaves[:, place, :3]
        energy = np.hypot(np.linalg.norm(momentum, axis=1), MASS)
        pt_, eta, phi, _ = from_cartesian(np.column_stack([momentum, energy]))
        truth |= {f"true_{name}_pt": pt_, f"true_{name}_eta": eta, f"true_{name}_phi": phi}
        truth[f"true_{name}_mass"] = np.full(count, MASS)
        measured.append((pt_ * np.exp(rng.normal(0, 0.03, count)), eta, phi, np.full(count, 1 - 2 * place)))
    found = rng.random((count, 2)) < 7 / 8
    lists = {
        f"lepton_{name}": jagged(found.sum(axis=1), np.stack([one[i] for one in measured], axis=1)[found])
        for i, name in enumerate(("pt", "eta", "phi", "charge"))
    }
    jets = rng.poisson(1.0, count)
    own = np.repeat(np.arange(count), jets)
    lists["jet_pt"] = jagged(jets, (20 + pt[own]) * np.exp(rng.normal(0, 0.2, len(own))))
    lists["jet_phi"] = jagged(jets, np.mod(angle[own] + rng.normal(np.pi, 0.3, len(own)) + np.pi, 2 * np.pi) - np.pi)
    identifiers = {"run": np.ones(count, np.int64), "luminosityBlock": np.full(count, seed), "event": np.arange(count)}
    return Table({**identifiers, "met": rng.exponential(10.0, count) + 1.0, **lists, **truth})


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
    coordinates: str = "decay_tree",
    preset: str = "unfold_flow_matching",
    options: str = SMALL,
    data: str = "",
    truth: str = "",
    epochs: int = 12,
) -> Path:
    path = folder / "z.toml"
    path.write_text(
        CONFIG.format(coordinates=coordinates, preset=preset, options=options, data=data, truth=truth, epochs=epochs)
    )
    return path
