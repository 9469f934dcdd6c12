"""``castalia scan fit`` and ``coverage`` as a user types them, on a small run, and what they refuse."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from castalia_console import Ended, here

from castalia.apps.scan.experiment import ExperimentResult, Laboratory
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.rng import Stream

TRUTH = {"m": 105.0, "w": 47.0}
CONFIG = """\
[data]
files = ["signal.parquet"]
selection = "ok"

[parameters]
m = { column = "theta_m", unit = "GeV" }
w = { column = "theta_w" }

[observables]
x = { column = "x", unit = "GeV" }
y = { column = "y" }

[background]
files = ["background.parquet"]

[model]
options = { hidden = [16, 16] }

[training]
epochs = 3
batch_size = 512
"""

Columns = dict[str, np.ndarray]


def write(path: Path, columns: Columns) -> Path:
    specs = tuple(ColumnSpec(name=name, dtype=str(values.dtype)) for name, values in columns.items())
    with open_writer(path, Schema(columns=specs)) as writer:
        writer.write(Table(columns))
    return path


def signal(m: np.ndarray, w: np.ndarray, seed: int) -> Columns:
    rng = Stream(seed, "signal").at()
    return {
        "x": rng.normal(m, 10.0), "y": rng.normal(w, 5.0), "theta_m": m, "theta_w": w,
        "ok": np.ones(len(m), dtype=np.int64),
    }  # fmt: skip


def background(events: int, seed: int) -> Columns:
    rng = Stream(seed, "background").at()
    return {"x": rng.normal(100.0, 40.0, events), "y": rng.normal(50.0, 20.0, events),
            "ok": np.ones(events, dtype=np.int64)}  # fmt: skip


def observed(signals: int = 400, backgrounds: int = 800, seed: int = 5) -> Columns:
    point = (np.full(signals, TRUTH["m"]), np.full(signals, TRUTH["w"]))
    one, other = signal(*point, seed), background(backgrounds, seed)
    return {name: np.concatenate([one[name], other[name]]) for name in ("x", "y")}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run, observed events and pools."""
    folder = tmp_path_factory.mktemp("scan desk")
    rng = Stream(1, "points").at()
    write(folder / "signal.parquet", signal(rng.uniform(80, 120, 5000), rng.uniform(40, 60, 5000), 1))
    write(folder / "background.parquet", background(5000, 2))
    write(folder / "observed.parquet", observed())
    write(folder / "pool.parquet", signal(np.full(1500, TRUTH["m"]), np.full(1500, TRUTH["w"]), 3))
    write(folder / "pool_background.parquet", background(3000, 4))
    (folder / "scan.toml").write_text(CONFIG)
    here("scan", "train", folder / "scan.toml", "-o", folder / "run").good()
    return folder


