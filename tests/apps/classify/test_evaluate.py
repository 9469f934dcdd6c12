"""``castalia classify evaluate`` and ``compare`` as a user types them, on toys that differ by their jets."""

from __future__ import annotations

import json

import numpy as np
import pytest
from castalia_console import here
from class_toys import config, events, write

TEST_EVENTS = 600
SIGNS = np.where(np.arange(TEST_EVENTS) % 10 == 5, -1.0, 1.0)
DECORRELATION = '[decorrelation]\ncolumn = "m_bb"\n'
CONDITION = '[condition.m_bb]\ncolumn = "m_bb"\nunit = "GeV"\n'
QUICK = "[training]\nepochs = {epochs}\nbatch_size = 256\nlearning_rate = 3e-2\nseed = {seed}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models that learned much and little, of two recipes; and events that are fresh to all."""
    path = tmp_path_factory.mktemp("judged")
    for name, heavy in (("light", False), ("heavy", True)):
        write(path / f"{name}.parquet", events(1000, heavy))
        write(path / f"fresh_{name}.parquet", events(TEST_EVENTS, heavy, seed=2))
        write(path / f"few_{name}.parquet", events(200, heavy, seed=3))
    few = '[classes]\nlight = ["few_light.parquet"]\nheavy = ["few_heavy.parquet"]\n'
    for name, changes in {
        "good": {"further": DECORRELATION, "training": QUICK.format(epochs=6, seed=1)},
        "lazy": {"further": CONDITION, "training": QUICK.format(epochs=1, seed=1)},
        "few": {"classes": few, "training": QUICK.format(epochs=2, seed=2)},
    }.items():
        here("classify", "train", config(path, **changes), "-o", path / name).good()
    return path


@pytest.fixture(scope="module")
def fresh(folder):
    return [f"{name}={folder / f'fresh_{name}.parquet'}" for name in ("light", "heavy")]


@pytest.fixture(scope="module")
def evaluated(folder, fresh):
    words = ("--expect", "light=1000", "--expect", "heavy=100", "--systematic", 0.1, "--json")
    ended = here("classify", "evaluate", folder / "good", *fresh, "-o", folder / "report", *words)
    assert ended.code in (0, 5)
    return ended.json, json.loads((folder / "report" / "metrics.json").read_text())


def test_what_an_evaluation_writes(folder, evaluated):
    summary, metrics = evaluated
    assert summary["test_events"] == metrics["test_events"] == 2 * TEST_EVENTS
    assert metrics["auc"]["value"] > 0.5 + 5.0 * metrics["auc"]["error"]
    contest = metrics["contests"]["heavy against light"]
    assert set(contest["rejection"]) == {"0.3", "0.5", "0.7", "0.9"}
    assert contest["improvement"]["left"] >= 100
    assert contest["significance"]["uncut"] < contest["significance"]["best"]["value"] * 1.001
    assert 0.0 < metrics["calibration"]["heavy"]["floor"] < 0.1
    assert abs(metrics["mass"]["correlation"]["value"]) < 5.0 * metrics["mass"]["correlation"]["error"]
    page = (folder / "report" / "report.html").read_text()
    for words in ("Does it tell the classes apart?", "What a search may expect", "Does it shape a mass?"):
        assert words in page
    figures = {path.stem for path in (folder / "report" / "figures").glob("*.png")}
    assert figures == {"roc", "gain", "scores", "reliability", "mass", "importance"}


def test_jets_are_what_the_classifier_draws_on(evaluated):
    _, metrics = evaluated
    importance = metrics["importance"]
    assert {"met pt", "met phi", "lepton pt", "b_jet pt", "light_jet, all of it"} <= set(importance)
    assert "met eta" not in importance, "what is the same in all events cannot be exchanged"
    jets = importance["b_jet pt"]["total"]["value"] + importance["light_jet pt"]["total"]["value"]
    assert jets > 5.0 * importance["b_jet pt"]["total"]["error"]
    # Negative control: the classes have the same leptons.
    assert abs(importance["lepton pt"]["total"]["value"]) < 0.2 * jets


def test_the_files_of_the_training_are_judged_by_their_test_split(folder):
    ended = here("classify", "evaluate", folder / "good", "-o", folder / "none", "--dry-run", "--json")
    assert "only" in ended.refused(3)
    assert "events of class 'light' are left to judge on" in ended.refused(3)


def test_a_dry_run_writes_nothing(folder, fresh, tmp_path):
    words = ("classify", "evaluate", folder / "good", *fresh, "-o", tmp_path / "report", "--dry-run", "--json")
    summary = here(*words).good().json
    assert summary["test_events"] == 2 * TEST_EVENTS
    assert summary["estimated_seconds"] > 0.0
    assert not (tmp_path / "report").exists()


