"""castalia unfold measure from files to a report, on a topology that no code knows of."""

import hashlib
import json
import subprocess
import sys

import awkward as ak
import numpy as np
import pytest
from castalia_console import environment, here, listing, read
from z_toys import config, events, write

from castalia.apps.unfold.measurement.config import parse_measurement
from castalia.apps.unfold.measurement.observed import Observer
from castalia.apps.unfold.measurement.samples import read_samples
from castalia.apps.unfold.model import open_model
from castalia.apps.unfold.sample_file import read_unfolded
from castalia.data.table import Table
from castalia.rng import Stream

SETTINGS = """\
run = "run"
methods = [{methods}]
simulation = ["{simulation}"]
data = ["{data}"]
passes = {passes}
replicas = {replicas}
draws = 3
epochs = 1

{more}

[observables.pt_z]
quantity = "z_pt"
bins = [0, 15, 30, 50, 80, 150]
{detector}
"""
BINS = np.array([0.0, 15.0, 30.0, 50.0, 80.0, 150.0])
LEPTON = 'detector = "lepton_1_pt"'
"""A counterpart that needs no draws."""


def sample(count, seed, harder=0.0):
    """Two leptons are selected; a Z in the forward direction has no truth; ``harder`` is a fault of the detector."""
    table = events(count, seed)
    selected = np.asarray(ak.num(table["lepton_pt"], axis=1)) == 2
    defined = np.abs(np.asarray(table["true_plus_eta"])) < 3.0
    truth = {n: np.where(defined, table[n], np.nan) for n in table.names if n.startswith("true_")}
    lists = {"lepton_pt": table["lepton_pt"] * (1.0 + harder)}
    met = np.where(selected, table["met"], np.nan)  # what is not selected is not looked at
    return table.with_columns({**truth, **lists, "met": met, "selected": selected, "defined": defined})


def measurement(folder, name="m.toml", **words):
    defaults = {"methods": '"iterative_bayes"', "simulation": "sim.parquet", "data": "data.parquet", "passes": 2,
                "replicas": 9, "more": "", "detector": LEPTON}  # fmt: skip
    path = folder / name
    path.write_text(SETTINGS.format(**defaults | words))
    return path


