"""The whole way on toy events, by the console commands as a user types them."""

import json
import math
import os
import shutil

import numpy as np
import pytest
from castalia_console import CONFIG, column_hashes, here, listing, read, typed, write_config

from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.writers import open_writer

MODEL = '[model]\npreset = "compact"'


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    """Every command once, in a folder whose name has spaces and letters beyond ASCII; the results by command."""
    folder = tmp_path_factory.mktemp("journey") / "Größe und µ 光子"
    folder.mkdir()
    (folder / "response.toml").write_text(CONFIG.format(files='"events.root"', model=MODEL, epochs=2, training=""))
    commands = {
        "generate": "generate diphoton --process toy --events 20000 --seed 3 -o events.root",
        "train": "simulate train response.toml -o run",
        "sample": "simulate sample run events.root -o sampled.root",
        "evaluate": "simulate evaluate run events.root -o report",
        "report": "report report -o index.html",
        "inspect": "inspect sampled.root",
        "inspect run": "inspect run",
    }
    results = {name: typed(*words.split(), "--json", cwd=folder) for name, words in commands.items()}
    return folder, results


def numbers(value):
    """Every number in a JSON value."""
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers(part)]
    if isinstance(value, list):
        return [n for part in value for n in numbers(part)]
    return [value] if isinstance(value, int | float) else []


def test_every_command_ends_well_and_says_so_in_json(journey):
    _, results = journey
    # Two epochs on 16,000 events need not satisfy the gate; that the report is complete is tested below.
    assert results["evaluate"].code in (0, 5)
    for name, result in results.items():
        if name != "evaluate":
            result.good()
        assert isinstance(result.json, dict)
        assert "Traceback" not in result.err
    assert results["generate"].json["events"] == 20_000
    assert results["inspect"].json["verified"] == "every hash agrees"
    assert set(results["inspect run"].json["models"]) == {"response", "rival"}


def test_metrics_have_every_key_that_was_promised(journey):
    folder, _ = journey
    metrics = json.loads((folder / "report" / "metrics.json").read_text())
    assert {"value", "error", "support"} <= set(metrics["kl_per_event"])
    assert {"value", "floor", "floor_error", "excess"} <= set(metrics["mean_wasserstein"])
    assert {"value", "error", "power"} <= set(metrics["two_sample_auc"])
    assert {"largest_discrepancy", "bins"} <= set(metrics["resolution"])
    assert "largest_difference" in metrics["correlation"]
    for side in ("target", "generated"):
        assert {"mass_mean", "mass_sd", "pt_mean", "pt_sd"} <= set(metrics["diphoton"][side])
    assert {"passed", "reasons"} <= set(metrics["gate"])
    assert {"kl_per_event", "mean_wasserstein", "two_sample_auc"} <= set(metrics["rival"])
    assert all(math.isfinite(number) for number in numbers({k: metrics[k] for k in ("kl_per_event", "diphoton")}))
    distance = metrics["mean_wasserstein"]
    assert distance["excess"] == pytest.approx(distance["value"] - distance["floor"], rel=1e-12)
    # Resolution of two photons of 125 GeV together, see simulate.md: between one and four GeV for any ET.
    assert 124 < metrics["diphoton"]["target"]["mass_mean"] < 126
    assert 1 < metrics["diphoton"]["target"]["mass_sd"] < 4


def test_only_the_test_split_is_judged(journey):
    folder, _ = journey
    events = json.loads((folder / "report" / "metrics.json").read_text())["events"]
    # A tenth of 20,000, within five standard deviations of a binomial number.
    assert abs(events["judged"] - 2000) < 5 * math.sqrt(20_000 * 0.1 * 0.9)


def test_the_report_is_one_page_with_every_figure(journey):
    folder, _ = journey
    page = (folder / "report" / "report.html").read_text()
    pictures = {path.stem for path in (folder / "report" / "figures").glob("*.png")}
    assert {"response", "resolution", "mass", "pt", "correlation", "history"} <= pictures
    assert pictures == {path.stem for path in (folder / "report" / "figures").glob("*.pdf")}
    assert page.count("data:image/png;base64,") >= len(pictures)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (folder / "index.html").stat().st_size > 10_000