def test_an_unmet_goal_fails_the_gate_with_a_complete_report(folder, fresh, tmp_path, monkeypatch):
    monkeypatch.setattr("castalia.apps.classify.evaluate.draw_figures", lambda *_: {})
    ended = here("classify", "evaluate", folder / "lazy", *fresh, "-o", tmp_path / "report", "--goal", 0.999)
    assert "the quality gate failed" in ended.refused(5)
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["gate"]["passed"] is False
    assert any("below the goal of 0.999" in reason for reason in metrics["gate"]["reasons"])
    assert "mass" not in metrics
    assert "m_bb" in metrics["importance"], "a variable of whole events is exchanged as well"


def test_what_is_refused(folder, fresh, tmp_path):
    words = ("classify", "evaluate", folder / "good")
    output = ("-o", tmp_path / "report")
    assert "knows no such class" in here(*words, *fresh, *output, "--expect", "dark=3").refused(2)
    assert "give --expect too" in here(*words, *fresh, *output, "--systematic", 0.1).refused(2)
    assert "needs the background, light" in here(*words, *fresh, *output, "--expect", "heavy=3").refused(2)
    assert "name the class of every file" in here(*words, fresh[0], "b.parquet", *output).refused(2)
    assert "Files are named for light" in here(*words, fresh[0], *output).refused(2)
    assert not (tmp_path / "report").exists()


def test_events_of_either_sign_are_judged_without_ancestors(folder, tmp_path):
    signed = '[data]\nweight = "sign"\n'
    further = DECORRELATION + '[relations]\nsame_w = "from_w"\n'
    files = []
    for name, heavy in (("light", False), ("heavy", True)):
        table = events(1000, heavy)
        write(tmp_path / f"{name}.parquet", table.with_columns({"sign": np.ones(1000)}))
        fresh = events(TEST_EVENTS, heavy, seed=2)
        fresh = fresh.without([column for column in fresh.names if "_from_" in column])
        files.append(f"{name}={tmp_path / f'fresh_{name}.parquet'}")
        write(tmp_path / f"fresh_{name}.parquet", fresh.with_columns({"sign": SIGNS}))
    path = config(tmp_path, data=signed, further=further, training=QUICK.format(epochs=4, seed=1))
    here("classify", "train", path, "-o", tmp_path / "run").good()
    ended = here("classify", "evaluate", tmp_path / "run", *files, "-o", tmp_path / "report", "--json")
    assert ended.code in (0, 5), ended.err
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["auc"]["value"] > 0.5 + 5.0 * metrics["auc"]["error"]
    assert "relations" not in metrics
    renamed = ("--rename", "jet_from_w=jet_from_x")
    words = ("classify", "evaluate", tmp_path / "run", *files, "-o", tmp_path / "again")
    assert "electron_from_w" in here(*words, *renamed).refused(3)  # asked for by name, it is wanted


def test_a_comparison_ranks_by_the_paired_difference(folder, fresh):
    runs = [f"{recipe}={folder / run}" for recipe, run in (("a", "good"), ("a", "few"), ("b", "lazy"))]
    judged = [word for file in fresh for word in ("--events-from", file)]
    ended = here("classify", "compare", *runs, *judged, "-o", folder / "compared", "--json")
    summary, metrics = ended.good().json, json.loads((folder / "compared" / "metrics.json").read_text())
    assert summary["ranking"] == metrics["ranking"]
    best = metrics["models"][metrics["ranking"][0]]
    assert best["behind_the_best"] == {"value": 0.0, "error": 0.0}
    for one in metrics["models"].values():
        assert one["behind_the_best"]["value"] == pytest.approx(best["auc"]["value"] - one["auc"]["value"], abs=1e-12)
    assert set(metrics["learning_curves"]) == {"a"}, "a recipe of one size has no curve"
    assert len(metrics["learning_curves"]["a"]["sizes"]) == 2
    assert "Which tells the classes apart best?" in (folder / "compared" / "report.html").read_text()
    figures = {path.stem for path in (folder / "compared" / "figures").glob("*.png")}
    assert figures == {"roc", "gain", "reliability", "learning"}


def test_a_model_scores_as_its_own_evaluation_says(folder, evaluated):
    beside = json.loads((folder / "compared" / "metrics.json").read_text())["models"]["good"]
    assert beside["auc"] == evaluated[1]["auc"]


def test_runs_that_cannot_be_compared(folder, fresh, tmp_path):
    words = ("-o", tmp_path / "report")
    assert "name two or more" in here("classify", "compare", folder / "good", *words).refused(2)
    trained_elsewhere = here("classify", "compare", folder / "good", folder / "few", *words)
    assert "trained on different files" in trained_elsewhere.refused(2)