@pytest.fixture(scope="module")
def fitted(desk: Path) -> tuple[Ended, Path]:
    """The fit that several tests look at."""
    words = [f"--truth={name}={value}" for name, value in {**TRUTH, "signal_fraction": 1 / 3}.items()]
    report = desk / "report"
    return here("scan", "fit", desk / "run", desk / "observed.parquet", "-o", report, *words, "--json").good(), report


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures and contours out where nobody looks at them."""
    monkeypatch.setattr("castalia.apps.scan.run.draw_fit", lambda *_: {})
    monkeypatch.setattr("castalia.apps.scan.run.study_contours", lambda *_: ())


def test_a_fit_finds_the_truth_within_its_errors(fitted: tuple[Ended, Path]) -> None:
    ended, report = fitted
    found = json.loads((report / "fit.json").read_text())
    assert found["converged"]
    assert found["events"] == 1200
    assert found["goodness_of_fit"]["p_value"] >= 0.0
    for name, true in {**TRUTH, "signal_fraction": 1 / 3}.items():
        one = found["parameters"][name]
        assert ended.json["parameters"][name]["value"] == one["value"]
        # Five standard errors, and one more for a network of three epochs.
        assert abs(one["value"] - true) < 6.0 * one["error"], name
        assert one["minos_low"] < 0.0 < one["minos_high"]


def test_a_report_folder_has_all_that_was_promised(fitted: tuple[Ended, Path]) -> None:
    _, report = fitted
    assert {path.name for path in report.iterdir()} == {
        "metrics.json", "fit.json", "workspace.json", "figures", "report.html", "run.json",
    }  # fmt: skip
    assert {path.stem for path in (report / "figures").iterdir()} == {"contours", "profiles", "observed"}
    metrics = json.loads((report / "metrics.json").read_text())
    pull = metrics["parameters"]["m"]["pull"]
    numbers = metrics["parameters"]["m"]
    assert pull == pytest.approx((numbers["value"] - TRUTH["m"]) / numbers["error"])
    assert metrics["expected"]["signal"] + metrics["expected"]["background"] == pytest.approx(1200)
    workspace = json.loads((report / "workspace.json").read_text())
    assert sum(workspace["observations"][0]["data"]) == 1200
    page = (report / "report.html").read_text()
    for words in ("Fitted parameters", "Contours", "Goodness of fit", "signal_fraction", "true value"):
        assert words in page


@pytest.mark.usefixtures("plain")
def test_a_fit_is_reproducible_and_others_differ(desk: Path, fitted: tuple[Ended, Path]) -> None:
    again = here("scan", "fit", desk / "run", desk / "observed.parquet", "-o", desk / "again", "--json").good()
    assert again.json["parameters"] == fitted[0].json["parameters"]
    held = here(
        "scan",
        "fit",
        desk / "run",
        desk / "observed.parquet",
        "-o",
        desk / "held",
        "--fix",
        "signal_fraction=0.33",
        "--json",
    ).good()
    assert held.json["parameters"]["signal_fraction"] == {
        "value": 0.33,
        "error": None,
        "minos_low": None,
        "minos_high": None,
    }


def test_a_dry_run_writes_nothing(desk: Path) -> None:
    out = desk / "dry"
    found = here("scan", "fit", desk / "run", desk / "observed.parquet", "-o", out, "--dry-run", "--json").good().json
    assert found["events"] == 1200
    assert found["estimated_seconds"] > 0
    assert not out.exists()


def nan(columns: Columns) -> Columns:
    return columns | {"x": np.where(np.arange(len(columns["x"])) == 7, np.nan, columns["x"])}


BAD: dict[str, tuple[Callable[[Columns], Columns], tuple[str, ...], int, tuple[str, ...]]] = {
    "a column is missing": (lambda c: {"x": c["x"]}, (), 3, ("bad.parquet", "'y'")),
    "NaN": (nan, (), 3, ("'x'", "NaN", "row 7", "--skip-bad")),
    "MeV for GeV": (lambda c: c | {"x": 1e3 * (c["x"] + 300.0)}, (), 3, ("'x'", "GeV", "1000", "MeV")),
    "MeV for GeV in a column without a unit": (lambda c: c | {"y": 1e3 * c["y"]}, (), 3, ("'y'", "MeV", "1000")),
    "no name": (lambda c: c, ("--fix", "=3"), 2, ("--fix '=3'", "NAME=VALUE")),
    "no entries": (lambda c: {k: v[:0] for k, v in c.items()}, (), 3, ("bad.parquet", "no entries")),
    "nothing selected": (lambda c: c | {"ok": np.zeros(len(c["x"]), dtype=np.int64)}, (), 3, ("none of the 1200",)),
    "a fixed parameter outside": (lambda c: c, ("--fix", "m=300"), 2, ("m cannot be fixed at 300", "80")),
    "an unknown parameter": (lambda c: c, ("--fix", "mass=1"), 2, ("'mass'", "signal_fraction")),
    "an unknown truth": (lambda c: c, ("--truth", "mass=1"), 2, ("--truth mass", "signal_fraction")),
    "no number": (lambda c: c, ("--truth", "m=heavy"), 2, ("NAME=NUMBER",)),
    "a rename of nothing": (lambda c: c, ("--rename", "z=x"), 2, ("--rename z", "x, y")),
    "no thresholds": (lambda c: c, ("--thresholds", "nowhere"), 4, ("nowhere", "castalia scan coverage")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_sentence(name: str, desk: Path, tmp_path: Path) -> None:
    change, words, code, said = BAD[name]
    file = write(tmp_path / "bad.parquet", change(observed()))
    sentence = here("scan", "fit", desk / "run", file, "-o", tmp_path / "report", *words).refused(code)
    for word in said:
        assert word in sentence
    assert not (tmp_path / "report").exists()


def test_training_events_are_not_fitted(desk: Path, tmp_path: Path) -> None:
    sentence = here("scan", "fit", desk / "run", desk / "background.parquet", "-o", tmp_path / "r").refused(3)
    assert "learned from this file" in sentence


@pytest.mark.usefixtures("plain")
def test_bad_rows_can_be_left_out_and_are_counted(desk: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "bad.parquet", nan(observed()))
    found = here("scan", "fit", desk / "run", file, "-o", tmp_path / "r", "--skip-bad", "1", "--json").good()
    assert found.json["events"] == 1199


@pytest.mark.usefixtures("plain")
def test_a_flat_likelihood_exits_5_with_a_report_and_no_error_bar(desk: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "few.parquet", background(30, 9))
    ended = here("scan", "fit", desk / "run", file, "-o", tmp_path / "r", "--fix", "signal_fraction=0")
    sentence = ended.refused(5)
    assert "flat along" in sentence
    assert "m" in sentence.split("fix or constrain one of ")[1].split(", or add")[0].split(", ")
    found = json.loads((tmp_path / "r" / "fit.json").read_text())
    assert found["converged"] is False
    assert all(one["error"] is None for one in found["parameters"].values())
    assert "FAILED" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.usefixtures("plain")
def test_no_convergence_exits_5_with_a_report_and_no_error_bar(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("castalia.apps.scan.minimise._CALLS", 1)
    monkeypatch.setattr("castalia.apps.scan.minimise._TOLERANCE", 1e-9)
    ended = here("scan", "fit", desk / "run", desk / "observed.parquet", "-o", tmp_path / "r")
    assert "MIGRAD did not converge" in ended.refused(5)
    found = json.loads((tmp_path / "r" / "fit.json").read_text())
    assert found["converged"] is False
    assert all(one["error"] is None and one["minos_low"] is None for one in found["parameters"].values())
    assert all(number is None for row in found["covariance"]["matrix"] for number in row)


def test_a_run_belongs_to_its_application(desk: Path, run: Path, toy: Path, tmp_path: Path) -> None:
    for words, made in (
        (("scan", "fit", run, desk / "observed.parquet", "-o", tmp_path / "r"), "simulate"),
        (("simulate", "evaluate", desk / "run", toy, "-o", tmp_path / "r"), "scan"),
        (("simulate", "sample", desk / "run", toy, "-o", tmp_path / "out.root"), "scan"),
        (("export", desk / "run", "-o", tmp_path / "model.onnx"), "scan"),
    ):
        assert f"is a run of '{made}'" in here(*words).refused(4)
    assert not list(tmp_path.iterdir())


def test_inspect_describes_a_run_of_scan(desk: Path) -> None:
    found = here("inspect", desk / "run", "--json").good().json
    assert found["application"] == "scan"
    assert found["models"]["signal"]["condition"] == ["m", "w"]
    assert found["models"]["signal"]["target"] == found["models"]["background"]["target"] == ["x", "y"]
    assert found["models"]["background"]["condition"] == []
    assert found["columns"]["theta_m"]["unit"] == "GeV"


def test_coverage_runs_resumes_and_its_thresholds_belong_to_the_model(desk: Path, tmp_path: Path) -> None:
    words = (
        "scan", "coverage", desk / "run", "--pool", desk / "pool.parquet", "--signal-events", 150, "--background-pool",
        desk / "pool_background.parquet", "--background-events", 300, "--experiments", 12, "-o", tmp_path / "cov",
    )  # fmt: skip
    first = here(*words, "--json").good().json
    assert first["experiments"] == 12
    metrics = json.loads((tmp_path / "cov" / "metrics.json").read_text())
    assert [one["name"] for one in metrics["parameters"]] == ["m", "w", "signal_fraction"]
    assert {path.stem for path in (tmp_path / "cov" / "figures").iterdir()} == {"pulls", "coverage"}
    # A finished report of the same job is left as it is; of another job it is not overwritten.
    written = (tmp_path / "cov" / "report.html").stat().st_mtime_ns
    again = here(*words, "--resume", "--json").good().json
    assert again == first
    assert (tmp_path / "cov" / "report.html").stat().st_mtime_ns == written
    assert "--overwrite" in here(*words, "--seed", 2, "--resume").refused(2)
    assert metrics["searched"] == 2 - metrics["failed"]
    assert metrics["plan"] == {"signal": 150.0, "background": 300.0, "poisson": True}
    few = here("scan", "fit", desk / "run", desk / "observed.parquet", "-o", tmp_path / "r", "--thresholds",
               tmp_path / "cov").refused(4)  # fmt: skip
    assert "too few pseudo-experiments" in few


@pytest.mark.usefixtures("plain")
def test_learned_events_are_known_in_another_format_and_left_out(desk: Path, tmp_path: Path) -> None:
    learned = {name: values[:900] for name, values in training().items()}
    copied = {name: values.astype(np.float32) for name, values in learned.items()}
    copy = write(tmp_path / "copy.root", copied)
    sentence = here("scan", "fit", desk / "run", copy, "-o", tmp_path / "r").refused(3)
    assert "which this is a copy of" in sentence
    some = {name: np.concatenate([values, learned[name][:100]]) for name, values in observed().items()}
    file = write(tmp_path / "some.parquet", some)
    found = here("scan", "fit", desk / "run", file, "-o", tmp_path / "r", "--json").good().json
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    # A tenth of the training files is kept for the test: it was not learned from.
    assert 70 <= metrics["events"]["learned_from"] <= 100
    assert found["events"] == 1300 - metrics["events"]["learned_from"]
    assert "were left out, because the run learned from them" in found["warnings"][0]
    # Rows beyond the simulation are counted: a few per mille are there by construction.
    assert 0 < metrics["events"]["outside_training_range"] < 30
    far = write(tmp_path / "far.parquet", observed() | {"x": np.where(np.arange(1200) < 60, 400.0, observed()["x"])})
    found = here("scan", "fit", desk / "run", far, "-o", tmp_path / "far", "--json").good().json
    assert any("'x' outside" in words for words in found["warnings"])


def training() -> Columns:
    """What the run learned from, without its parameters."""
    rng = Stream(1, "points").at()
    columns = signal(rng.uniform(80, 120, 5000), rng.uniform(40, 60, 5000), 1)
    return {name: columns[name] for name in ("x", "y")}


@pytest.mark.usefixtures("plain")
def test_a_fit_of_few_events_is_reported_without_what_needs_many(desk: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "few.parquet", observed(8, 7))
    words = ("--fix", "m=105", "--fix", "w=47", "--json")
    found = here("scan", "fit", desk / "run", file, "-o", tmp_path / "r", *words).good().json
    assert found["goodness_of_fit"] is None
    assert any("there is no goodness of fit" in warning for warning in found["warnings"])
    assert found["parameters"]["signal_fraction"]["value"] > 0.0


def test_many_failed_experiments_are_reported_and_exit_5(
    desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Laboratory, rng: np.random.Generator, *, searched: bool = False) -> ExperimentResult:
        return ExperimentResult.failed(450, len(self.truth))

    monkeypatch.setattr(Laboratory, "run", fails)
    words = (
        "scan", "coverage", desk / "run", "--pool", desk / "pool.parquet", "--signal-events", 150, "--background-pool",
        desk / "pool_background.parquet", "--background-events", 300, "--experiments", 4, "-o", tmp_path / "cov",
    )  # fmt: skip
    assert "4 of 4 pseudo-experiments did not converge" in here(*words).refused(5)
    metrics = json.loads((tmp_path / "cov" / "metrics.json").read_text())
    assert metrics["joint"][0]["fraction"] is None
    assert metrics["joint"][0]["of_all"] == 0.0
    assert "4 of 4 fits did not converge" in (tmp_path / "cov" / "report.html").read_text()


def test_the_example_script_finds_its_peak(tmp_path: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "scan_peak.py"))
    summary = script["main"](tmp_path / "peak", simulated=6000, epochs=6)
    for name, true in (("mass", 125.0), ("signal_fraction", 0.1)):
        found = summary["parameters"][name]
        # Five standard errors, and one more for a short training.
        assert abs(found["value"] - true) < 6.0 * found["error"], name
    assert (tmp_path / "peak" / "report" / "report.html").exists()


@pytest.mark.parametrize(
    ("pool", "words", "code", "said"),
    [
        ("signal.parquet", (), 3, "one true point"),
        (
            "pool.parquet",
            ("--signal-events", "5000", "--background-pool", "pool_background.parquet", "--background-events", "50"),
            3,
            "cannot be drawn from a pool of 1500",
        ),
        ("pool.parquet", ("--background-pool", "pool_background.parquet"), 2, "belong together"),
        ("pool.parquet", (), 2, "background"),
    ],
)
def test_pools_that_cannot_be_used(
    pool: str, words: tuple[str, ...], code: int, said: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    command = ("scan", "coverage", "run", "--pool", pool, "--signal-events", "100", "--experiments", "4")
    assert said in here(*command, *words, "-o", tmp_path / "cov").refused(code)
