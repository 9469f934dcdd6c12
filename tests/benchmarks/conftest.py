"""Toy samples for the tests of the classification benchmarks."""

import numpy as np
import pytest

from castalia.data.sidecar import make_sidecar, write_sidecar
from castalia.data.table import Table, jagged
from castalia.data.writers import open_writer
from castalia.rng import Stream
from classify_data import SCHEMA, UNLABELLED

EVENTS = 900


def toy_sample(seed: int, pt: float, events: int = EVENTS) -> Table:
    """Events with one lepton and four to six jets, of which two to three have a b tag; harder or softer."""
    rng = Stream(seed, "toy sample").at()
    muon = rng.integers(0, 2, events)
    lists = {"electron": 1 - muon, "muon": muon, "jet": rng.integers(4, 7, events)}
    columns = {}
    for spec in SCHEMA.columns:
        if spec.shape != "jagged":
            columns[spec.name] = rng.uniform(20.0, 200.0, events).astype(spec.dtype)
            continue
        counts, kind = lists[spec.collection], spec.name.partition("_")[2]
        size = int(counts.sum())
        values = {"pt": rng.exponential(pt, size) + 20.0, "eta": rng.normal(0.0, 1.0, size)}.get(kind)
        if kind == "btag":
            values = np.concatenate([rng.permutation([1, 1, rng.integers(0, 2), *[0] * (n - 3)]) for n in counts])
        elif kind.startswith("from_"):
            values = rng.integers(0, 3, size)
        elif values is None:
            values = rng.uniform(0.1, 3.0, size)
        columns[spec.name] = jagged(counts, values.astype(spec.dtype))
    own = {"run": np.full(events, seed), "luminosityBlock": np.ones(events, int), "event": np.arange(events)}
    ones = {"weight": np.ones(events), "semileptonic": np.ones(events, bool), "selected": np.ones(events, bool)}
    angle = {"met_phi": rng.uniform(-3.0, 3.0, events)}
    return Table({**columns, **own, **ones, **angle})


@pytest.fixture(scope="session")
def classify_samples(tmp_path_factory):
    """Folder of toy samples by the names of ``classify_data``; signal is harder than background."""
    folder = tmp_path_factory.mktemp("classify")
    names = {"ttbar": 40.0, "heavy_higgs": 60.0, **{f"unlabelled_{process}": 50.0 for process in UNLABELLED}}
    for seed, (name, pt) in enumerate(names.items(), 1):
        path = folder / f"{name}.parquet"
        with open_writer(path, SCHEMA) as writer:
            writer.write(toy_sample(seed, pt))
        write_sidecar(path, make_sidecar(path, writer.summary, SCHEMA))
    return folder
