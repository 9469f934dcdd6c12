"""castalia pixels evaluate, from files to a report, by a model that learns in a second."""

import json
from unittest import mock

import numpy as np
import pytest
from castalia_console import here
from pixel_toys import config, events, write


@pytest.fixture
def no_figures():
    """Leave out the drawing, most of the time, where only the numbers are looked at."""
    with mock.patch("castalia.apps.pixels.evaluate.draw_figures", return_value={}):
        yield


@pytest.fixture(scope="module")
def report(desk, tmp_path_factory):
    path = tmp_path_factory.mktemp("judged") / "report"
    summary = here("pixels", "evaluate", desk / "run", desk / "fresh.parquet", "-o", path, "--json").good().json
    return path, summary


def test_a_report_has_numbers_with_errors_and_figures(report):
    path, summary = report
    metrics = json.loads((path / "metrics.json").read_text())
    assert summary["test_events"] == metrics["test_events"] == 150
    assert metrics["goals"]["occupancy_bias"]["value"] == summary["occupancy_bias"]["value"]
    low, high = (abs(metrics["occupancy"]["bias"]["value"]) + side for side in (-1e-9, 1e-9))
    assert low < summary["occupancy_bias"]["value"] / 100.0 < high
    for one in (metrics["wasserstein"]["charge"], metrics["correlations"]["given"]["difference"]):
        assert one["value"] > 0.0
        assert {"error", "floor", "excess", "excess_error"} <= one.keys()
    assert {"truth", "sampled", "difference", "shuffled"} <= metrics["shuffled_auc"].keys()
    names = {one.stem for one in (path / "figures").glob("*.png")}
    assert names == {"images", "occupancy", "directions", "profiles", "spectra", "correlations_all",
                     "correlations_given", "impact", "counts_luminosity"}  # fmt: skip
    page = (path / "report.html").read_text()
    assert "truth against truth" in page
    assert "sensors shuffled" in page


def test_sampled_events_of_a_file_are_judged_like_drawn_ones(desk, report, tmp_path, no_figures):
    fresh = desk / "fresh.parquet"
    here("pixels", "sample", desk / "run", fresh, "-o", tmp_path / "sampled.parquet").good()
    words = ("pixels", "evaluate", desk / "run", fresh, "--sampled", tmp_path / "sampled.parquet")
    here(*words, "-o", tmp_path / "report").good()
    mine = json.loads((tmp_path / "report" / "metrics.json").read_text())
    drawn = json.loads((report[0] / "metrics.json").read_text())
    bias = [one["occupancy"]["bias"] for one in (mine, drawn)]
    assert mine["occupancy"]["bias"]["value"] != drawn["occupancy"]["bias"]["value"]
    assert abs(bias[0]["value"] - bias[1]["value"]) < 5.0 * np.hypot(bias[0]["error"], bias[1]["error"])
    # Truth given as its own sample has no difference at all: the negative control of the comparison.
    here(*words[:4], "--sampled", fresh, "-o", tmp_path / "own").good()
    own = json.loads((tmp_path / "own" / "metrics.json").read_text())
    assert own["occupancy"]["bias"]["value"] == 0.0


def _bad(table, rows):
    luminosity = np.array(table["luminosity"])
    luminosity[rows] = np.nan
    return table.with_columns({"luminosity": luminosity})


SET_UPS = {
    "weighted": ('weight = "weight"', lambda t: t.with_columns({"weight": np.ones(len(t))}), ()),
    "selected": ('selection = "good"', lambda t: t.with_columns({"good": np.arange(len(t)) % 3 > 0}), ()),
    "renamed": (
        '[data.layout.columns]\nluminosity = "lumi"',
        lambda t: t.without(["luminosity"]).with_columns({"lumi": t["luminosity"]}),
        (),
    ),
    "bad rows": ("", lambda t: _bad(t, [3, 50]), ("--skip-bad", 2)),
}


@pytest.mark.parametrize("name", SET_UPS)
def test_what_sample_wrote_is_judged_whatever_its_files_have(name, tmp_path, no_figures):
    data, change, words = SET_UPS[name]
    for number, file in enumerate(("training", "fresh")):
        write(tmp_path / f"{file}.parquet", change(events(200, seed=number + 1)))
    path = config(tmp_path / "pixels.toml", tmp_path / "training.parquet", data=data)
    here("pixels", "train", path, "-o", tmp_path / "run", *words).good()
    given = (tmp_path / "run", tmp_path / "fresh.parquet", *words)
    here("pixels", "sample", *given, "-o", tmp_path / "sampled.root").good()
    sampled = ("--sampled", tmp_path / "sampled.root")
    summary = here("pixels", "evaluate", *given, *sampled, "-o", tmp_path / "report", "--json").good().json
    assert summary["test_events"] == {"selected": 133, "bad rows": 198}.get(name, 200)


def test_a_column_of_hits_may_be_renamed(desk, tmp_path, no_figures):
    table = events(150, seed=2)
    other = table.without(["pxd_charge"]).with_columns({"adu": table["pxd_charge"]})
    words = ("pixels", "evaluate", desk / "run", write(tmp_path / "a.parquet", other), "-o", tmp_path / "report")
    assert "--rename pxd_charge=BRANCH" in here(*words).refused(3)
    here(*words, "--rename", "pxd_charge=adu").good()
    assert "uses no such column" in here(*words, "--overwrite", "--rename", "pxd_colour=adu").refused(2)


def test_events_of_the_training_are_left_out(desk, tmp_path):
    words = ("pixels", "evaluate", desk / "run", desk / "training.parquet", "-o", tmp_path / "report")
    assert "at least 60 are needed" in here(*words).refused(3)


def test_a_sample_of_other_events_is_refused(desk, tmp_path):
    other = write(tmp_path / "other.parquet", events(150, seed=5))
    words = ("pixels", "evaluate", desk / "run", desk / "fresh.parquet", "-o", tmp_path / "report", "--sampled")
    short = write(tmp_path / "short.parquet", events(20, seed=2))
    for file in (other, short):
        assert "make it from the same files" in here(*words, file).refused(3)
    assert not (tmp_path / "report").exists()


def test_a_dry_run_writes_nothing(desk, tmp_path):
    words = ("pixels", "evaluate", desk / "run", desk / "fresh.parquet", "-o", tmp_path / "report", "--dry-run")
    found = here(*words, "--json").good().json
    assert found["test_events"] == 150
    assert 0.0 < found["estimated_seconds"] < 600.0
    assert not (tmp_path / "report").exists()