def test_a_sampled_file_keeps_what_it_was_given_and_tells_where_it_comes_from(journey):
    folder, results = journey
    given, sampled = read(folder / "events.root"), read(folder / "sampled.root")
    for name in ("run", "luminosityBlock", "event", "weight", "mu", "photon_et_true", "photon_phi_true"):
        np.testing.assert_array_equal(given[name], sampled[name])
    assert not np.array_equal(given["photon_et"], sampled["photon_et"])
    assert np.abs(sampled["photon_phi"]).max() <= np.pi
    sidecar = json.loads((folder / "sampled.root.json").read_text())
    assert sidecar["provenance"]["model"] == results["train"].json["model"]
    assert sidecar["provenance"]["inputs"] == {"events.root": results["generate"].json["sha256"]}
    assert sidecar["counts"]["flagged"] == int(np.sum(sampled["out_of_support"])) < 200


def test_a_dry_run_writes_nothing(journey, tmp_path):
    folder, _ = journey
    before = sorted(path for path in folder.rglob("*"))
    for words in (
        ("generate", "diphoton", "--process", "toy", "--events", 10**7, "-o", tmp_path / "new.root"),
        ("simulate", "train", folder / "response.toml", "-o", tmp_path / "run"),
        ("simulate", "sample", folder / "run", folder / "events.root", "-o", tmp_path / "new.root"),
        ("simulate", "evaluate", folder / "run", folder / "events.root", "-o", tmp_path / "report"),
    ):
        summary = here(*words, "--dry-run", "--json").good().json
        assert summary["dry_run"] is True
        assert summary["estimated_seconds"] > 0
    assert listing(tmp_path) == {}
    assert sorted(path for path in folder.rglob("*")) == before


