"""Every command, configuration and snippet of pixels that the documentation shows, run at a small size."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from castalia_console import PLUGINS, here
from pixel_toys import events, write
from shown_documentation import CONFIGS, ROOT, SHOWN, is_of

from castalia.apps.pixels.config import PRESET, parse_config
from castalia.cli import demo_pixels
from castalia.data.table import Table
from castalia.detectors.pxd.conditions import KNOBS
from castalia.production.pxd import PxdRequest

COMMANDS = [line for line in SHOWN if is_of("pixels", line)]
SHOWN_CONFIGS = {name: text for name, text in CONFIGS.items() if name.removeprefix("demo ").startswith("pixels")}
MODEL = 'estimator = "toy-pixels"'
SMALL = f"[model]\n{MODEL}\n\n[training]\nepochs = 1\nbatch_size = 16\n"


@pytest.fixture(autouse=True, scope="module")
def toy_estimators():
    """Offer an estimator that learns in a second."""
    sys.path.insert(0, str(PLUGINS))
    yield
    sys.path.remove(str(PLUGINS))


def small(text: str) -> str:
    """Return a configuration with a model that learns in a second."""
    return re.sub(r"^\[(model|training)\]\n(.+\n)*\n?", "", text, flags=re.MULTILINE) + SMALL


def background(path: Path, seed: int) -> Path:
    """Write small events with every column of a file of background."""
    table = events(60, seed, basf2=path.suffix == ".root")
    knobs = {name: table["pressure"] for name in KNOBS if name not in table}
    return write(path, Table({**{name: table[name] for name in table}, **knobs}))


def made(request: PxdRequest, _progress: object) -> None:
    """Stand in for the simulation in the demo."""
    background(request.output, request.seed)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the shown commands begin from, under the names they use."""
    folder = tmp_path_factory.mktemp("desk")
    for seed, name in enumerate(("background", "conditions", "fresh")):
        background(folder / f"{name}.parquet", 1 + seed)
    (folder / "pixels.toml").write_text(small((ROOT / "examples" / "pixels.toml").read_text()))
    here("pixels", "train", folder / "pixels.toml", "-o", folder / "run").good()
    here("pixels", "sample", folder / "run", folder / "fresh.parquet", "-o", folder / "sampled.parquet").good()
    return folder


def test_the_documentation_of_pixels_was_found() -> None:
    assert {line.split()[1] for line in COMMANDS} == {"train", "sample", "evaluate", "pixels"}
    assert {"pixels.toml", *(f"demo pixels {name}" for name, *_ in demo_pixels.ARMS)} <= set(SHOWN_CONFIGS)
    assert all(f'preset = "{PRESET}"' in SHOWN_CONFIGS[name] for name in ("pixels.toml", "demo pixels run"))
    # The demo's file is the example's, but for comments, model and sizes.
    changing = r"#.*|\[model\]\n.*|epochs = \d+"
    shown, *others = (
        re.sub(changing, "", SHOWN_CONFIGS[name]).split()
        for name in ("pixels.toml", *(f"demo pixels {name}" for name, *_ in demo_pixels.ARMS))
    )
    assert all(other == shown for other in others)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_of_pixels_runs(line: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setattr("castalia.production.pxd.generate_pxd", made)
    monkeypatch.setattr("castalia.apps.pixels.evaluate.draw_figures", lambda *_: {})  # tests/apps/pixels draws them
    monkeypatch.setattr(demo_pixels, "ARMS", [(name, MODEL, what) for name, _, what in demo_pixels.ARMS])
    words = shlex.split(line.replace("--workers 2", "--workers 1"))
    if words[0] == "demo":
        words += ["--workers", "1"]
    if "--resume" not in words:
        words = [str(tmp_path / word) if words[i - 1] == "-o" else word for i, word in enumerate(words)]
    assert here(*words).good().out


@pytest.mark.parametrize("name", SHOWN_CONFIGS)
def test_a_shown_configuration_of_pixels_is_valid(name: str, tmp_path: Path) -> None:
    config = parse_config(SHOWN_CONFIGS[name], tmp_path / "shown.toml", tmp_path)
    assert [variable.name for variable in config.layout.condition] == [name for name in KNOBS if name != "common_mode"]
    assert parse_config(small(SHOWN_CONFIGS[name]), tmp_path / "small.toml", tmp_path).estimator()[0] == "toy-pixels"


def test_the_shown_snippets_run(desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    page = (ROOT / "docs" / "pixels.md").read_text()
    snippets = [text for text in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "basf2.Module" not in text]
    assert len(snippets) >= 2
    monkeypatch.chdir(desk)
    for text in snippets:
        exec(compile(text, "docs/pixels.md", "exec"), {})
    assert "8 " in capsys.readouterr().out
