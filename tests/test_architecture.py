"""Every import of the package keeps to the floors and the walls; each kind of breach, planted, is found."""

from pathlib import Path

import pytest

from architecture import FLOORS, imports_of, room_of, violations

SOURCE = Path(__file__).resolve().parent.parent / "src"


def plant(folder: Path, files: dict[str, str]) -> Path:
    """Write a small castalia package: every room with an empty ``__init__``, and ``files`` on top."""
    for room in [*FLOORS, "apps/simulate", "apps/unfold", "data/readers"]:
        if room not in {"errors", "rng", "__main__"}:
            (folder / "castalia" / room).mkdir(parents=True, exist_ok=True)
            (folder / "castalia" / room / "__init__.py").write_text("")
    for name in ["__init__.py", "errors.py", "rng.py"]:
        (folder / "castalia" / name).write_text("")
    for name, text in files.items():
        (folder / "castalia" / name).write_text(text)
    return folder


def test_the_package_keeps_to_its_floors_and_walls():
    found = violations(SOURCE)
    assert not found, "\n".join(found)


def test_every_room_on_disk_has_a_floor():
    rooms = {path.stem for path in (SOURCE / "castalia").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__pycache__", "py"} <= set(FLOORS)


ALLOWED = {
    "downward": ("metrics/a.py", "from castalia.physics import angles\nfrom castalia.errors import DataError"),
    "own room": ("metrics/a.py", "from . import b\nfrom .b import c\nfrom castalia.metrics.b import d"),
    "the version": ("runs/a.py", "from castalia import __version__\nfrom .. import __version__"),
    "application downward": ("apps/simulate/run.py", "from ...training import fit\nfrom . import config"),
    "the command line": ("cli/a.py", "from castalia.apps.simulate import run\nfrom castalia.apps import unfold"),
    "behind the wall": ("data/readers/root.py", "import uproot\n\ndef f():\n    import pyarrow.parquet"),
    "the one dask file": ("production/dask.py", "import dask\nfrom distributed import Client"),
    "unwalled library": ("metrics/a.py", "import numpy as np\nimport torch\nimport awkward"),
    "alike in name only": ("metrics/a.py", "import castalia_cli_extras\nfrom uproot_browser import x"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_an_import_the_house_allows_is_not_named(tmp_path, name):
    path, text = ALLOWED[name]
    assert violations(plant(tmp_path, {path: text})) == []


# What is planted where, and what the sentence must say.
BREACHES = {
    "upward": ("metrics/a.py", "import castalia.cli.main", "from floor 4 up to floor 7"),
    "upward, from the package": ("physics/a.py", "from castalia import cli", "from floor 1 up to floor 7"),
    "upward, several names": ("data/a.py", "from castalia import errors, training", "imports castalia.training"),
    "upward, relative": ("metrics/a.py", "from ..cli import main", "from floor 4 up to floor 7"),
    "upward, relative to the package": ("metrics/a.py", "from .. import runs", "from floor 4 up to floor 5"),
    "upward, relative in __init__": ("metrics/__init__.py", "from ..reports import tables", "up to floor 5"),
    "upward, deep and relative": ("data/readers/a.py", "from ...estimators import base", "up to floor 3"),
    "inside a function": ("estimators/a.py", "def f():\n    from castalia.training import fit", ":2 imports"),
    "inside a method": ("nn/a.py", "class A:\n    def f(self):\n        import castalia.data.table", ":3 imports"),
    "under TYPE_CHECKING": (
        "nn/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..data import t",
        ":3",
    ),
    "import_module": ("data/a.py", "import importlib\nimportlib.import_module('castalia.cli.main')", "up to floor 7"),
    "import_module, relative": (
        "data/a.py",
        "from importlib import import_module\nimport_module('..cli', __package__)",
        "7",
    ),
    "__import__": ("data/a.py", "__import__('castalia.runs')", "up to floor 5"),
    "attribute of the package": ("data/a.py", "import castalia\n\nx = castalia.runs.open", ":3 imports castalia.runs"),
    "application to application": ("apps/unfold/a.py", "from castalia.apps.simulate import run", "do not import each"),
    "application to application, by folder": ("apps/unfold/a.py", "from castalia.apps import simulate", "each other"),
    "application to application, relative": ("apps/unfold/a.py", "from ..simulate.run import x", "each other"),
    "the folder of applications": ("apps/__init__.py", "from . import simulate", "applications do not import each"),
    "application to command line": ("apps/unfold/a.py", "from ...cli import main", "from floor 6 up to floor 7"),
    "same floor": ("training/a.py", "from castalia.metrics import distances", "training and metrics share floor 4"),
    "same floor, production": ("production/pool.py", "from ..runs import folder", "share floor 5"),
    "same floor, processes": ("processes/a.py", "from ..detectors import photon_response", "share floor 3"),
    "wall: files": ("metrics/a.py", "import uproot", "uproot belongs in castalia.data.readers and"),
    "wall: files, elsewhere in data": ("data/table.py", "from pyarrow import parquet", "pyarrow belongs in"),
    "wall: figures": ("cli/a.py", "def f():\n    import matplotlib.pyplot as plt", ":2 imports matplotlib.pyplot"),
    "wall: processes": ("data/a.py", "import pythia8mc", "castalia.processes and castalia.detectors only"),
    "wall: dask in the pool": ("production/pool.py", "from dask import delayed", "castalia.production.dask only"),
    "wall: export": ("estimators/a.py", "import importlib\nimportlib.import_module('onnx')", "castalia.export only"),
    "wall: a rival": ("estimators/a.py", "import zuko", "zuko belongs in tests and benchmarks only"),
    "an unknown room": ("oddments.py", "", "no floor is known"),
    "into an unknown room": ("metrics/a.py", "from castalia import oddments", "no such room"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_planted_breach_is_found(tmp_path, name):
    path, text, sentence = BREACHES[name]
    found = violations(plant(tmp_path, {path: text}))
    assert len(found) == 1, found
    assert sentence in found[0]


def test_every_import_is_read_once_and_in_full():
    text = "import a.b as c, d\nfrom .e import f as g, h\nfrom .. import i\nfrom j import *\n"
    found = [one.target for one in imports_of(text, "castalia.metrics.x", is_package=False)]
    assert found == ["a.b", "d", "castalia.metrics.e.f", "castalia.metrics.e.h", "castalia.i", "j"]


def test_applications_are_rooms_of_their_own():
    assert room_of("castalia.apps.scan.model") == ("apps.scan", 6)
    assert room_of("castalia.apps") == ("apps", 6)
    assert room_of("castalia") == ("castalia", -1)
    assert room_of("castalia.oddments") is None
