"""castalia unfold from files to a report, on a second topology that no code knows of."""

import json
import re
import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from castalia_console import column_hashes, here, listing, read
from z_toys import CONFIG, MASS, config, events, write

from castalia.apps.unfold.model import open_model
from castalia.apps.unfold.sample_file import read_unfolded

TEST_EVENTS = 2_600


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Training events, fresh events, and a run trained on the former."""
    path = tmp_path_factory.mktemp("unfold")
    write(path / "z.parquet", events(6_000))
    write(path / "fresh.parquet", events(TEST_EVENTS, seed=2))
    summary = here("unfold", "train", config(path), "-o", path / "run", "--json").good().json
    assert summary["training_events"] + summary["validation_events"] == pytest.approx(5_400, abs=100)
    return path


def sampled(folder, output, *words):
    return here("unfold", "sample", folder / "run", folder / "fresh.parquet", "-o", output, *words)


def test_unfolded_events_know_their_truth(folder, tmp_path):
    summary = sampled(folder, tmp_path / "u.parquet", "--draws", 20, "--json").good().json
    assert summary["events"] == TEST_EVENTS
    assert summary["flagged"] < 0.02 * TEST_EVENTS
    found = read_unfolded(tmp_path / "u.parquet")
    assert found.values.shape[:2] == (TEST_EVENTS, 20)
    names = [column.name for column in found.columns]
    assert {"z_energy", "z_mass", "plus_px"} <= set(names)
    truth = read(folder / "fresh.parquet")
    px = np.asarray(truth["true_plus_pt"]) * np.cos(np.asarray(truth["true_plus_phi"]))
    mean = found.values[:, :, names.index("plus_px")].mean(axis=1)
    assert np.corrcoef(mean, px)[0, 1] > 0.8
    # Negative control: the draws of other events.
    assert np.corrcoef(np.roll(mean, 1), px)[0, 1] < 0.1
    # Every sum closes, and masses of leaves are what they were.
    table = read(tmp_path / "u.parquet")
    np.testing.assert_allclose(table["plus_px"] + table["minus_px"], table["z_px"], atol=1e-9)
    np.testing.assert_allclose(table["plus_mass"], MASS, rtol=1e-12)


def test_what_is_told_which_lepton_it_is_is_drawn_close_to_it(folder, tmp_path):
    path = config(tmp_path, truth='measured_as = { plus = "lepton" }', epochs=12)
    path.write_text(path.read_text().replace("z.parquet", str(folder / "z.parquet")))
    here("unfold", "train", path, "-o", tmp_path / "run").good()
    truth = read(folder / "fresh.parquet")
    own = truth["lepton_charge"] > 0
    measured = ak.fill_none(ak.firsts(truth["lepton_phi"][own]), np.nan).to_numpy()[:, None]

    def far(run):
        words = (run, folder / "fresh.parquet", "-o", tmp_path / "draws.parquet", "--draws", 5, "--overwrite")
        here("unfold", "sample", *words).good()
        drawn = read(tmp_path / "draws.parquet")
        off = np.arctan2(ak.to_numpy(drawn["plus_py"]), ak.to_numpy(drawn["plus_px"])) - measured
        return np.nanmedian(np.abs(np.mod(off + np.pi, 2 * np.pi) - np.pi))

    assert far(tmp_path / "run") < 0.85 * far(folder / "run")
    path.write_text(path.read_text().replace("{ plus = ", "{ top = "))
    assert "measured_as names 'top', which is no particle; choose from plus, minus" in here(
        "unfold", "train", path, "-o", tmp_path / "other"
    ).refused(2)


def test_in_a_frame_a_turned_detector_draws_a_turned_truth(folder, tmp_path):
    path = config(tmp_path, truth='frame = ["lepton"]\nanchor = "plus"', epochs=2)
    path.write_text(path.read_text().replace("z.parquet", str(folder / "z.parquet")))
    here("unfold", "train", path, "-o", tmp_path / "run").good()
    table, angle = events(200, seed=4), 1.0
    turned = table.with_columns(
        {name: np.mod(table[name] + angle + np.pi, 2 * np.pi) - np.pi for name in ("lepton_phi", "jet_phi")}
    )
    write(tmp_path / "straight.parquet", table)
    write(tmp_path / "turned.parquet", turned)

    def phi(run, name):
        output = tmp_path / f"{run.parent.name}_{name}"
        # The draws depend on the file's content: of a single event there is one number to compare, a distribution's.
        here("unfold", "sample", run, tmp_path / name, "-o", output, "--draws", 400).good()
        drawn = read(output)
        x, y = (np.asarray(ak.to_numpy(drawn[f"z_{axis}"])) for axis in ("px", "py"))
        return np.arctan2(y.mean(axis=1), x.mean(axis=1))

    def off(run):
        difference = phi(run, "turned.parquet") - phi(run, "straight.parquet") - angle
        return np.abs(np.sin(difference / 2))

    there = np.asarray(ak.num(table["lepton_pt"])) > 0
    assert np.median(off(tmp_path / "run")[there]) < 0.5 * np.median(off(folder / "run")[there])


def test_workers_and_resumption_change_nothing(folder, tmp_path):
    sampled(folder, tmp_path / "one.parquet", "--draws", 3).good()
    sampled(folder, tmp_path / "two.parquet", "--draws", 3, "--workers", 2).good()
    assert column_hashes(tmp_path / "one.parquet") == column_hashes(tmp_path / "two.parquet")
    sampled(folder, tmp_path / "other.parquet", "--draws", 3, "--seed", 2).good()
    assert column_hashes(tmp_path / "one.parquet")["z_px"] != column_hashes(tmp_path / "other.parquet")["z_px"]


def test_data_need_no_truth(folder, tmp_path):
    table = events(50, seed=3)
    data = table.without([name for name in table.names if name.startswith("true_")])
    write(tmp_path / "data.parquet", data)
    summary = here("unfold", "sample", folder / "run", tmp_path / "data.parquet", "-o", tmp_path / "u.root", "--json")
    assert summary.good().json["events"] == 50
    assert read_unfolded(tmp_path / "u.root").values.shape[1] == 10


def test_an_evaluation_with_its_control(folder, tmp_path):
    words = ("unfold", "evaluate", folder / "run", folder / "fresh.parquet", "-o", tmp_path / "report", "--draws", 40)
    summary = here(*words, "--json").good().json
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    posterior, control = metrics["posterior"], metrics["control"]
    assert summary["test_events"] == metrics["test_events"] == TEST_EVENTS
    assert posterior["crps"]["value"] + 10 * posterior["crps"]["error"] < control["crps"]["value"]
    # The control is perfect where the detector is not looked at, and found out where it is.
    assert control["distances_continuous"]["wasserstein"]["ratio"] < 1.5
    assert control["joint_auc"]["value"] > 0.9 > posterior["joint_auc"]["value"]
    assert control["calibration"]["calibrated"] > posterior["calibration"]["calibrated"] / 2
    assert posterior["consistency"]["z"]["daughters"]["violation"] < 1e-6
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Does it know the event?" in page
    for name in ("directions", "spectra", "posteriors", "ranks", "coverage", "migration", "corner"):
        assert (tmp_path / "report" / "figures" / f"{name}.png").stat().st_size > 10_000


def test_a_posterior_that_knows_nothing_fails(folder, tmp_path):
    """What is measured is another event's: the gate sees it, and the marginal distances do not."""
    table = events(TEST_EVENTS, seed=2)
    wrong = np.roll(np.arange(TEST_EVENTS), 1)
    measured = [name for name in table.names if not name.startswith("true_") and name not in ("event",)]
    write(tmp_path / "wrong.parquet", table.with_columns({name: table[name][wrong] for name in measured}))
    words = ("unfold", "evaluate", folder / "run", tmp_path / "wrong.parquet", "-o", tmp_path / "report")
    sentence = here(*words, "--draws", 40).refused(5)
    assert "does not know the event" in sentence


