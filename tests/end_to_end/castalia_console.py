"""The command line for tests: as a user types it (a process of its own), or in this process to be quick."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "src"
PLUGINS = Path(__file__).parent / "plugins"

CONFIG = """\
[data]
files = [{files}]
tree = "events"
weight = "weight"

[objects]
collection = "photon"
take = 2
order_by = "photon_et_true"

[condition]
et = {{ column = "photon_et_true", unit = "GeV", transform = "log" }}
eta = {{ column = "photon_eta_true" }}
mu = {{ column = "mu", per = "event" }}

[target]
et = {{ column = "photon_et", minus = "photon_et_true", unit = "GeV", scale = 20.0 }}
eta = {{ column = "photon_eta", minus = "photon_eta_true", scale = 0.005 }}
phi = {{ column = "photon_phi", minus = "photon_phi_true", unit = "rad", wrap = true, scale = 0.01 }}

{model}

[training]
epochs = {epochs}
{training}
"""

# A network that learns in a second: what it learns is not what these tests look at.
SMALL_MODEL = '[model]\npreset = "compact"\noptions = { hidden = [16, 16], embedding_bins = 4 }'


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    def good(self) -> Ended:
        """Return itself after checking that it went well."""
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self

    def refused(self, code: int) -> str:
        """Return the one error sentence after checking that there is one and nothing else went wrong."""
        assert self.code == code, f"exit {self.code} instead of {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        assert errors == [len(lines) - 1], self.err
        sentence = lines[-1].removeprefix("error: ")
        assert sentence.endswith((".", ")")), sentence
        return sentence


def environment(**extra: str) -> dict[str, str]:
    path = os.pathsep.join(part for part in (str(SOURCE), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", **extra}


def start(*words: object, cwd: Path | None = None, env: dict[str, str] | None = None, **options: Any):
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "castalia", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
        env=env or environment(),
        **options,
    )


def ended(process, timeout: float = 240) -> Ended:
    out, err = process.communicate(timeout=timeout)
    return Ended(process.returncode, out, err)


def typed(*words: object, cwd: Path | None = None, env: dict[str, str] | None = None, **options: Any) -> Ended:
    """Run a command as a user types it."""
    return ended(start(*words, cwd=cwd, env=env, **options))


def here(*words: object) -> Ended:
    """Run a command in this process: the same `main`, without two seconds of imports."""
    from castalia.cli.main import main

    logger = logging.getLogger("castalia")
    before = logger.handlers, logger.level, logger.propagate
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    try:
        with (
            mock.patch.object(sys, "argv", ["castalia", *map(str, words)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            main()
    except SystemExit as stop:
        code = stop.code
    finally:
        logger.handlers, level, logger.propagate = before
        logger.setLevel(level)
    return Ended(code, out.getvalue(), err.getvalue())


def listing(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden files too: what a refused command must leave as it was."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def write_config(
    path: Path, *files: Path | str, model: str = SMALL_MODEL, epochs: int = 2, training: str = "", **replace: str
) -> Path:
    names = ", ".join(json.dumps(str(file), ensure_ascii=False) for file in files)
    text = CONFIG.format(files=names, model=model, epochs=epochs, training=training)
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def column_hashes(path: Path) -> dict[str, str]:
    sidecar = json.loads(Path(f"{path}.json").read_text())
    return {name: column["sha256"] for name, column in sidecar["columns"].items()}


def read(path: Path, *columns: str):
    """All rows of a file."""
    from castalia.data.readers import open_reader

    with open_reader(path) as reader:
        names = columns or tuple(reader.columns())
        return next(reader.iterate(names, reader.count()))


def altered(source, path, change):
    """Write the table of ``source`` to a file without a sidecar, with ``change`` applied to a copy of its columns."""
    from castalia.data.readers import open_reader
    from castalia.data.schema import ColumnSpec, Schema
    from castalia.data.writers import open_writer

    table = read(source)
    with open_reader(source) as reader:
        stored = reader.columns()
    arrays = {name: np.array(table[name]) for name in table.names}
    change(arrays)
    specs = (ColumnSpec(name=n, dtype=stored[n].dtype, shape=stored[n].length or "flat") for n in arrays)
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(type(table)(arrays))
    return path


def weights(run: Path) -> bytes:
    return (run / "models" / "response" / "model.safetensors").read_bytes()


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Path:
    """A file of 4,000 toy events."""
    path = tmp_path_factory.mktemp("toy") / "toy.root"
    here("generate", "diphoton", "--process", "toy", "--events", 4000, "-o", path).good()
    return path


@pytest.fixture(scope="session")
def run(toy, tmp_path_factory) -> Path:
    """A run folder trained on `toy`."""
    folder = tmp_path_factory.mktemp("run")
    here("simulate", "train", write_config(folder / "toy.toml", toy), "-o", folder / "run").good()
    return folder / "run"


@pytest.fixture
def no_figures():
    """Leave out the drawing, most of an evaluation's time, where only the numbers are looked at."""
    with mock.patch("castalia.apps.simulate.evaluate.draw_figures", return_value={}):
        yield