def measured(path, output, *words):
    return here("unfold", "measure", path, "-o", output, *words)


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
    """Draw figures in one test only."""
    if request.node.name == "test_all_methods_to_a_report":
        return
    monkeypatch.setattr("castalia.apps.unfold.measurement.measure.draw_figures", lambda *_: {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("measure")
    write(path / "z.parquet", sample(1_500, 1))
    write(path / "sim.parquet", sample(4_000, 2))
    write(path / "data.parquet", sample(3_000, 3))
    write(path / "tune.parquet", sample(3_000, 4, harder=0.1))
    write(path / "other.parquet", sample(3_000, 5))
    small = "hidden = [8], encoder = { width = 8, heads = 1, blocks = 1 }"
    words = {"data": 'selection = "selected"', "truth": 'defined = "defined"', "options": small, "epochs": 1}
    here("unfold", "train", config(path, **words), "-o", path / "run").good()
    return path


def test_all_methods_to_a_report(folder, tmp_path):
    methods = '"posterior", "omnifold", "iterative_bayes"'
    path = measurement(folder, "all.toml", methods=methods, replicas=2, passes=1, detector="",
                       more='[variations.tune]\nsimulation = ["tune.parquet"]')  # fmt: skip
    ended = measured(path, tmp_path / "report", "--json")
    assert ended.code in (0, 5), ended.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    names = {"posterior", "omnifold", "iterative_bayes"}
    assert set(metrics["observables"]["pt_z"]) == names
    for name, one in metrics["observables"]["pt_z"].items():
        parts = [np.array(one["covariance"][part]) for part in ("statistical", "simulation", "systematic")]
        np.testing.assert_allclose(sum(parts), one["covariance"]["total"], rtol=1e-6, atol=1e-6)
        assert all(np.trace(part) > 0 for part in parts)
        assert one["bottom_line"] is None  # with two replicas nothing can be said of five bins
        result = name if name != "iterative_bayes" else "iterative_bayes_pt_z"
        assert metrics["passes"][result]["stopped_after"] == 1
        unfolded = read_unfolded(tmp_path / "report" / "unfolded" / f"{result}.parquet")
        np.testing.assert_allclose(unfolded.histogram("pt_z", BINS).contents, one["contents"], rtol=1e-6)
        random = set() if name == "iterative_bayes" else {"classifier"}
        assert {replica.source for replica in unfolded.replicas} == {"data", "simulation", "tune"} | random
        # Where it comes from: model and every file by their hashes.
        files = [folder / f"{stem}.parquet" for stem in ("sim", "data", "tune")]
        assert unfolded.inputs == {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        assert len(unfolded.model) == 64
        assert unfolded.provenance["configuration"]["run"] == unfolded.provenance["run"] == str(folder / "run")
    # The truth of the data stands beside, events that were not selected included.
    data = read(folder / "data.parquet")
    assert sum(one["truth"]) == pytest.approx(np.sum(np.asarray(data["defined"])), rel=0.02)
    weights = read(tmp_path / "report" / "weights.parquet")
    simulation = read(folder / "sim.parquet")
    np.testing.assert_array_equal(weights["event"], simulation["event"][simulation["defined"]])
    assert {f"weight_{name}" for name in ("posterior", "omnifold", "iterative_bayes_pt_z")} < set(weights.names)
    assert metrics["counts"]["simulation"]["selected"] == int(np.sum(np.asarray(simulation["selected"])))
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Refolding" in page
    for figure in ("spectra", "passes", "correlations", "refolded"):
        assert (tmp_path / "report" / "figures" / f"{figure}.png").stat().st_size > 10_000


@pytest.mark.statistical
def test_closure_and_the_bottom_line(folder, tmp_path):
    summary = measured(measurement(folder, "closure.toml", replicas=40), tmp_path / "report", "--json").good().json
    assert summary["gate"] == "passed"
    one = json.loads((tmp_path / "report" / "metrics.json").read_text())["observables"]["pt_z"]["iterative_bayes"]
    pulls = (np.array(one["contents"]) - one["truth"]) / np.array(one["errors"]["total"])
    assert np.abs(pulls).max() < 5
    # Control: what was selected is less than half of what is measured, bin by bin.
    data = read(folder / "data.parquet")
    pt = np.hypot(*(sum(np.asarray(data[f"true_{n}_pt"]) * of(np.asarray(data[f"true_{n}_phi"]))
                        for n in ("plus", "minus")) for of in (np.cos, np.sin)))  # fmt: skip
    kept = np.asarray(data["selected"]) & np.asarray(data["defined"])
    uncorrected = np.histogram(pt[kept], BINS)[0]
    assert np.abs((uncorrected - one["truth"]) / np.array(one["errors"]["total"])).max() > 5
    line = one["bottom_line"]
    assert line["passed"] == (line["unfolded"]["value"] <= line["detector"]["value"])
    assert one["against_truth"]["degrees"] == 5


def test_data_that_the_simulation_cannot_describe_fail_the_gate(folder, tmp_path):
    """A detector that measures far too much leaves no truth that refolds to the data."""
    table = sample(3_000, 6)
    narrow = {"lepton_pt": table["lepton_pt"] * 0.0 + 200.0 + 10.0 * ak.Array(table["lepton_eta"]) ** 2}
    write(tmp_path / "wrong.parquet", table.with_columns(narrow))
    path = measurement(folder, "wrong.toml", data=str(tmp_path / "wrong.parquet"))
    sentence = measured(path, tmp_path / "report").refused(5)
    assert "iterative_bayes_pt_z: refolded, it does not look like the data" in sentence
    assert (tmp_path / "report" / "report.html").exists()


def test_data_need_neither_truth_nor_weight(folder, tmp_path):
    table = sample(1_000, 7)
    data = table.without([n for n in table.names if n.startswith("true_") or n == "defined"])
    write(tmp_path / "bare.parquet", data)
    path = measurement(folder, "bare.toml", data=str(tmp_path / "bare.parquet"))
    measured(path, tmp_path / "report").good()
    one = json.loads((tmp_path / "report" / "metrics.json").read_text())["observables"]["pt_z"]["iterative_bayes"]
    assert one["truth"] is None
    assert one["against_truth"] is None


def test_the_same_seed_gives_the_same_result_and_results_load_without_torch(folder, tmp_path):
    path = measurement(folder, "again.toml")
    texts = []
    for name, words in (("a", ()), ("b", ()), ("c", ("--seed", 2))):
        measured(path, tmp_path / name, *words).good()
        texts.append((tmp_path / name / "metrics.json").read_text())
    assert texts[0] == texts[1] != texts[2]
    code = (
        "import sys; from pathlib import Path; from castalia.apps.unfold.sample_file import read_unfolded; "
        "print(len(read_unfolded(Path(sys.argv[1])).weights), 'torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a" / "unfolded" / "iterative_bayes_pt_z.parquet")]
    out = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True).stdout
    assert out.split()[1] == "False"
    assert int(out.split()[0]) > 3_000


def test_a_dry_run_writes_nothing(folder, tmp_path):
    before = listing(folder)
    path = measurement(tmp_path, methods='"posterior", "omnifold"', detector="",
                       **{key: str(folder / f"{key}.parquet") for key in ("data",)},
                       simulation=str(folder / "sim.parquet"))  # fmt: skip
    path.write_text(path.read_text().replace('run = "run"', f'run = "{folder / "run"}"'))
    summary = measured(path, tmp_path / "report", "--dry-run", "--json").good().json
    assert summary["dry_run"] is True
    assert summary["estimated_seconds"] > 1
    assert summary["data"]["events"] == 3_000
    assert not (tmp_path / "report").exists()
    assert listing(folder) == before


REFUSED = {
    "quantity": ({"detector": LEPTON + '\n[observables.b]\nquantity = "w_pt"\nbins = [0, 1]'}, 2,
                 "[observables.b]: there is no quantity 'w_pt'; choose from plus_pt"),
    "bins": ({"detector": LEPTON + '\n[observables.b]\nquantity = "z_pt"\nbins = [0, 20, 10]'}, 2,
             "the bins overlap (10 follows 20)"),
    "detector": ({"detector": 'detector = "jet_7_pt"'}, 2, "nothing measured is called 'jet_7_pt'; choose from met"),
    "method": ({"methods": '"svd"'}, 2, "'svd'"),
    "source": ({"more": '[variations.data]\nsimulation = ["tune.parquet"]'}, 2, "cannot be called 'data'"),
    "background data": ({"more": '[background.data]\nfiles = ["other.parquet"]'}, 2,
                        "[background] a background cannot be called 'data', which is another sample"),
    "folder": ({"detector": LEPTON + '\n[observables."x/../../evil"]\nquantity = "z_pt"\nbins = [0, 1]'}, 2,
               "[observables] 'x/../../evil' becomes a column and part of a file name"),
    "taken": ({"detector": LEPTON + '\n[observables.unfolded_weight]\nquantity = "z_pt"\nbins = [0, 1]'}, 2,
              "[observables] 'unfolded_weight' begins like the columns of weights"),
    "noise": ({"more": '[variations.classifier]\nsimulation = ["tune.parquet"]'}, 2, "cannot be called 'classifier'"),
    "empty bin": ({"detector": LEPTON + '\n[observables.b]\nquantity = "z_pt"\nbins = [5000, 6000]'}, 3,
                  "[observables.b]: no selected simulated event lies in the bin"),
    "no file": ({"data": "nothing.parquet"}, 3, "no such file; correct data"),
    "trained on": ({"simulation": "z.parquet"}, 3, "the run was trained on this file"),
    "twice": ({"simulation": "data.parquet"}, 3, "data.parquet: is given as simulation and as data"),
    "background": ({"more": '[background.w]\nfiles = ["other.parquet"]\nscale = 9.0'}, 3, "check the scale"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_measured_is_refused_in_a_sentence(name, folder, tmp_path):
    words, code, sentence = REFUSED[name]
    assert sentence in measured(measurement(folder, "bad.toml", **words), tmp_path / "report").refused(code)
    assert not (tmp_path / "report").exists()


def test_bad_files_are_refused_by_name(folder, tmp_path):
    table = sample(1_000, 8)
    rng = Stream(1, "test").at()
    copies = read(folder / "z.parquet")
    shuffled = copies.take(rng.permutation(len(copies)))
    cases = {
        "no_met": (table.without(["met"]), "'met'"),
        "unselected": (table.with_columns({"selected": np.zeros(1_000, dtype=bool)}), "none of the 1000 events is"),
        "copies": (Table({name: shuffled[name] for name in shuffled.names}), "were learned from, in whatever file"),
    }
    for name, (bad, sentence) in cases.items():
        write(tmp_path / f"{name}.parquet", bad)
        path = measurement(folder, f"{name}.toml", data=str(tmp_path / f"{name}.parquet"))
        assert sentence in measured(path, tmp_path / "report").refused(3), name
    write(tmp_path / "no_truth.parquet", table.without(["true_plus_pt"]))
    path = measurement(folder, "v.toml", more=f'[variations.v]\nsimulation = ["{tmp_path / "no_truth.parquet"}"]')
    assert "'true_plus_pt'" in measured(path, tmp_path / "report").refused(3)


def test_bad_files_among_many_are_left_out_where_asked_and_counted(folder, tmp_path):
    for number in range(3):
        write(tmp_path / f"part_{number}.parquet", sample(1_000, 20 + number))
    whole = (tmp_path / "part_1.parquet").read_bytes()
    (tmp_path / "part_1.parquet").write_bytes(whole[: len(whole) // 2])
    path = measurement(folder, "parts.toml", data=str(tmp_path / "part_*.parquet"))
    assert "part_1.parquet" in measured(path, tmp_path / "report").refused(3)
    found = measured(path, tmp_path / "report", "--skip-bad-files", "--json").good()
    counts = json.loads((tmp_path / "report" / "metrics.json").read_text())["counts"]["data"]
    assert (counts["events"], counts["skipped_files"]) == (2_000, 1)
    assert "part_1.parquet" in (tmp_path / "report" / "run.json").read_text()
    assert "left out" in found.err


def test_events_outside_the_training_range_are_counted_and_refused_where_asked(folder, tmp_path):
    table = sample(3_000, 6)
    hot = np.flatnonzero(np.asarray(table["selected"]))[[3, 40]]
    met = np.asarray(table["met"]).copy()
    met[hot] = 5_000.0
    write(tmp_path / "hot.parquet", table.with_columns({"met": met}))
    path = measurement(folder, "hot.toml", data=str(tmp_path / "hot.parquet"))
    found = measured(path, tmp_path / "report", "--json").good()
    normal = measured(measurement(folder), tmp_path / "normal", "--json").good()
    outside = [one.json["outside_training_range"]["data"] for one in (found, normal)]
    assert 2 <= outside[0] < 2 + 0.02 * len(table)
    assert outside[1] < 0.02 * len(table)  # control
    assert f"data: {outside[0]} of " in found.err
    sentence = measured(path, tmp_path / "strict", "--strict").refused(3)
    assert "is outside the training range" in sentence
    assert "data: " in sentence


def test_weights_tell_the_places_of_their_events(folder, tmp_path):
    """Of two files without identifiers, with a row that is left out."""
    defined = []
    for name, table in (("b", sample(1_500, 21)), ("a", sample(1_000, 22))):
        table = table.without(["run", "luminosityBlock", "event"])
        chosen = np.asarray(table["defined"])
        if name == "b":
            row = int(np.flatnonzero(chosen & np.asarray(table["selected"]))[3])
            table = table.with_columns({"met": np.where(np.arange(1_500) == row, np.nan, table["met"])})
            chosen = chosen & (np.arange(1_500) != row)
        write(tmp_path / f"{name}.parquet", table)
        defined.append(chosen)
    files = f'{tmp_path / "b.parquet"}", "{tmp_path / "a.parquet"}'
    path = measurement(folder, "places.toml", simulation=files, replicas=2, passes=1)
    ended = measured(path, tmp_path / "report", "--skip-bad", 1)
    assert ended.code in (0, 5), ended.err
    weights = read(tmp_path / "report" / "weights.parquet")
    np.testing.assert_array_equal(weights["event_index"], np.flatnonzero(np.concatenate(defined)))


def test_background_is_subtracted(folder, tmp_path):
    rows = {}
    for name, more in (("with", '[background.w]\nfiles = ["other.parquet"]\nscale = 0.5'), ("without", "")):
        measured(measurement(folder, f"{name}.toml", more=more), tmp_path / name).good()
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        rows[name] = np.array(metrics["observables"]["pt_z"]["iterative_bayes"]["contents"])
    # Half as many events of the same kind as the data's: half of these are left, within five standard errors.
    left = rows["with"].sum() / rows["without"].sum()
    assert abs(left - 0.5) < 5 * np.sqrt(0.25 / 2_000 + 0.25 / 2_000)


def test_a_counterpart_of_fewer_values_than_truth_bins_is_refused_before_anything_is_unfolded(
    folder, tmp_path, monkeypatch
):
    methods = '"omnifold", "iterative_bayes"'
    path = measurement(folder, "few.toml", methods=methods, detector='detector = "lepton_count"')
    monkeypatch.setattr("castalia.apps.unfold.measurement.measure.repeated", None)
    sentence = measured(path, tmp_path / "report").refused(3)
    # All selected events have two leptons, so that there are those with fewer and those with two.
    assert "[observables.pt_z], iterative Bayes: 2 detector bins cannot tell 5 truth bins apart" in sentence


def test_every_method_takes_simulated_weights_of_both_signs(tmp_path, monkeypatch):
    monkeypatch.setattr("castalia.apps.unfold.measurement.repeated._FITS", 1)
    signs = np.where(np.arange(3_000) % 5, 1.0, -1.0)
    for name, count, seed, weights in (("z", 600, 1, 1.0), ("sim", 3_000, 2, signs), ("data", 1_500, 3, 1.0)):
        write(tmp_path / f"{name}.parquet", sample(count, seed).with_columns({"w": np.ones(count) * weights}))
    small = "hidden = [8], encoder = { width = 8, heads = 1, blocks = 1 }"
    words = {"data": 'selection = "selected"\nweight = "w"', "truth": 'defined = "defined"', "options": small}
    here("unfold", "train", config(tmp_path, **words, epochs=1), "-o", tmp_path / "run").good()
    methods = '"posterior", "omnifold", "iterative_bayes"'
    ended = measured(measurement(tmp_path, methods=methods, replicas=2, passes=1), tmp_path / "report")
    assert ended.code in (0, 5), ended.err
    observables = json.loads((tmp_path / "report" / "metrics.json").read_text())["observables"]["pt_z"]
    for name, one in observables.items():
        assert sum(one["contents"]) == pytest.approx(sum(one["truth"]), rel=0.2), name


def test_members_of_an_ensemble_see_simulation_and_data_by_themselves(tmp_path):
    for name, count, seed in (("z", 600, 1), ("sim", 1_500, 2), ("data", 800, 3)):
        write(tmp_path / f"{name}.parquet", sample(count, seed))
    small = "hidden = [8], encoder = { width = 8, heads = 1, blocks = 1 }"
    words = {"data": 'selection = "selected"', "truth": 'defined = "defined"', "options": small, "epochs": 1}
    path = config(tmp_path, **words)
    path.write_text(path.read_text().replace("[model]", "[model]\nmembers = 3"))
    here("unfold", "train", path, "-o", tmp_path / "run").good()
    path = measurement(tmp_path, methods='"posterior"', replicas=2, passes=1, detector="")
    model, settings = open_model(tmp_path / "run"), parse_measurement(path.read_text(), path, tmp_path)
    observed = Observer(model, settings, 1).observe(read_samples(model, settings, tmp_path), int)
    member = observed.members[0]
    assert len(observed.members) == 2
    for levels in ((member.simulation.detector, observed.problem.simulation.detector),
                   (member.data.detector, observed.problem.data.detector),
                   (member.fakes.detector, observed.problem.fakes.detector),
                   (member.prior, observed.problem.prior), (member.draws, observed.problem.draws)):  # fmt: skip
        assert levels[0].shape == levels[1].shape
        assert not np.array_equal(*levels, equal_nan=True)
    assert len(member.fakes.weights) == int(member.simulation.fake.sum()) > 0
    np.testing.assert_array_equal(member.simulation.truth, observed.problem.simulation.truth)
    assert measured(path, tmp_path / "report").code in (0, 5)
    one = json.loads((tmp_path / "report" / "metrics.json").read_text())["observables"]["pt_z"]["posterior"]
    assert np.trace(one["covariance_by_source"]["ensemble"]) > 0
