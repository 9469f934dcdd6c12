"""Several posteriors on one footing: who is ahead, with the error of the difference, and who cannot be compared."""

import json
import shutil

import numpy as np
import pytest
from castalia_console import here
from z_toys import config, events, write

TEST_EVENTS = 2_200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that learned, one that hardly did, and one of other coordinates; and events that are fresh to all."""
    path = tmp_path_factory.mktemp("compare")
    write(path / "z.parquet", events(3_000))
    write(path / "fresh.parquet", events(TEST_EVENTS, seed=2))
    for name, changes in {"good": {"epochs": 8}, "lazy": {"epochs": 1}, "cartesian": {"epochs": 1}}.items():
        coordinates = "cartesian" if name == "cartesian" else "decay_tree"
        file = config(path, coordinates, **changes)
        here("unfold", "train", file, "-o", path / name).good()
    return path


def compared(folder, runs, output, *words):
    names = [folder / run for run in runs]
    return here("unfold", "compare", *names, "--events-from", folder / "fresh.parquet", "-o", output, *words)


@pytest.fixture(scope="module")
def found(folder):
    ended = compared(folder, ("lazy", "good", "cartesian"), folder / "report", "--draws", 40, "--json")
    return ended.good().json, json.loads((folder / "report" / "metrics.json").read_text())


def test_the_better_model_is_ahead_by_more_than_its_paired_error(found):
    summary, metrics = found
    assert summary["ranking"][0] == metrics["ranking"][0] == "good"
    assert metrics["models"]["good"]["rank"] == 1
    assert metrics["models"]["good"]["behind_the_best"] == {"value": 0.0, "error": 0.0}
    lazy, good = (metrics["models"][name] for name in ("lazy", "good"))
    behind = lazy["behind_the_best"]
    assert behind["value"] == pytest.approx(lazy["crps"]["value"] - good["crps"]["value"], rel=1e-9)
    assert behind["value"] > 5 * behind["error"]
    # Of the same events: the error of the difference is below that of two independent scores.
    assert behind["error"] < 0.9 * np.hypot(lazy["crps"]["error"], good["crps"]["error"])
    # Negative control: the truth of other events is behind all of them.
    assert metrics["control"]["behind_the_best"]["value"] > behind["value"]
    assert metrics["control"]["joint_auc"]["value"] > 0.9


def test_other_coordinates_are_judged_by_the_same_numbers(found):
    _, metrics = found
    sizes = {name: len(one["crps_of"]) for name, one in metrics["models"].items()}
    assert sizes == dict.fromkeys(("lazy", "good", "cartesian"), metrics["continuous"])
    assert metrics["models"]["good"]["consistency"]["z"]["daughters"]["violation"] < 1e-6
    assert metrics["models"]["cartesian"]["consistency"]["z"]["daughters"]["violation"] > 1e-3
    floors = [one["distances"]["wasserstein"]["floor"] for one in metrics["models"].values()]
    assert len(set(floors)) == 1, "the same events have the same floor"
    assert metrics["joint_test"]["power"]["value"] > 0.0


def test_what_a_model_costs(found):
    _, metrics = found
    for name, one in metrics["models"].items():
        cost = one["cost"]
        assert cost["evaluations"] == 20, name
        assert cost["parameters"] > 1_000
        assert cost["training_seconds"] > 0.0
        assert cost["draws_per_second"] > 0.0


def test_the_page_and_its_figures(folder, found):
    del found
    page = (folder / "report" / "report.html").read_text()
    assert "Which knows the event best?" in page
    assert "truth against truth" in page
    for name in ("crps", "calibration"):
        assert (folder / "report" / "figures" / f"{name}.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def alone(folder):
    """Metrics of one of the models by itself, as ``found``: on as many threads, on which the last bits depend."""
    words = ("unfold", "evaluate", folder / "good", folder / "fresh.parquet", "-o", folder / "alone", "--draws", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("castalia.apps.unfold.evaluate.draw_figures", lambda *_: {})
        assert here(*words).code in (0, 5)
    return json.loads((folder / "alone" / "metrics.json").read_text())["posterior"]


def test_a_model_scores_as_its_own_evaluation_says(found, alone):
    _, metrics = found
    beside = metrics["models"]["good"]
    for name in ("crps", "energy_score", "distances", "calibration"):
        assert beside[name] == alone[name], name
    assert beside["joint_auc"]["value"] == alone["joint_auc"]["value"]


def test_a_run_twice_and_a_run_alone(folder, tmp_path):
    assert "named twice" in compared(folder, ("good", "good"), tmp_path / "r").refused(3)
    shutil.copytree(folder / "good", folder / "copy")
    assert "is a copy of good" in compared(folder, ("good", "copy"), tmp_path / "r").refused(3)
    assert "name two or more" in compared(folder, ("good",), tmp_path / "r").refused(2)


def test_runs_that_cannot_be_compared(folder, tmp_path):
    write(tmp_path / "z.parquet", events(800))
    text = config(tmp_path, epochs=1).read_text()
    for name, old, new, what in (
        ("met", 'met = { column = "met", unit = "GeV", transform = "log" }', 'm = { column = "met" }', "[condition]"),
        ("jets", 'phi = { column = "jet_phi", unit = "rad", transform = "angle" }\n\n[truth]', "\n[truth]", "[lists]"),
        ("sum", 'z = ["plus", "minus"]', 'zee = ["plus", "minus"]', "[truth.composites]"),
    ):
        assert old in text, name
        changed = text.replace(old, new)
        changed = changed.replace('resonances = ["z"]', 'resonances = ["zee"]') if name == "sum" else changed
        (tmp_path / "z.toml").write_text(changed)
        here("unfold", "train", tmp_path / "z.toml", "-o", tmp_path / name).good()
        sentence = compared(folder, ("good", tmp_path / name), tmp_path / "r").refused(3)
        assert f"{name}: differs from good in" in sentence
        assert what in sentence


def test_runs_without_a_model_and_events_that_are_too_few(folder, tmp_path):
    assert "no such run folder" in compared(folder, ("good", "nowhere"), tmp_path / "r").refused(4)
    shutil.copytree(folder / "lazy", tmp_path / "unfinished")
    shutil.rmtree(tmp_path / "unfinished" / "models" / "posterior")
    sentence = compared(folder, ("good", tmp_path / "unfinished"), tmp_path / "r").refused(4)
    assert "has no trained model yet" in sentence
    # What one of them learned from is fresh to none.
    words = ("unfold", "compare", folder / "good", folder / "lazy", "--events-from", folder / "z.parquet")
    assert "events are left to judge on" in here(*words, "-o", tmp_path / "r").refused(3)


def test_what_one_run_learned_from_is_left_out_for_all(folder, tmp_path):
    write(tmp_path / "z.parquet", events(TEST_EVENTS, seed=2).take(np.arange(TEST_EVENTS) < 800))
    here("unfold", "train", config(tmp_path, epochs=1), "-o", tmp_path / "peeked").good()
    sentence = compared(folder, ("good", tmp_path / "peeked"), tmp_path / "r").refused(3)
    left = int(sentence.split("only ")[1].split()[0])
    # A tenth of the 800 is that run's test split, which it has not learned from.
    assert left == pytest.approx(TEST_EVENTS - 720, abs=45)


def test_a_dry_run_writes_nothing(folder, tmp_path):
    summary = compared(folder, ("good", "cartesian"), tmp_path / "r", "--dry-run", "--json").good().json
    assert summary["test_events"] == TEST_EVENTS
    assert summary["estimated_seconds"] > 0
    assert not any(tmp_path.iterdir())
