"""Every command and every configuration of unfold that the documentation shows, run at a small size."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from castalia_console import here
from shown_documentation import CONFIGS, ROOT, SHOWN, is_of

from castalia.apps.unfold.config import UnfoldConfig, parse_config
from castalia.apps.unfold.measurement.config import parse_measurement
from castalia.apps.unfold.measurement.quantities import quantity_names
from castalia.apps.unfold.sample_file import read_unfolded
from castalia.cli import demo_unfold
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.physics.decay_coordinates import coordinates, decode
from castalia.physics.four_vectors import from_cartesian
from castalia.production.collider import ColliderRequest
from castalia.rng import Stream

COMMANDS = [line for line in SHOWN if is_of("unfold", line)]
UNFOLDINGS = {name: text for name, text in CONFIGS.items() if "[truth" in text}
SMALL = (
    "[model]\noptions = { hidden = [8], encoder = { width = 8, heads = 1, blocks = 1 } }\n\n[training]\nepochs = 1\n"
)
EVENTS = 2_400


def small(text: str) -> str:
    """Return a configuration with a network that learns in a second."""
    return re.sub(r"^\[(model|training)\]\n(.+\n)*\n?", "", text, flags=re.MULTILINE) + "\n" + SMALL


def quick(text: str) -> str:
    """Return a measurement that takes seconds, in bins in which random events lie."""
    text = re.sub(r"passes = \d+", "passes = 1", text)
    text = re.sub(r"replicas = \d+", "replicas = 2\ndraws = 2\nepochs = 1", text)
    return re.sub(r"bins = .*", "bins = [-1e4, 1e4]", text)


def events(config: UnfoldConfig, path: Path, number: int, seed: int) -> Path:
    """Write random events with every column of a configuration, and a truth that the decay tree can have."""
    # An anchor has its momentum twice; random ones would contradict each other.
    rng, tree = Stream(seed, "documented").at(), replace(config.truth.tree(), anchors=())
    columns = {"event": np.arange(number), **{name: np.full(number, seed) for name in ("run", "luminosityBlock")}}
    columns |= {name: np.ones(number, dtype=np.int64) for name in (config.data.selection, config.truth.defined) if name}
    columns |= {variable.column: rng.uniform(1.0, 3.0, number) for variable in config.condition.values()}
    names = list(coordinates(tree))
    values = np.stack([rng.exponential(20.0, number) if n.endswith("_release") else rng.normal(0, 1, number)
                       for n in names], axis=1)  # fmt: skip
    leaves = decode(tree, values, np.full(len(tree.leaves), 0.5))
    for place, prefix in enumerate(config.truth.particles.values()):
        momentum = leaves[:, place, :3]
        energy = np.hypot(np.linalg.norm(momentum, axis=1), 0.5)
        found = zip(("pt", "eta", "phi"), from_cartesian(np.column_stack([momentum, energy])), strict=False)
        columns |= {f"{prefix}_{what}": value for what, value in found}
        columns[f"{prefix}_mass"] = np.full(number, 0.5)
    jagged = {}
    for variables in config.lists.values():
        counts = rng.integers(0, 4, number)
        for variable in variables.values():
            jagged[variable.column] = ak.unflatten(rng.uniform(1.0, 3.0, counts.sum()), counts)
    specs = [ColumnSpec(name=name, dtype=str(values.dtype)) for name, values in columns.items()]
    specs += [ColumnSpec(name=name, dtype="float64", shape="jagged") for name in jagged]
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(Table({**columns, **jagged}))
    return path


def made(request: ColliderRequest, _progress: object) -> None:
    """Stand in for Pythia in the demo."""
    config = parse_config(CONFIGS["demo unfold"], Path("unfold.toml"), Path())
    events(config, request.output, request.events, request.seed)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the shown commands begin from, under the names they use."""
    folder = tmp_path_factory.mktemp("desk")
    text = small((ROOT / "examples" / "unfold.toml").read_text())
    for name in ("unfold.toml", "ttbar.toml"):
        (folder / name).write_text(text)
    config = parse_config(text, folder / "unfold.toml", folder)
    for number, name in enumerate(("ttbar", "fresh", "data")):
        events(config, folder / f"{name}.parquet", EVENTS, 1 + number)
    for number, name in enumerate(("wjets", "a14")):
        events(config, folder / f"{name}.parquet", EVENTS, 11 + number)
    shown = (ROOT / "examples" / "unfold_measurement.toml").read_text()
    (folder / "measurement.toml").write_text(quick(shown))
    here("unfold", "train", folder / "unfold.toml", "-o", folder / "run").good()
    here("unfold", "train", folder / "unfold.toml", "-o", folder / "run_vld", "--seed", 2).good()
    return folder


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out figures and the slowest classifiers, most of the time of an evaluation or a measurement."""
    from castalia.metrics.auc import AucEstimate
    from castalia.metrics.two_sample import TwoSampleTest

    half = AucEstimate(0.5, 0.01, EVENTS)
    monkeypatch.setattr("castalia.apps.unfold.evaluate.draw_figures", lambda *_: {})
    monkeypatch.setattr("castalia.apps.unfold.compare.draw_comparison", lambda *_: {})
    monkeypatch.setattr("castalia.apps.unfold.measurement.measure.draw_figures", lambda *_: {})
    for learner in ("density_ratio", "omnifold"):
        positive = f"castalia.apps.unfold.{learner}.positive_weights"
        monkeypatch.setattr(positive, lambda signed, _: replace(signed, weights=np.abs(signed.weights)))
    monkeypatch.setattr("castalia.apps.unfold.judging.joint_auc", lambda *_, **__: half)
    monkeypatch.setattr("castalia.apps.unfold.judging.joint_test", lambda *_, **__: TwoSampleTest(half, half, half))


def test_the_documentation_of_unfold_was_found() -> None:
    assert {line.split()[1] for line in COMMANDS} == {"train", "sample", "evaluate", "compare", "measure", "unfold"}
    assert {"unfold.toml", "unfold_z.toml", "demo unfold"} == set(UNFOLDINGS)
    # The demo's file is the example's, but for comments and sizes.
    pair = ("demo unfold", "unfold.toml")
    shown, example = (re.sub(r"#.*|epochs = \d+|batch_size = \d+", "", UNFOLDINGS[name]) for name in pair)
    assert shown.split() == example.split()


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_of_unfold_runs(line: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setattr("castalia.production.collider.generate_collider", made)
    braces = SMALL.replace("{", "{{").replace("}", "}}")
    monkeypatch.setattr(demo_unfold, "CONFIG", small(demo_unfold.CONFIG).replace(SMALL, braces))
    size = demo_unfold._Size(EVENTS, EVENTS, 1, 40, (1, 1, 1, 1, 1))
    monkeypatch.setattr(demo_unfold, "QUICK", size)
    monkeypatch.setattr(demo_unfold, "FULL", size)
    smaller = {"--workers": "1", "--draws": "2"}
    words = shlex.split(line)
    for i, word in enumerate(words[:-1]):
        words[i + 1] = smaller.get(word, words[i + 1])
        if word == "-o" and "--resume" not in words:
            words[i + 1] = str(tmp_path / words[i + 1])
    result = here(*words)
    # Random events have nothing to be learned; the gate says so.
    assert result.code == 0 or (result.code == 5 and {"evaluate", "measure", "demo"} & set(words)), result.err
    assert result.out


def test_another_topology_is_another_file(tmp_path: Path) -> None:
    text = small(UNFOLDINGS["unfold_z.toml"])
    (tmp_path / "unfold_z.toml").write_text(text)
    config = parse_config(text, tmp_path / "unfold_z.toml", tmp_path)
    events(config, tmp_path / "zjets.parquet", 600, 1)
    events(config, tmp_path / "data.parquet", 60, 2)
    here("unfold", "train", tmp_path / "unfold_z.toml", "-o", tmp_path / "run").good()
    words = (tmp_path / "run", tmp_path / "data.parquet", "-o", tmp_path / "unfolded.parquet", "--draws", 3)
    here("unfold", "sample", *words).good()
    unfolded = read_unfolded(tmp_path / "unfolded.parquet")
    assert {"z_mass", "plus_px", "minus_px"} < {column.name for column in unfolded.columns}
    assert unfolded.values.shape[:2] == (60, 3)


def test_the_shown_consistency_loss_is_learned_by(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "unfold.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(\[model\]\n[^`]*consistency[^`]*)```", page)
    text = UNFOLDINGS["unfold_z.toml"].replace('coordinates = "decay_tree"', 'coordinates = "cartesian"')
    (tmp_path / "z.toml").write_text(small(text).replace(SMALL, "[training]\nepochs = 1\n\n") + shown)
    config = parse_config((tmp_path / "z.toml").read_text(), tmp_path / "z.toml", tmp_path)
    events(config, tmp_path / "zjets.parquet", 300, 1)
    here("unfold", "train", tmp_path / "z.toml", "-o", tmp_path / "run").good()
    (history,) = (tmp_path / "run").glob("**/history*.jsonl")
    assert "consistency" in history.read_text()


def test_the_shown_measurement_is_valid() -> None:
    path = ROOT / "examples" / "unfold_measurement.toml"
    config = parse_measurement(path.read_text(), path, path.parent)
    assert set(config.methods) == {"posterior", "omnifold", "iterative_bayes"}
    tree = parse_config(UNFOLDINGS["unfold.toml"], path, path.parent).truth.tree()
    assert {one.quantity for one in config.observables.values()} <= set(quantity_names(tree))


@pytest.mark.parametrize("name", UNFOLDINGS)
def test_a_shown_configuration_of_unfold_is_valid(name: str, tmp_path: Path) -> None:
    config = parse_config(UNFOLDINGS[name], tmp_path / "shown.toml", tmp_path)
    assert config.features().layout.condition_objects
