"""Every command and every configuration of classify that the documentation shows, run at a small size."""

import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from castalia_console import PLUGINS, here
from real_events import real_events
from shown_documentation import CONFIGS, ROOT, SHOWN, is_of

from castalia.apps.classify.config import parse_config, parse_pretraining
from castalia.cli import demo_classify
from castalia.data.features import Features
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.typed_objects import TypedObjects
from castalia.data.writers import open_writer
from castalia.production.collider import ColliderRequest
from castalia.rng import Stream

COMMANDS = [line for line in SHOWN if is_of("classify", line)]
SHOWN_CONFIGS = {name: text for name, text in CONFIGS.items() if "[objects." in text}
PRETRAININGS = {name for name, text in SHOWN_CONFIGS.items() if "[classes]" not in text}
DEMO = {"demo classify": "classify.toml", "demo classify pretraining": "classify_pretrain.toml"}
EVENTS = 400
OPEN_DATA = ROOT / "examples" / "open_data"


@pytest.fixture(autouse=True, scope="module")
def toy_estimators():
    """Offer estimators that learn in a second."""
    sys.path.insert(0, str(PLUGINS))
    yield
    sys.path.remove(str(PLUGINS))


def small(text: str) -> str:
    """Return a configuration with a model that learns in a second."""
    kind = "classifier" if "[classes]" in text else "pretraining"
    rest = re.sub(r"^\[(model|training)\]\n(.+\n)*\n?", "", text, flags=re.MULTILINE)
    return f'{rest}\n[model]\nestimator = "toy-{kind}"\n\n[training]\nepochs = 1\nbatch_size = 64\n'


def events(features: Features, path: Path, seed: int) -> Path:
    """Write random events with every column of a configuration."""
    rng, typed = Stream(seed, "documented").at(), features.typed or TypedObjects({})
    columns = {name: np.full(EVENTS, seed) for name in features.data.identifiers}
    columns |= {"event": np.arange(EVENTS), "weight": np.ones(EVENTS), "process": 1 + np.arange(EVENTS) % 2}
    columns |= {name: np.ones(EVENTS, dtype=np.int64) for name in (features.data.selection,) if name}
    jagged = {}
    for one in typed.types.values():
        if one.columns is not None:
            named = one.columns.model_dump(exclude_none=True).values()
            columns |= {name: rng.uniform(1.0, 3.0, EVENTS) for name in named}
        for collection in one.collections:
            names = [n for n in (*typed.columns, *typed.ancestry_columns) if n.startswith(f"{collection}_")]
            counts = rng.integers(0, 5, EVENTS)
            for name in names:
                whole = name in one.where or name in typed.ancestry_columns
                flat = rng.integers(0, 2, counts.sum()) if whole else rng.uniform(1.0, 3.0, counts.sum())
                jagged[name] = ak.unflatten(flat, counts)
    specs = [ColumnSpec(name=name, dtype=str(values.dtype)) for name, values in columns.items()]
    specs += [ColumnSpec(name=n, dtype=str(v.layout.content.dtype), shape="jagged") for n, v in jagged.items()]
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(Table({**columns, **jagged}))
    return path