def test_the_test_split_is_what_was_not_learned(folder, tmp_path):
    words = ("unfold", "evaluate", folder / "run", folder / "z.parquet", "-o", tmp_path / "report")
    assert "only 5" in here(*words).refused(3) or "only 6" in here(*words).refused(3)


def test_fewer_events_than_are_needed_are_not_asked_for(folder, tmp_path):
    words = ("unfold", "evaluate", folder / "run", folder / "fresh.parquet", "-o", tmp_path / "report", "--dry-run")
    assert "--events 1999: at least 2000 events are needed" in here(*words, "--events", 1999).refused(2)
    assert here(*words, "--events", 2000, "--json").good().json["test_events"] == 2_000


@pytest.mark.parametrize("preset", ["vld", "cinn"])
def test_other_models_by_their_names(folder, tmp_path, preset):
    options = {
        "vld": "encoder = { width = 16, heads = 2, blocks = 1 }",
        "cinn": "blocks = 2, hidden = [16, 16], encoder = { width = 16, heads = 2, blocks = 1 }",
    }[preset]
    write(tmp_path / "z.parquet", events(800))
    path = config(tmp_path, "cartesian", preset, options, epochs=1)
    here("unfold", "train", path, "-o", tmp_path / "run").good()
    words = ("unfold", "sample", tmp_path / "run", folder / "fresh.parquet", "-o", tmp_path / "u.parquet")
    assert here(*words, "--draws", 2, "--json").good().json["events"] == TEST_EVENTS
    assert not np.array_equal(read(tmp_path / "u.parquet")["plus_px"] + read(tmp_path / "u.parquet")["minus_px"],
                              read(tmp_path / "u.parquet")["z_px"])  # fmt: skip


