"""Tables that the tests of the data floor share: one of every kind of column, and diphoton events."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from castalia.data.feature_config import ConditionVariable, DataConfig, ObjectsConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table, jagged
from castalia.data.writers import WrittenFile, open_writer
from castalia.physics.angles import wrap_phi
from castalia.rng import Stream

MIXED = Schema(
    columns=(
        ColumnSpec(name="event", dtype="int64", role="identifier"),
        ColumnSpec(name="mu", unit="", range=(0.0, 40.0), role="condition"),
        ColumnSpec(name="good", dtype="bool", role="selection"),
        ColumnSpec(name="photon_et", unit="GeV", shape=2, collection="photon"),
        ColumnSpec(name="photon_id", dtype="uint8", shape=2, collection="photon"),
        ColumnSpec(name="jet_pt", unit="GeV", dtype="float32", shape="jagged", collection="jet"),
        ColumnSpec(name="jet_charge", dtype="int32", shape="jagged", collection="jet"),
    )
)


def make_mixed(rows: int, seed: int = 1) -> Table:
    rng = Stream(seed, "mixed table").at()
    counts = rng.poisson(1.5, rows)
    return Table(
        {
            "event": np.arange(1, rows + 1),
            "mu": rng.uniform(0.0, 40.0, rows),
            "good": rng.random(rows) < 0.5,
            "photon_et": 20.0 + rng.exponential(50.0, (rows, 2)),
            "photon_id": rng.integers(0, 256, (rows, 2)).astype(np.uint8),
            "jet_pt": jagged(counts, rng.exponential(40.0, counts.sum()).astype(np.float32)),
            "jet_charge": jagged(counts, rng.integers(-1, 2, counts.sum()).astype(np.int32)),
        }
    )


def make_diphoton(rows: int, seed: int = 1) -> Table:
    rng = Stream(seed, "diphoton table").at()
    et = -np.sort(-(20.0 + rng.exponential(50.0, (rows, 2))), axis=1)
    eta, phi = rng.uniform(-2.5, 2.5, (rows, 2)), wrap_phi(rng.uniform(-np.pi, np.pi, (rows, 2)))
    return Table(
        {
            "run": np.ones(rows, dtype=np.int64),
            "luminosityBlock": np.ones(rows, dtype=np.int64),
            "event": np.arange(1, rows + 1),
            "mu": rng.uniform(0.0, 40.0, rows),
            "weight": rng.uniform(0.5, 1.5, rows),
            "photon_et_true": et,
            "photon_eta_true": eta,
            "photon_phi_true": phi,
            "photon_et": et + rng.normal(0.0, 2.0, (rows, 2)),
            "photon_eta": eta + rng.normal(0.0, 5e-4, (rows, 2)),
            # Wide enough for many photons to cross the seam at pi.
            "photon_phi": wrap_phi(phi + rng.normal(0.0, 0.1, (rows, 2))),
        }
    )


def schema_like(table: Table) -> Schema:
    def spec(name: str) -> ColumnSpec:
        values = table[name]
        if not isinstance(values, np.ndarray):
            return ColumnSpec(name=name, dtype=str(values.layout.content.dtype), shape="jagged")
        return ColumnSpec(name=name, dtype=str(values.dtype), shape="flat" if values.ndim == 1 else values.shape[1])

    return Schema(columns=tuple(spec(name) for name in table.names))


def diphoton_features(take: int | str = 2, **data: object) -> Features:
    return Features(
        DataConfig(files=("*.root",), weight="weight", **data),
        ObjectsConfig(collection="photon", take=take, order_by="photon_et_true"),
        {
            "et": ConditionVariable(column="photon_et_true", unit="GeV", transform="log"),
            "eta": ConditionVariable(column="photon_eta_true"),
            "mu": ConditionVariable(column="mu", per="event"),
        },
        {
            "et": TargetVariable(column="photon_et", minus="photon_et_true", unit="GeV", scale=20.0),
            "eta": TargetVariable(column="photon_eta", minus="photon_eta_true"),
            "phi": TargetVariable(column="photon_phi", minus="photon_phi_true", wrap=True),
        },
    )


@pytest.fixture
def mixed() -> Table:
    return make_mixed(500)


@pytest.fixture
def mixed_schema() -> Schema:
    return MIXED


@pytest.fixture
def mixed_of() -> Callable[[int], Table]:
    return make_mixed


@pytest.fixture
def diphoton() -> Table:
    return make_diphoton(400)


@pytest.fixture
def diphoton_of() -> Callable[..., Table]:
    return make_diphoton


@pytest.fixture
def features_of() -> Callable[..., Features]:
    return diphoton_features


@pytest.fixture
def save() -> Callable[..., WrittenFile]:
    def write(path: Path, table: Table, schema: Schema | None = None, chunk: int = 10**9, tree: str = "events"):
        with open_writer(path, schema or schema_like(table), tree) as writer:
            for start in range(0, len(table), chunk):
                writer.write(table.slice(start, start + chunk))
        return writer.summary

    return write
