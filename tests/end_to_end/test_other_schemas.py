"""The same commands on events that are no photon pairs: jagged lists, one object at a time, and columns per event."""

import json

import awkward as ak
import numpy as np
import pytest
from castalia_console import column_hashes, here, read

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.rng import Stream

JETS = """\
[data]
files = ["jets.{ending}"]
identifiers = ["event"]
weight = "w"

[objects]
collection = "jet"
take = "each"

[condition]
pt = {{ column = "jet_pt_true", unit = "GeV", transform = "log" }}
rho = {{ column = "rho", unit = "GeV", per = "event" }}

[target]
response = {{ column = "jet_pt", over = "jet_pt_true", unit = "GeV" }}
constituents = {{ column = "jet_n", integer = true }}
fraction = {{ column = "jet_fraction", bounds = [0.0, 1.0] }}

[model]
preset = "{preset}"
options = {{ {options} }}

[training]
epochs = 3
"""

EVENT = """\
[data]
files = ["event.root"]
identifiers = ["event"]

[condition]
ht = { column = "ht", unit = "GeV", transform = "log" }

[target]
met = { column = "met", unit = "GeV" }
multiplicity = { column = "n", integer = true }

[model]
preset = "spline"
options = { blocks = 2, hidden = [16, 16] }

[training]
epochs = 2
"""

EVENTS = 3000


def jets(path, most=5):
    """Write events of no to ``most`` jets, one after the other without order."""
    rng = Stream(5, "jets").at()
    counts = rng.integers(0, most + 1, EVENTS)
    total = int(counts.sum())
    rho = rng.uniform(0, 60, EVENTS)
    true = 20 + rng.gamma(2.0, 40.0, total)
    columns = {
        "jet_pt_true": true,
        "jet_pt": true * rng.normal(1 + 0.002 * np.repeat(rho, counts), 0.1),
        "jet_n": 1 + rng.poisson(np.sqrt(true)),
        "jet_fraction": rng.beta(2.0, 5.0, total),
    }
    table = Table(
        {
            "event": np.arange(EVENTS),
            "w": rng.uniform(0.5, 1.5, EVENTS),
            "rho": rho,
            **{name: ak.unflatten(values, counts) for name, values in columns.items()},
        }
    )
    specs = [ColumnSpec(name="event", dtype="int64"), ColumnSpec(name="w"), ColumnSpec(name="rho", unit="GeV")]
    specs += [
        ColumnSpec(name=name, shape="jagged", collection="jet", dtype="int64" if name == "jet_n" else "float64")
        for name in columns
    ]
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(table)
    return table


COMPACT = "hidden = [16, 16], embedding_bins = 4"


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("ending", "preset", "options"),
    [("root", "compact", COMPACT), ("parquet", "spline", "blocks = 2, hidden = [16, 16]")],
)
def test_each_jet_by_itself(tmp_path, ending, preset, options):
    given = jets(tmp_path / f"jets.{ending}")
    config = tmp_path / "jets.toml"
    config.write_text(JETS.format(ending=ending, preset=preset, options=options))
    run, data, out = tmp_path / "run", tmp_path / f"jets.{ending}", tmp_path / f"out.{ending}"
    here("simulate", "train", config, "-o", run).good()
    here("simulate", "sample", run, data, "-o", out).good()
    sampled = read(out)
    for name in ("event", "w", "rho"):
        np.testing.assert_array_equal(sampled[name], given[name])
    np.testing.assert_array_equal(ak.num(sampled["jet_pt"]), ak.num(given["jet_pt"]))
    fraction, number = (np.asarray(ak.flatten(sampled[name])) for name in ("jet_fraction", "jet_n"))
    assert ((fraction > 0) & (fraction < 1)).all()
    np.testing.assert_array_equal(number, np.round(number))
    ratio = np.asarray(ak.flatten(sampled["jet_pt"])) / np.asarray(ak.flatten(given["jet_pt_true"]))
    assert abs(np.median(ratio) - 1.06) < 0.1
    jets(tmp_path / f"none.{ending}", most=0)
    here("simulate", "sample", run, tmp_path / f"none.{ending}", "-o", out, "--overwrite").good()
    assert ak.num(read(out)["jet_pt"]).tolist() == [0] * EVENTS
    verdict = here("simulate", "evaluate", run, data, "-o", tmp_path / "report")
    assert verdict.code in (0, 5), verdict.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["diphoton"] is None
    assert metrics["kl_per_event"] is None
    assert metrics["mean_wasserstein"]["floor"] > 0


def test_columns_per_event(tmp_path):
    rng, events = Stream(6, "event").at(), 7000  # of which a tenth is judged, and the least that can be is 600
    ht = rng.gamma(3.0, 100.0, events) + 10
    columns = {"event": np.arange(events), "ht": ht, "met": rng.normal(0.1 * ht, 10.0), "n": rng.poisson(ht / 50)}
    specs = (ColumnSpec(name=name, dtype=str(values.dtype)) for name, values in columns.items())
    with open_writer(tmp_path / "event.root", Schema(columns=tuple(specs))) as writer:
        writer.write(Table(columns))
    (tmp_path / "event.toml").write_text(EVENT)
    run, data = tmp_path / "run", tmp_path / "event.root"
    here("simulate", "train", tmp_path / "event.toml", "-o", run).good()
    here("simulate", "sample", run, data, "-o", tmp_path / "out.parquet").good()
    here("simulate", "sample", run, data, "-o", tmp_path / "out.root").good()
    assert column_hashes(tmp_path / "out.root") == column_hashes(tmp_path / "out.parquet")
    # With figures here: those of a schema that is no photon pair.
    verdict = here("simulate", "evaluate", run, data, "-o", tmp_path / "report")
    assert verdict.code in (0, 5), verdict.err
    pictures = {path.stem for path in (tmp_path / "report" / "figures").glob("*.png")}
    assert {"response", "reconstructed"} <= pictures
    assert not {"mass", "pt"} & pictures
    assert (tmp_path / "report" / "report.html").exists()