def made(request: ColliderRequest, _progress: object) -> None:
    """Stand in for Pythia in the demo."""
    labelled, text = request.card == "cms-like", CONFIGS["classify.toml"]
    unlabelled = parse_pretraining(CONFIGS["classify_pretrain.toml"], Path(), Path()).features()
    features = parse_config(text, Path(), Path()).samples()["ttbar"] if labelled else unlabelled
    events(features, request.output, 10 * request.seed + len(request.output.name))


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demo learn in a second, from random events, and leave out figures, which test_evaluate.py draws."""
    monkeypatch.setattr("castalia.apps.classify.evaluate.draw_figures", lambda *_: {})
    monkeypatch.setattr("castalia.apps.classify.compare.draw_comparison", lambda *_: {})
    monkeypatch.setattr("castalia.production.collider.generate_collider", made)
    monkeypatch.setattr(demo_classify, "PRETRAINING", small(demo_classify.PRETRAINING))
    # The toy knows no decays; something else must tell the trainings with them from that without.
    text = small(demo_classify.CONFIG) + "learning_rate = 1e-{decay_weight:.0f}\n"
    monkeypatch.setattr(demo_classify, "CONFIG", text)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the shown commands begin from, under the names they use."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("classify.toml", "classify_pretrain.toml"):
        (folder / name).write_text(small((ROOT / "examples" / name).read_text()))
    (folder / "pretrain.toml").write_text((folder / "classify_pretrain.toml").read_text())
    labelled = parse_config((folder / "classify.toml").read_text(), folder, folder).samples()["ttbar"]
    for number, name in enumerate(("ttbar", "heavy_higgs", "data", "fresh_ttbar", "fresh_heavy_higgs")):
        events(labelled, folder / f"{name}.parquet", 1 + number)
    unlabelled = parse_pretraining((folder / "pretrain.toml").read_text(), folder, folder).features()
    events(unlabelled, folder / "unlabelled.parquet", 6)
    here("classify", "pretrain", folder / "pretrain.toml", "-o", folder / "pretrained").good()
    here("classify", "train", folder / "classify.toml", "-o", folder / "run").good()
    here("classify", "train", folder / "classify.toml", "-o", folder / "run_tuned", "--seed", 2).good()
    return folder


def test_the_documentation_of_classify_was_found() -> None:
    assert {line.split()[1] for line in COMMANDS} == {
        "pretrain", "train", "predict", "evaluate", "compare", "classify",
    }  # fmt: skip
    assert {"classify.toml", "classify_pretrain.toml"} < set(SHOWN_CONFIGS)
    assert {"classify_pretrain.toml", "demo classify pretraining"} == PRETRAININGS
    for demo, example in DEMO.items():  # the demo's file is the example's, but for comments and sizes
        shown, other = (re.sub(r"#.*|epochs = \d+|batch_size = \d+", "", CONFIGS[name]) for name in (demo, example))
        assert shown.split() == other.split()
    shown, other = (parse(CONFIGS[name], Path(name), Path()).objects for parse, name in
                    ((parse_config, "classify.toml"), (parse_pretraining, "classify_pretrain.toml")))  # fmt: skip
    assert list(shown.items()) == list(other.items())


@pytest.mark.usefixtures("small_demo")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_of_classify_runs(
    line: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    for drawn in ("evaluate.draw_figures", "compare.draw_comparison"):  # tests/apps/classify draws them
        monkeypatch.setattr(f"castalia.apps.classify.{drawn}", lambda *_: {})
    words = shlex.split(line.replace("--workers 2", "--workers 1"))
    if "--resume" not in words:
        words = [str(tmp_path / word) if words[i - 1] == "-o" else word for i, word in enumerate(words)]
    ended = here(*words)
    # The classes of random events are the same: whoever tells them apart guesses, which the gate says.
    assert ended.code == 0 or (ended.code == 5 and words[1] in ("evaluate", "classify")), ended.err
    assert ended.out


def test_the_shown_export_is_one_of_a_classifier(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = (line for line in SHOWN if line.startswith("export") and "classifier.onnx" in line)
    model = '[model]\npreset = "mlp"\noptions = { hidden = [8] }\n'
    (desk / "mlp.toml").write_text(re.sub(r"\[model\]\n.*\n", model, (desk / "classify.toml").read_text()))
    here("classify", "train", desk / "mlp.toml", "-o", tmp_path / "run").good()
    monkeypatch.chdir(tmp_path)
    assert "classifier.onnx" in here(*shlex.split(line)).good().out


@pytest.mark.usefixtures("small_demo")
@pytest.mark.parametrize("name", ["heptutorial_ww.root", "dimuons_100k.hdf5", "zmumu_run2011a.csv"])
def test_the_demo_pre_trains_on_measured_events(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = real_events(name)
    declared = {
        layout: re.sub(r"^\[model\]\n.+\n", "", text, flags=re.M) for layout, text in demo_classify.REAL.items()
    }
    monkeypatch.setattr(demo_classify, "REAL", declared)
    ended = here("demo", "classify", "--quick", "-o", tmp_path / "demo", "--real", measured)
    assert ended.code in (0, 5), ended.err  # as above
    record = json.loads((tmp_path / "demo" / "backbone" / "run.json").read_text())
    assert [*record["inputs"]] == [str(measured)]
    assert not list((tmp_path / "demo").glob("unlabelled*"))


@pytest.mark.parametrize("layout", demo_classify.REAL)
def test_what_the_demo_declares_of_measured_events_is_what_the_examples_do(layout: str) -> None:
    shown = {tomllib.loads(path.read_text())["data"].get("layout"): path for path in OPEN_DATA.glob("*.toml")}
    example = tomllib.loads(shown[layout].read_text())
    text = "[data]\nfiles = []\nlayout = 'x'\n" + demo_classify.REAL[layout]
    ours = tomllib.loads(text)
    assert ours["data"].get("identifiers") == example["data"].get("identifiers")
    assert ours.get("model") == example.get("model")
    assert [*ours["objects"].values()] == [*example["objects"].values()]
    assert {*ours["objects"]} <= {*tomllib.loads(CONFIGS["classify.toml"])["objects"]}


def test_measured_events_that_the_demo_cannot_read_are_refused_before_any_work(tmp_path: Path) -> None:
    config = parse_pretraining(CONFIGS["classify_pretrain.toml"], tmp_path, tmp_path)
    other = events(config.features(), tmp_path / "data.root", 1)
    words = ("-o", tmp_path / "demo", "--real", other)
    assert "is of none of the sets cms-record-212" in here("demo", "classify", *words).refused(3)
    assert "only the demo of classify" in here("demo", "scan", *words).refused(2)
    assert not list((tmp_path / "demo").iterdir())


@pytest.mark.parametrize("name", SHOWN_CONFIGS)
def test_a_shown_configuration_of_classify_is_valid(name: str, tmp_path: Path) -> None:
    parse = parse_pretraining if name in PRETRAININGS else parse_config
    config = parse(SHOWN_CONFIGS[name], tmp_path / "shown.toml", tmp_path)
    assert config.features().layout.condition_objects


def test_the_shown_label_column_trains(tmp_path: Path) -> None:
    text = next(small(text) for text in SHOWN_CONFIGS.values() if text.startswith("label"))
    (tmp_path / "classify.toml").write_text(text)
    events(parse_config(text, tmp_path, tmp_path).samples()[""], tmp_path / "mixture.parquet", 1)
    here("classify", "train", tmp_path / "classify.toml", "-o", tmp_path / "run").good()
