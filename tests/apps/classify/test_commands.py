"""castalia classify from files to scores, by a model that learns in a second."""

import json
import os
import signal
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from castalia_console import column_hashes, here, listing, read
from class_toys import MODEL, PRETRAINING, TRAINING, config, events, write

from castalia.apps.classify.model import ClassifierRun
from castalia.apps.classify.train import train
from castalia.apps.classify.training_run import TrainRequest
from castalia.errors import ConfigError, StoppedError

EVENTS = 1_500
APPENDED = ("event_index", "score_light", "score_heavy", "out_of_range")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Training events, fresh events, a pre-training, and a run trained on the former from scratch."""
    path = tmp_path_factory.mktemp("classify")
    for name, heavy in (("light", False), ("heavy", True)):
        write(path / f"{name}.parquet", events(EVENTS, heavy))
        write(path / f"fresh_{name}.parquet", events(600, heavy, seed=2))
    write(path / "mixed.parquet", events(EVENTS, heavy=True, seed=3))
    (path / "pretrain.toml").write_text(PRETRAINING)
    here("classify", "pretrain", path / "pretrain.toml", "-o", path / "pretrained").good()
    summary = here("classify", "train", config(path), "-o", path / "run", "--json").good().json
    assert summary["training_events"] + summary["validation_events"] == pytest.approx(0.9 * 2 * EVENTS, rel=0.03)
    assert 0.5 <= summary["temperature"] <= 2.0
    return path


def predicted(folder, name, output, *words):
    return here("classify", "predict", folder / "run", folder / name, "-o", output, *words)


def fresh(folder):
    return {name: [folder / f"fresh_{name}.parquet"] for name in ("light", "heavy")}


def test_scores_tell_the_classes_apart(folder, tmp_path):
    scores = {}
    for name in ("light", "heavy"):
        summary = predicted(folder, f"fresh_{name}.parquet", tmp_path / f"{name}.parquet", "--json").good().json
        assert summary["events"] == 600
        assert summary["flagged"] < 0.02 * 600
        table = read(tmp_path / f"{name}.parquet")
        before = read(folder / f"fresh_{name}.parquet")
        assert table.names == (*before.names, *APPENDED)
        assert all(ak.array_equal(ak.Array(table[one]), ak.Array(before[one])) for one in before.names)  # lists too
        np.testing.assert_allclose(table["score_light"] + table["score_heavy"], 1.0, atol=1e-12)
        np.testing.assert_array_equal(table["event_index"], np.arange(600))
        scores[name] = np.asarray(table["score_heavy"])
    above = np.mean(scores["heavy"][:, None] > scores["light"])
    assert above > 0.6  # its error is 0.017
    # Negative control: scores of events whose jets are those of the other class.
    wrong = np.mean(scores["light"][:, None] > scores["heavy"])
    assert wrong < 0.4


def test_a_run_reads_labelled_events_that_it_never_saw(folder):
    run = ClassifierRun.open(folder / "run")
    assert run.classes == ("light", "heavy")
    found = run.events(fresh(folder))
    assert np.bincount(found.label).tolist() == [600, 600]
    sums = [float(found.batch.weight[found.label == number].sum()) for number in (0, 1)]
    assert sums == pytest.approx([600, 600], rel=1e-5)
    probability = run.probabilities(found.batch)
    assert probability.shape == (1200, 2)
    assert np.mean(probability[found.label == 1, 1]) > np.mean(probability[found.label == 0, 1]) + 0.05
    # Of its own files there is the test split; copies of what it learned from are left out of others.
    own = run.events()
    assert len(own.batch) == pytest.approx(0.1 * 2 * EVENTS, rel=0.25)
    assert own.counts["learned_from"] == 0
    mixed = write(folder / "copy.parquet", read(folder / "light.parquet").slice(0, 200))
    again = run.events({"light": [mixed], "heavy": [folder / "fresh_heavy.parquet"]})
    assert again.counts["learned_from"] == pytest.approx(180, abs=25)


def test_files_of_a_run_that_do_not_go_with_its_classes(folder):
    run = ClassifierRun.open(folder / "run")
    for files in ({"light": [folder / "fresh_light.parquet"]}, [folder / "fresh_light.parquet"]):
        with pytest.raises(ConfigError, match="name those of each of light, heavy"):
            run.events(files)


def test_workers_and_resumption_change_nothing(folder, tmp_path):
    predicted(folder, "fresh_heavy.parquet", tmp_path / "one.parquet").good()
    words = ("--workers", 2)
    two = here("classify", "predict", folder / "run", folder / "fresh_light.parquet", folder / "fresh_heavy.parquet",
               "-o", tmp_path / "two.parquet", *words)  # fmt: skip
    two.good()
    np.testing.assert_array_equal(
        read(tmp_path / "two.parquet")["score_heavy"][600:], read(tmp_path / "one.parquet")["score_heavy"]
    )
    assert read(tmp_path / "two.parquet")["event_index"][-1] == 1199
    again = predicted(folder, "fresh_heavy.parquet", tmp_path / "one.parquet", "--resume", "--json").good().json
    assert again["sha256"] == json.loads((tmp_path / "one.parquet.json").read_text())["file"]["sha256"]
    assert "--overwrite" in predicted(folder, "fresh_heavy.parquet", tmp_path / "one.parquet").refused(2)
    # Negative control: another run writes other scores.
    other = config(tmp_path)
    other.write_text(other.read_text().replace('"light', f'"{folder}/light').replace('"heavy', f'"{folder}/heavy'))
    here("classify", "train", other, "-o", tmp_path / "run", "--seed", 2).good()
    here("classify", "predict", tmp_path / "run", folder / "fresh_heavy.parquet", "-o", tmp_path / "o.parquet").good()
    hashes = column_hashes(tmp_path / "one.parquet"), column_hashes(tmp_path / "o.parquet")
    assert hashes[0]["event"] == hashes[1]["event"]
    assert hashes[0]["score_heavy"] != hashes[1]["score_heavy"]


def absolute(folder, path):
    """Let a configuration of another folder name the files of this one."""
    text = path.read_text()
    for name in ("light", "heavy", "mixed"):
        text = text.replace(f'"{name}.parquet"', f'"{folder}/{name}.parquet"')
    path.write_text(text)
    return path


def weights(run, name="classifier"):
    return (run / "models" / name / "model.safetensors").read_bytes()


def test_a_training_can_begin_from_a_pre_training(folder, tmp_path):
    words = ("classify", "train", folder / "classify.toml", "-o", tmp_path / "run", "--from", folder / "pretrained")
    summary = here(*words, "--json").good().json
    assert weights(tmp_path / "run") != weights(folder / "run")
    record = json.loads((tmp_path / "run" / "models" / "classifier" / "model.json").read_text())
    assert record["extra"]["pretrained"] is not None
    # Resumed with the same pre-training, and with none or another one.
    assert here(*words, "--resume", "--json").good().json["model"] == summary["model"]
    assert "pretrained: " in here(*words[:5], "--resume").refused(3)
    other = absolute(folder, config(tmp_path))
    other.write_text(PRETRAINING.replace('"mixed', f'"{folder}/mixed').replace("epochs = 4", "epochs = 1"))
    here("classify", "pretrain", other, "-o", tmp_path / "pretrained").good()
    words = (*words[:-1], tmp_path / "pretrained", "--resume")
    assert "has changed since" in here(*words).refused(3)


def test_a_stopped_training_goes_on_to_the_same_bits(folder, tmp_path):
    model = MODEL.replace("[model]", "[model]\nmembers = 3")
    path = absolute(folder, config(tmp_path, model=model, training=TRAINING.replace("epochs = 4", "epochs = 2")))
    begin = TrainRequest(path, tmp_path / "whole", folder / "pretrained")
    whole = train(begin)
    assert weights(begin.output, "member-01") != weights(begin.output, "member-02")

    def stop(done, total, seconds_left, text=""):
        if done > 0.5 * total:  # within a member
            os.kill(os.getpid(), signal.SIGTERM)

    stopped = replace(begin, output=tmp_path / "stopped")
    with pytest.raises(StoppedError, match="--resume"):
        train(stopped, stop)
    assert not (stopped.output / "models" / "member-02").exists()
    assert train(replace(stopped, resume=True))["model"] == whole["model"]
    for name in ("classifier", "member-01", "member-02"):
        assert weights(stopped.output, name) == weights(begin.output, name)


def test_every_member_of_an_ensemble_scores(folder, tmp_path):
    model = MODEL.replace("[model]", "[model]\nmembers = 3")
    path = absolute(folder, config(tmp_path, model=model, training=TRAINING.replace("epochs = 4", "epochs = 1")))
    train(TrainRequest(path, tmp_path / "run"))
    words = ("classify", "predict", tmp_path / "run", folder / "fresh_light.parquet", "--members", "-o")
    here(*words, tmp_path / "scores.parquet").good()
    table = read(tmp_path / "scores.parquet")
    scores = ["score_light", "score_heavy"]
    members = [f"{name}_member_{member}" for member in (1, 2) for name in scores]
    assert table.names[-8:] == ("event_index", *scores, *members, "out_of_range")
    run = ClassifierRun.open(tmp_path / "run")
    batch = run.events(fresh(folder)).batch
    for member, name in enumerate(("score_heavy", "score_heavy_member_1", "score_heavy_member_2")):
        np.testing.assert_allclose(run.member(member).probabilities(batch)[:600, 1], table[name], rtol=1e-6)
    assert not np.allclose(table["score_heavy_member_1"], table["score_heavy_member_2"])
    assert len({run.member(number).sha256 for number in range(3)}) == 3
    sidecar = json.loads((tmp_path / "scores.parquet.json").read_text())
    assert len(set(sidecar["provenance"]["members"])) == 3
    # Twice itself: what an earlier prediction appended is replaced, and nothing appears twice.
    here(
        "classify",
        "predict",
        tmp_path / "run",
        tmp_path / "scores.parquet",
        "--members",
        "-o",
        tmp_path / "again.parquet",
    ).good()
    assert column_hashes(tmp_path / "again.parquet") == column_hashes(tmp_path / "scores.parquet")
    # And by another model: its scores do not stand beside members of the first one.
    here("classify", "predict", folder / "run", tmp_path / "scores.parquet", "-o", tmp_path / "other.parquet").good()
    assert read(tmp_path / "other.parquet").names[-4:] == APPENDED
    assert not any("member" in name for name in read(tmp_path / "other.parquet").names)
    words = ("classify", "predict", folder / "run", folder / "fresh_light.parquet", "--members")
    assert "was trained without members" in here(*words, "-o", tmp_path / "no.parquet").refused(4)


def test_a_dry_run_writes_nothing(folder, tmp_path):
    before = listing(folder)
    for words in (
        ("pretrain", folder / "pretrain.toml", "-o", tmp_path / "pretrained"),
        ("train", folder / "classify.toml", "-o", tmp_path / "run"),
        ("predict", folder / "run", folder / "fresh_light.parquet", "-o", tmp_path / "scores.parquet"),
    ):
        summary = here("classify", *words, "--dry-run", "--json").good().json
        assert summary["dry_run"] is True
        assert summary["estimated_seconds"] >= 0
    assert listing(folder) == before
    assert not any(tmp_path.iterdir())


def test_bad_input_of_a_prediction_is_refused_by_name(folder, tmp_path):
    table = events(300, heavy=False, seed=4)
    cases = {
        "no_mass": (table.without(["muon_mass"]), "'muon_mass'"),
        "infinite": (table.with_columns({"met_phi": np.full(300, np.nan)}), "'met_phi' has 300 values that are NaN"),
        "mev": (table.with_columns({"jet_pt": 1e3 * table["jet_pt"]}), "values in MeV?"),
        "sentinel": (table.with_columns({"met_pt": np.full(300, -99.0)}), "'met_pt' must be at least 0"),
        "flat": (table.with_columns({"jet_eta": np.zeros(300)}), "'jet_eta' is one number per event"),
        "empty": (table.slice(0, 0), "empty.parquet"),
    }
    for name, (changed, what) in cases.items():
        write(tmp_path / f"{name}.parquet", changed)
        words = ("classify", "predict", folder / "run", tmp_path / f"{name}.parquet", "-o", tmp_path / "s.parquet")
        assert what in here(*words).refused(3), name
    (tmp_path / "page.root").write_text("<html>")
    words = ("classify", "predict", folder / "run", tmp_path / "page.root", "-o", tmp_path / "s.parquet")
    assert "page.root" in here(*words).refused(3)
    one = write(tmp_path / "one.parquet", table.with_columns({"met_pt": np.where(np.arange(300) == 7, np.nan, 50.0)}))
    words = ("classify", "predict", folder / "run", one, "-o", tmp_path / "s.parquet", "--json")
    assert "row 7" in here(*words).refused(3)
    summary = here(*words, "--skip-bad", 1).good().json
    assert (summary["events"], summary["skipped"]) == (299, 1)


def test_what_is_outside_is_flagged_or_refused(folder, tmp_path):
    table = events(40, heavy=False, seed=5)
    far = table.with_columns({"met_pt": np.where(np.arange(40) == 3, 9_000.0, table["met_pt"])})
    words = ("classify", "predict", folder / "run", write(tmp_path / "far.parquet", far), "-o", tmp_path / "s.parquet")
    assert here(*words, "--json").good().json["flagged"] < 5
    assert read(tmp_path / "s.parquet")["out_of_range"][3]
    assert "row 3 lies outside" in here(*words, "--strict", "--overwrite").refused(3)
    assert not (tmp_path / "s.parquet.parts").exists()


def test_more_objects_than_are_taken_and_none_at_all(folder, tmp_path):
    table = events(40, heavy=False, seed=6)
    counts = np.where(np.arange(40) % 2, 12, 0)
    jets = {f"jet_{name}": ak.unflatten(np.full(counts.sum(), value), counts)
            for name, value in (("pt", 40.0), ("eta", 0.1), ("phi", 0.2), ("mass", 5.0), ("btag", 1))}  # fmt: skip
    path = write(tmp_path / "jets.parquet", table.with_columns(jets))
    words = ("classify", "predict", folder / "run", path, "-o", tmp_path / "s.parquet", "--json")
    assert here(*words).good().json["events"] == 40
    assert np.isfinite(read(tmp_path / "s.parquet")["score_heavy"]).all()


def test_measured_events_need_neither_weight_nor_identifiers(folder, tmp_path):
    table = events(30, heavy=True, seed=7).without(["weight", "run", "luminosityBlock", "event", "process"])
    path = write(tmp_path / "data.root", table)
    words = ("classify", "predict", folder / "run", path, "-o", tmp_path / "s.root")
    here(*words).good()
    assert read(tmp_path / "s.root").names == (*table.names, *APPENDED)


def test_what_is_scored_again_has_the_new_scores(folder, tmp_path):
    rest = read(folder / "fresh_light.parquet").slice(100, 300)
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    write(tmp_path / "rest.parquet", rest.with_columns({"score_light": np.full(200, 7.0), "mine": np.arange(200.0)}))
    words = ("classify", "predict", folder / "run")
    here(*words, tmp_path / "rest.parquet", "-o", first).good()
    here(*words, first, "-o", second).good()
    hashes = column_hashes(first)
    assert hashes == column_hashes(second)
    assert read(second).names == (*rest.names, "mine", *APPENDED)
    # Files with other columns are not one file.
    two = here(*words, folder / "fresh_light.parquet", first, "-o", tmp_path / "two.parquet")
    assert "first.parquet: has other columns or types than" in two.refused(3)
    renamed = here(*words, folder / "fresh_light.parquet", "--rename", "event=process", "-o", tmp_path / "r.parquet")
    renamed.good()
    assert "process" in read(tmp_path / "r.parquet").names


def test_files_with_a_layout_are_read_by_it_everywhere(folder, tmp_path):
    layout = 'layout = { columns = { weight = "EventWeight", jet_btag = "jet_tag" } }'
    for name, heavy in (("light", False), ("heavy", True)):
        for prefix, seed in (("", 1), ("fresh_", 2)):
            table = events(EVENTS, heavy, seed)
            other = table.without(["weight", "jet_btag"])
            other = other.with_columns({"EventWeight": table["weight"], "jet_tag": table["jet_btag"]})
            write(tmp_path / f"{prefix}{name}.parquet", other)
    here("classify", "train", config(tmp_path, f'[data]\nweight = "weight"\n{layout}\n'), "-o", tmp_path / "run").good()
    fresh_files = [f"{name}={tmp_path / f'fresh_{name}.parquet'}" for name in ("light", "heavy")]
    evaluated = here("classify", "evaluate", tmp_path / "run", *fresh_files, "-o", tmp_path / "report", "--json")
    assert evaluated.json["auc"]["value"] > 0.8
    # Without its layout the weight would not be found, and left out as if the events were measured ones.
    here("classify", "predict", tmp_path / "run", tmp_path / "fresh_heavy.parquet", "-o", tmp_path / "s.parquet").good()
    scored = read(tmp_path / "s.parquet")
    assert np.array_equal(scored["weight"], events(EVENTS, True, 2)["weight"])
    renamed = ("--rename", "weight=EventWeight")
    here(
        "classify",
        "predict",
        tmp_path / "run",
        tmp_path / "fresh_heavy.parquet",
        "-o",
        tmp_path / "r.parquet",
        *renamed,
    ).good()
    assert np.array_equal(read(tmp_path / "r.parquet")["weight"], scored["weight"])


def test_runs_that_classify_nothing(folder, run, tmp_path):
    words = (folder / "fresh_light.parquet", "-o", tmp_path / "s.parquet")
    assert "is a run of 'simulate'" in here("classify", "predict", run, *words).refused(4)
    assert "knows no classes yet" in here("classify", "predict", folder / "pretrained", *words).refused(4)
    assert "no such run folder" in here("classify", "predict", tmp_path / "nothing", *words).refused(4)
    sampled = ("simulate", "sample", folder / "run", *words)
    assert "is a run of 'classify'; give one written by `simulate train`" in here(*sampled).refused(4)
    assert not (tmp_path / "s.parquet").exists()


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        (
            ('estimator = "toy-pretraining"', 'estimator = "toy-pretraining"\noptions = { width = 8 }'),
            2,
            "8 wide, not 16",
        ),
        (("[objects.lepton]", "[objects.leptons]"), 4, "pre-trained on objects of the types leptons, b_jet"),
    ],
)
def test_a_pre_training_of_another_kind(folder, tmp_path, change, code, sentence):
    assert change[0] in PRETRAINING
    (tmp_path / "p.toml").write_text(PRETRAINING.replace(*change).replace("epochs = 4", "epochs = 1"))
    absolute(folder, tmp_path / "p.toml")
    here("classify", "pretrain", tmp_path / "p.toml", "-o", tmp_path / "p").good()
    words = ("classify", "train", folder / "classify.toml", "-o", tmp_path / "run", "--from", tmp_path / "p")
    assert sentence in here(*words).refused(code)
    assert not (tmp_path / "run").exists()


def test_what_is_no_pre_training(folder, tmp_path):
    words = ("classify", "train", folder / "classify.toml", "-o", tmp_path / "run", "--from")
    assert "written by `castalia classify pretrain`" in here(*words, folder / "run").refused(4)
    assert "no such run folder" in here(*words, tmp_path / "nothing").refused(4)
