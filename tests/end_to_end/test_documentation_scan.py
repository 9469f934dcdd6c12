"""Every command and every configuration of scan that the documentation shows, run at a small size."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from castalia_console import here
from shown_documentation import CONFIGS, ROOT, SHOWN, is_of

from castalia.apps.scan.config import ScanConfig, parse_config
from castalia.cli import demo_scan
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.metrics.bands import ONE_SIGMA
from castalia.production.collider import ColliderRequest
from castalia.rng import Stream

COMMANDS = [line for line in SHOWN if is_of("scan", line)]
SCANS = {name: text for name, text in CONFIGS.items() if "[parameters" in text}
SMALL = "[model]\noptions = { hidden = [8, 8] }\n\n[training]\nepochs = 1\nbatch_size = 512\n"
POINT = {"m_H": 475.0, "m_Hpm": 310.0}
RANGES = {"m_H": (350.0, 600.0), "m_Hpm": (200.0, 450.0), "jes": (0.9, 1.1)}


def small(text: str) -> str:
    """Return a configuration with a network that learns in a second."""
    return re.sub(r"^\[(model|training)\]\n(.+\n)*\n?", "", text, flags=re.MULTILINE) + "\n" + SMALL


def events(
    config: ScanConfig, path: Path, number: int, seed: int, point: dict[str, float] | None, signal: bool
) -> Path:
    """Write events with every column of a configuration: observables that follow the parameters, or broad ones."""
    rng = Stream(seed, "documented").at()
    theta = {
        name: np.full(number, point[name]) if point else rng.uniform(*RANGES[name], number)
        for name in config.parameters
    }
    columns = {"event": np.arange(number), **{name: np.full(number, seed) for name in ("run", "luminosityBlock")}}
    if signal:
        columns |= {config.parameters[name].column: values for name, values in theta.items()}
    if config.data.selection:
        columns[config.data.selection] = np.ones(number, dtype=np.int64)
    for i, variable in enumerate(config.observables.values()):
        mean, width = (theta["m_H" if i % 2 else "m_Hpm"], 30.0) if signal else (400.0, 100.0)
        columns[variable.column] = np.abs(rng.normal(mean, width, number))
    specs = tuple(ColumnSpec(name=name, dtype=str(values.dtype)) for name, values in columns.items())
    with open_writer(path, Schema(columns=specs)) as writer:
        writer.write(Table(columns))
    return path


def made(request: ColliderRequest, _progress: object) -> dict[str, int]:
    """Stand in for Pythia in the demo."""
    config = parse_config(CONFIGS["demo scan"], Path("scan.toml"), Path())
    point = dict(POINT) if request.parameters.get("m_H") == POINT["m_H"] else None
    signal = request.process == "heavy-higgs"
    events(config, request.output, request.events, request.seed, point, signal)
    return {"semileptonic": request.events}


def report_of_coverage(folder: Path) -> None:
    """Leave a report of two pseudo-experiments with the thresholds that two hundred would have calibrated."""
    pools = ("--pool", folder / "signal_475.parquet", "--background-pool", folder / "ttbar_fresh.parquet")
    numbers = ("--signal-events", 100, "--background-events", 100, "--experiments", 2)
    here("scan", "coverage", folder / "run", *pools, *numbers, "-o", folder / "coverage").good()
    path = folder / "coverage" / "metrics.json"
    metrics = json.loads(path.read_text())
    for parameter in metrics["parameters"]:
        parameter["thresholds"] = [{"level": ONE_SIGMA, "value": 1.1}]
    path.write_text(json.dumps(metrics))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the shown commands begin from, under the names they use."""
    folder = tmp_path_factory.mktemp("desk")
    text = small((ROOT / "examples" / "scan.toml").read_text())
    (folder / "scan.toml").write_text(text)
    config = parse_config(text, folder / "scan.toml", folder)
    events(config, folder / "signal.parquet", 3000, 1, None, True)
    events(config, folder / "ttbar.parquet", 3000, 2, None, False)
    for number, name in enumerate(("observed", "pseudo_data", "signal_475")):
        events(config, folder / f"{name}.parquet", 600, 3 + number, dict(POINT), True)
    events(config, folder / "ttbar_fresh.parquet", 600, 9, None, False)
    here("scan", "train", folder / "scan.toml", "-o", folder / "run").good()
    report_of_coverage(folder)
    return folder


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out figures and contours, most of the time of a fit."""
    monkeypatch.setattr("castalia.apps.scan.run.draw_fit", lambda *_: {})
    monkeypatch.setattr("castalia.apps.scan.run.study_contours", lambda *_: ())


def test_the_documentation_of_scan_was_found() -> None:
    assert {line.split()[1] for line in COMMANDS} == {"train", "fit", "coverage", "scan"}
    assert {"scan.toml", "demo scan"} < set(SCANS)
    assert any(name.startswith("scan.md") for name in SCANS)
    # The demo's file is the example's, but for comments and sizes.
    shown, example = (re.sub(r"#.*|epochs = \d+", "", CONFIGS[name]) for name in ("demo scan", "scan.toml"))
    assert shown.split() == example.split()


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_of_scan_runs(line: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setattr("castalia.production.collider.generate_collider", made)
    monkeypatch.setattr(
        demo_scan, "CONFIG", small(demo_scan.CONFIG).replace("{ hidden = [8, 8] }", "{{ hidden = [8, 8] }}")
    )
    size = demo_scan._Size(3000, 3000, 300, 300, 1, (1, 1, 1, 1, 1))
    monkeypatch.setattr(demo_scan, "QUICK", size)
    monkeypatch.setattr(demo_scan, "FULL", size)
    smaller = {"--experiments": "2", "--workers": "1", "--signal-events": "200", "--background-events": "200"}
    words = shlex.split(line)
    for i, word in enumerate(words[:-1]):
        words[i + 1] = smaller.get(word, words[i + 1])
        if word == "-o" and "--resume" not in words:
            words[i + 1] = str(tmp_path / words[i + 1])
    result = here(*words).good()
    assert result.out


@pytest.mark.parametrize("name", SCANS)
def test_a_shown_configuration_of_scan_is_valid(name: str, tmp_path: Path) -> None:
    text = SCANS[name]
    if "[observables]" not in text:  # a piece, which is added to the example
        text = (ROOT / "examples" / "scan.toml").read_text() + text
    config = parse_config(text, tmp_path / "shown.toml", tmp_path)
    assert config.features().layout.target
