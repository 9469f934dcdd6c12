"""The wheel with its core dependencies and nothing else: whoever installs no extra can generate, train and sample."""

import os
import subprocess
import sys
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from castalia_console import write_config
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
# One module of every extra, and what the tests themselves need.
EXTRAS = ("pythia8mc", "fastjet", "pylhe", "pyhepmc", "dask", "onnx", "onnxruntime", "pyhf", "zuko", "nflows", "pytest")


def clean() -> dict[str, str]:
    """The environment variables less those that lead Python to this checkout or to the environment of the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def needed(requirements: list[str], found: dict[str, object]) -> dict[str, object]:
    """Everything that must be installed for ``requirements``, extras left out, as distributions by name."""
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in found:
            found[requirement.name] = one = distribution(requirement.name)
            needed(one.requires or [], found)
    return found


def link(one, site: Path) -> None:
    """Make the files of an installed distribution importable from ``site``, without copying or downloading them."""
    tops = {Path(file.parts[0]) for file in one.files or () if file.parts[0] not in ("..", "__pycache__")}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(one.locate_file(top))


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """The Python of a fresh environment that has the wheel and its core dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "--quiet", "--no-deps", "-w", folder, ROOT], check=True, timeout=240, env=clean())
    (wheel,) = folder.glob("castalia-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = [*pip, "--python", python, "install", "--quiet", "--no-deps", "--no-index", "--no-cache-dir", wheel]
    subprocess.run(install, check=True, timeout=240, env=clean())
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (metadata,) = site.glob("castalia-*.dist-info")
    lines = (metadata / "METADATA").read_text(encoding="utf-8").splitlines()
    wanted = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    for one in needed(wanted, {}).values():
        link(one, site)
    return python


def in_bare(python: Path, *words: object, cwd: Path) -> str:
    """Run the environment's Python, which sees neither this checkout nor the environment of the tests."""
    done = subprocess.run(
        [python, *map(str, words)],
        cwd=cwd,
        env={**clean(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_environment_is_bare(bare, tmp_path):
    place = Path(in_bare(bare, "-c", "import castalia; print(castalia.__file__)", cwd=tmp_path).strip())
    assert place.is_relative_to(bare.parents[1]), "it is the wheel that is looked at"
    there = in_bare(
        bare,
        "-c",
        f"from importlib.util import find_spec; print([name for name in {EXTRAS} if find_spec(name)])",
        cwd=tmp_path,
    )
    assert there.strip() == "[]"
    here = []
    for name in EXTRAS:
        try:
            here.append(distribution(name))
        except PackageNotFoundError:
            continue
    assert here, "some extra is installed for the tests, or this would show nothing"


@pytest.mark.slow
def test_the_wheel_without_extras_generates_trains_and_samples(bare, tmp_path):
    truth = tmp_path / "toy.root"
    in_bare(
        bare, "-m", "castalia", "generate", "diphoton", "--process", "toy", "--events", 4000, "-o", truth, cwd=tmp_path
    )
    config = write_config(tmp_path / "c.toml", truth, epochs=1)
    in_bare(bare, "-m", "castalia", "simulate", "train", config, "-o", tmp_path / "run", cwd=tmp_path)
    console = bare.with_name("castalia")  # the script that the wheel installs
    words = ("simulate", "sample", tmp_path / "run", truth, "-o", tmp_path / "out.root", "--workers", 2)
    assert "4000" in in_bare(bare, console, *words, cwd=tmp_path)
    in_bare(bare, "-m", "castalia", "inspect", tmp_path / "out.root", cwd=tmp_path)