def test_events_without_a_truth_are_left_out(tmp_path):
    table = events(1_500)
    fiducial = np.arange(1_500) % 5 > 0
    hidden = {name: np.where(fiducial, table[name], np.nan) for name in table.names if name.startswith("true_")}
    write(tmp_path / "z.parquet", table.with_columns({**hidden, "fiducial": fiducial}))
    path = config(tmp_path, truth='defined = "fiducial"', epochs=1)
    summary = here("unfold", "train", path, "-o", tmp_path / "run", "--json").good().json
    assert summary["training_events"] + summary["validation_events"] < 1_150
    words = ("unfold", "evaluate", tmp_path / "run", tmp_path / "z.parquet", "-o", tmp_path / "report", "--dry-run")
    assert "only 1" in here(*words).refused(3)
    # Without that line the NaN are found.
    assert "NaN" in here("unfold", "train", config(tmp_path, epochs=1), "-o", tmp_path / "other").refused(3)


def test_a_run_that_has_not_kept_the_largest_energy_is_opened(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    path = tmp_path / "run" / "models" / "posterior" / "model.json"
    record = json.loads(path.read_text())
    kept = record["extra"].pop("largest")
    path.write_text(json.dumps(record))
    found = open_model(tmp_path / "run").largest
    assert (found > 0.0).all()
    assert (found <= kept).all()


def test_only_selected_events_are_unfolded(folder, tmp_path):
    table = events(400)
    write(tmp_path / "z.parquet", table.with_columns({"good": np.arange(400) % 4 > 0}))
    path = config(tmp_path, data='selection = "good"', epochs=1)
    here("unfold", "train", path, "-o", tmp_path / "run").good()
    words = ("unfold", "sample", tmp_path / "run", tmp_path / "z.parquet", "-o", tmp_path / "u.parquet", "--json")
    summary = here(*words).good().json
    assert (summary["events"], summary["unselected"]) == (300, 100)
    assert (np.asarray(read(tmp_path / "u.parquet")["event"]) % 4 > 0).all()
    write(tmp_path / "none.parquet", table.with_columns({"good": np.zeros(400, dtype=bool)}))
    said = here(*words[:3], tmp_path / "none.parquet", "-o", tmp_path / "none_u.parquet").good().err
    assert "no event of the input is selected" in said
    words = ("unfold", "sample", tmp_path / "run", folder / "fresh.parquet", "-o", tmp_path / "other.parquet")
    assert "'good'" in here(*words).refused(3)
    # What was not selected is not looked at; the others are.
    bad = np.where(np.isin(np.arange(400), [4, 5]), np.nan, table["met"])
    write(tmp_path / "nan.parquet", table.with_columns({"met": bad, "good": np.arange(400) % 4 > 0}))
    words = ("unfold", "sample", tmp_path / "run", tmp_path / "nan.parquet", "-o", tmp_path / "nan.out.parquet")
    assert "'met' has 1 values that are NaN or infinite (first in row 5)" in here(*words).refused(3)
    assert here(*words, "--skip-bad", 1, "--json").good().json["events"] == 299


def test_every_row_tells_its_place_in_the_input(folder, tmp_path):
    """Whether or not there are identifiers, and whatever was left out: files count one after the other."""
    table = events(60, seed=3).without(["run", "luminosityBlock", "event"])
    first = np.where(np.arange(60) == 7, np.nan, table["met"])
    write(tmp_path / "b.parquet", table.with_columns({"met": first}))
    write(tmp_path / "a.parquet", table.take(np.arange(1, 60)))
    words = (folder / "run", tmp_path / "b.parquet", tmp_path / "a.parquet", "-o", tmp_path / "u.parquet")
    here("unfold", "sample", *words, "--skip-bad", 1).good()
    expected = [row for row in range(119) if row != 7]
    assert np.asarray(read(tmp_path / "u.parquet")["event_index"]).tolist() == expected
    sidecar = json.loads((tmp_path / "u.parquet.json").read_text())
    assert [Path(name).name for name in sidecar["provenance"]["inputs"]] == ["b.parquet", "a.parquet"]


def test_data_need_no_weight(tmp_path):
    table = events(400)
    weight = np.linspace(0.5, 1.5, 400)
    write(tmp_path / "z.parquet", table.with_columns({"w": weight}))
    here("unfold", "train", config(tmp_path, data='weight = "w"', epochs=1), "-o", tmp_path / "run").good()
    write(tmp_path / "data.parquet", table)
    found = {}
    for name in ("z", "data"):
        words = ("unfold", "sample", tmp_path / "run", tmp_path / f"{name}.parquet", "-o", tmp_path / f"{name}.root")
        here(*words).good()
        found[name] = read_unfolded(tmp_path / f"{name}.root").weights
    np.testing.assert_array_equal(found["z"], weight)
    np.testing.assert_array_equal(found["data"], np.ones(400))
    # What the user names must be there, and so must the weight of all files where one has it.
    assert "'other' (for column 'w')" in here(*words, "--rename", "w=other", "--overwrite").refused(3)
    assert "branch 'w' is not there" in here(*words, tmp_path / "z.parquet", "--overwrite").refused(3)
    summary = here(*words, tmp_path / "z.parquet", "--overwrite", "--skip-bad-files", "--json").good().json
    assert (summary["events"], summary["skipped_files"]) == (400, 1)


def test_batches_without_selected_events_are_empty(folder, tmp_path):
    """A batch is 1024 rows."""
    table = events(2_100, seed=6)
    write(tmp_path / "z.parquet", table.with_columns({"good": np.arange(2_100) < 500}))
    here("unfold", "train", config(tmp_path, data='selection = "good"', epochs=1), "-o", tmp_path / "run").good()
    write(tmp_path / "some.parquet", table.with_columns({"good": np.arange(2_100) >= 2_050}))
    write(tmp_path / "none.parquet", table.with_columns({"good": np.zeros(2_100, dtype=bool)}))
    found = {}
    for name in ("some", "none"):
        words = (tmp_path / "run", tmp_path / f"{name}.parquet", "-o", tmp_path / f"{name}.root", "--json")
        summary = here("unfold", "sample", *words).good().json
        assert (summary["events"], summary["unselected"], summary["read"]) == (
            (50, 2_050, 2_100) if name == "some" else (0, 2_100, 2_100)
        )
        with uproot.open(tmp_path / f"{name}.root") as file:
            found[name] = file["events"].typenames(), file["events"].num_entries
    assert found["none"] == (found["some"][0], 0)


def test_a_dry_run_writes_nothing(folder, tmp_path):
    before = listing(folder)
    for words in (
        ("train", folder / "z.toml", "-o", tmp_path / "run"),
        ("sample", folder / "run", folder / "fresh.parquet", "-o", tmp_path / "u.parquet"),
        ("evaluate", folder / "run", folder / "fresh.parquet", "-o", tmp_path / "report"),
    ):
        summary = here("unfold", *words, "--dry-run", "--json").good().json
        assert summary["dry_run"] is True
        assert summary["estimated_seconds"] > 0
    assert listing(folder) == before
    assert not any(tmp_path.iterdir())


def test_no_jets_and_ten_jets_and_what_is_outside(folder, tmp_path):
    count = 30
    table = events(count, seed=5)
    jets = np.where(np.arange(count) % 2, 10, 0)
    lists = {"jet_pt": ak.unflatten(np.full(jets.sum(), 40.0), jets)}
    lists["jet_phi"] = ak.unflatten(np.zeros(jets.sum()), jets)
    write(tmp_path / "jets.parquet", table.with_columns(lists))
    words = ("unfold", "sample", folder / "run", tmp_path / "jets.parquet", "-o", tmp_path / "u.parquet")
    assert here(*words, "--json").good().json["flagged"] >= count // 2
    flagged = np.asarray(read(tmp_path / "u.parquet")["out_of_range"])
    assert flagged[1::2].all()
    assert not flagged[::2].all()
    sentence = here(*words, "--strict", "--overwrite").refused(3)
    assert re.search(r"jets.parquet: number of jet = 10 \(trained on 0 to \d\) in row 1 is outside", sentence)


def test_runs_of_other_commands_and_other_models(folder, run, tmp_path):
    words = ("unfold", "sample", run, folder / "fresh.parquet", "-o", tmp_path / "u.parquet")
    assert "is a run of 'simulate'" in here(*words).refused(4)
    config(tmp_path, preset="compact", options="")
    write(tmp_path / "z.parquet", events(300))
    assert "unfold_flow_matching" in here("unfold", "train", tmp_path / "z.toml", "-o", tmp_path / "run").refused(2)


def test_a_list_that_is_always_empty_is_named(tmp_path):
    none = ak.unflatten(np.zeros(0), np.zeros(300, dtype=int))
    write(tmp_path / "z.parquet", events(300).with_columns({"jet_pt": none, "jet_phi": none}))
    sentence = here("unfold", "train", config(tmp_path, epochs=1), "-o", tmp_path / "run").refused(3)
    assert "The list 'jet' of the condition has no object in any training event; leave it out" in sentence
    assert not (tmp_path / "run").exists()


def test_what_a_configuration_cannot_say(tmp_path):
    write(tmp_path / "z.parquet", events(300))
    for old, new, what in (
        ('z = ["plus", "minus"]', 'z = ["plus", "other"]', "'other'"),
        ('resonances = ["z"]', 'resonances = ["y"]', "'y'"),
        ('minus = "true_minus"', 'minus = "false_minus"', "false_minus"),
        ("batch_size = 128", "batch = 128", "did you mean 'batch_size'"),
    ):
        text = config(tmp_path, epochs=1).read_text()
        assert old in text
        (tmp_path / "z.toml").write_text(text.replace(old, new))
        ended = here("unfold", "train", tmp_path / "z.toml", "-o", tmp_path / "run")
        assert what in ended.refused(3 if "false" in new else 2), new
    assert "[truth]" in CONFIG