def test_draws_are_told_apart_and_the_first_is_the_single_one(toy, run, tmp_path):
    here("simulate", "sample", run, toy, "-o", tmp_path / "one.root").good()
    here("simulate", "sample", run, toy, "-o", tmp_path / "three.root", "--draws", 3).good()
    one, three = read(tmp_path / "one.root"), read(tmp_path / "three.root")
    assert len(three) == 3 * len(one)
    pairs = np.stack([three["event_index"], three["replica"]], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(three)
    first = three.take(np.asarray(three["replica"]) == 0)
    for name in one.names:
        np.testing.assert_array_equal(first[name], one[name])
    second = three.take(np.asarray(three["replica"]) == 1)
    assert not np.any(np.asarray(second["photon_et"]) == np.asarray(one["photon_et"]))
    np.testing.assert_array_equal(np.asarray(one["event"])[three["event_index"]], three["event"])


def test_workers_do_not_change_the_content(toy, run, tmp_path):
    """Units of work are 100,000 generated events, and each draw of a sampled range."""
    words = "generate diphoton --process toy --events 101000".split()
    here(*words, "-o", tmp_path / "one.root").good()
    typed(*words, "-o", tmp_path / "two.parquet", "--workers", 2).good()
    assert column_hashes(tmp_path / "one.root") == column_hashes(tmp_path / "two.parquet")
    words = ("simulate", "sample", run, toy, "--draws", 3)
    here(*words, "-o", tmp_path / "1.parquet").good()
    typed(*words, "-o", tmp_path / "2.parquet", "--workers", 2).good()
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    here(*words, "-o", tmp_path / "other.parquet", "--seed", 2).good()
    assert column_hashes(tmp_path / "other.parquet")["photon_et"] != column_hashes(tmp_path / "1.parquet")["photon_et"]


def rewritten(source, path, change=lambda table: table, rename=None):
    """Write the table of ``source`` to a file without a sidecar, changed and with renamed columns."""
    table = change(read(source))
    names = {name: (rename or {}).get(name, name) for name in table.names}
    with open_reader(source) as reader:
        stored = reader.columns()
    specs = [
        ColumnSpec(name=names[name], dtype=stored[name].dtype, shape=stored[name].length or "flat")
        for name in table.names
    ]
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(type(table)({names[name]: table[name] for name in table.names}))
    return path


def test_conditions_outside_the_training_range_are_flagged_and_refused_if_strict(toy, run, tmp_path):
    def shift(table):
        mu = np.array(table["mu"])
        mu[7] = 500.0
        return table.with_columns({"mu": mu})

    path = rewritten(toy, tmp_path / "shifted.root", shift)
    result = here("simulate", "sample", run, path, "-o", tmp_path / "s.root", "--json").good()
    flags = np.asarray(read(tmp_path / "s.root")["out_of_support"])
    assert flags[7]
    assert flags.sum() == result.json["flagged"] < 0.01 * len(flags)
    assert "outside the training range" in result.err
    before = listing(tmp_path)
    sentence = here("simulate", "sample", run, path, "-o", tmp_path / "t.root", "--strict").refused(3)
    assert "mu = 500" in sentence or "in row" in sentence
    assert listing(tmp_path) == before


@pytest.mark.usefixtures("no_figures")
def test_a_converted_training_file_is_recognised(toy, run, tmp_path):
    copy = rewritten(toy, tmp_path / "converted.parquet")
    longer = tmp_path / "longer.root"
    here("generate", "diphoton", "--process", "toy", "--events", 8000, "-o", longer).good()  # the same seed
    sentence = here("simulate", "evaluate", run, copy, "-o", tmp_path / "report").refused(3)
    assert "only 3" in sentence or "only 4" in sentence  # about a tenth of 4,000, the test events, is new
    here("simulate", "evaluate", run, longer, "-o", tmp_path / "report")
    events = json.loads((tmp_path / "report" / "metrics.json").read_text())["events"]
    assert events["learned_from"] + events["judged"] == 8000
    assert 0.85 * 4000 < events["learned_from"] < 0.95 * 4000


@pytest.mark.usefixtures("no_figures")
def test_renamed_branches_without_a_sidecar(run, tmp_path):
    rename = {"photon_et_true": "gen pt", "photon_et": "reco_pt", "mu": "nPU"}
    toy = tmp_path / "new.root"
    here("generate", "diphoton", "--process", "toy", "--events", 4000, "--seed", 5, "-o", toy).good()
    path = rewritten(toy, tmp_path / "foreign.parquet", rename=rename)
    options = [word for column, branch in rename.items() for word in ("--rename", f"{column}={branch}")]
    result = here("simulate", "evaluate", run, path, "-o", tmp_path / "report", *options)
    assert result.code in (0, 5), result.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["kl_per_event"] is None
    assert metrics["diphoton"] is not None
    assert metrics["events"]["judged"] == 4000, "nothing of a file the run has not seen is left out"
    here("simulate", "sample", run, path, "-o", tmp_path / "out.root", *options[:2], *options[4:]).good()
    np.testing.assert_array_equal(read(tmp_path / "out.root")["photon_et_true"], read(toy)["photon_et_true"])
    sentence = here("simulate", "sample", run, path, "-o", tmp_path / "no.root").refused(3)
    assert "photon_et_true" in sentence or "mu" in sentence


def test_a_read_only_input_folder(toy, run, tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    shutil.copy(toy, folder / "toy.root")
    config = write_config(folder / "toy.toml", "toy.root", epochs=1)
    before = listing(folder)
    folder.chmod(0o555)
    try:
        here("simulate", "train", config, "-o", tmp_path / "run").good()
        here("simulate", "sample", tmp_path / "run", folder / "toy.root", "-o", tmp_path / "s.root").good()
        if os.getuid() != 0:  # root may write anywhere
            here("simulate", "sample", tmp_path / "run", folder / "toy.root", "-o", folder / "s.root").refused(1)
    finally:
        folder.chmod(0o755)
    assert listing(folder) == before


def test_pythia_events_end_to_end(tmp_path):
    pytest.importorskip("pythia8mc", exc_type=ImportError)
    words = "generate diphoton --process ttH --events 200 --workers 2 --json"
    assert typed(*words.split(), "-o", tmp_path / "tth.root").good().json["events"] == 200
    here("generate", "diphoton", "--events", 200, "-o", tmp_path / "again.root").good()
    assert column_hashes(tmp_path / "again.root") == column_hashes(tmp_path / "tth.root")
    config = write_config(tmp_path / "tth.toml", "tth.root", epochs=1)
    here("simulate", "train", config, "-o", tmp_path / "run").good()
    here("simulate", "sample", tmp_path / "run", tmp_path / "tth.root", "-o", tmp_path / "s.root").good()
    assert len(read(tmp_path / "s.root")) == 200
