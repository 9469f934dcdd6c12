"""The project's own promises: a light import, documented modules, one version, nothing of one machine in the files."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import castalia
from architecture import imports_of

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "src" / "castalia").rglob("*.py"))


def run_python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


IMPORT = "import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"


def fastest_import(name: str) -> float:
    """Seconds of the fastest of three imports: the others may have shared the machine."""
    return min(float(run_python(IMPORT.format(name=name))) for _ in range(3))


def test_the_import_is_light():
    assert fastest_import("castalia") <= 0.3


def test_the_timing_notices_a_heavy_import():
    assert fastest_import("time, sys; time.sleep(0.35)") > 0.3


def test_the_import_loads_no_heavy_library():
    loaded = run_python("import sys, castalia; print(' '.join(sys.modules))").split()
    assert {"torch", "matplotlib", "numpy", "scipy", "awkward"}.isdisjoint(loaded)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_public_module_says_what_it_offers(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "no module docstring"
    if path.stem.startswith("_"):
        return
    assigned = {ast.unparse(one.targets[0]): one for one in tree.body if isinstance(one, ast.Assign)}
    defined = [one.name for one in tree.body if isinstance(one, ast.ClassDef | ast.FunctionDef)]
    if "__all__" not in assigned:
        assert not [name for name in defined if not name.startswith("_")], "public names and no __all__"
        return
    offered = ast.literal_eval(assigned["__all__"].value)
    assert sorted(set(offered)) == sorted(offered), "a name twice in __all__"


def test_every_name_offered_is_there():
    for path in MODULES:
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
        assert not missing, f"{module.__name__}: {missing}"


def test_one_version_everywhere():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == castalia.__version__
    assert f"\nversion: {castalia.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def test_every_declared_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", one)[0]).lower() for one in declared}
    assert names <= set(pins())
    assert pins()["torch"] == "2.13.0"


def undeclared(text: str, module: str) -> list[str]:
    """Return the libraries ``text`` imports that no dependency, direct and by name, provides."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everything = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.split(r"[<>=]", one)[0].lower().replace("-", "_") for one in everything}
    # Those that are imported by another name than they are installed by.
    names |= {own for own, package in {"sklearn": "scikit_learn", "xgboost": "xgboost_cpu"}.items() if package in names}
    libraries = {one.target.partition(".")[0] for one in imports_of(text, module, is_package=False)}
    return sorted(libraries - names - set(sys.stdlib_module_names) - {"castalia"})


def test_every_library_imported_is_declared():
    found = {str(path): undeclared(path.read_text(encoding="utf-8"), "castalia.a.b") for path in MODULES}
    assert not {path: libraries for path, libraries in found.items() if libraries}


def test_a_library_that_only_comes_along_is_found():
    assert undeclared("import os\nfrom sklearn import svm\nfrom cramjam import x\n", "castalia.a.b") == ["cramjam"]


# Put together from pieces, so that this file does not find itself.
FOREIGN = re.compile(
    r"py" + r"pi\.org|python" + r"hosted\.org|download\.py" + r"torch\.org|ana" + r"conda\.org|ghcr" + r"\.io|"
    r"docker" + r"\.io|npm" + r"js\.|index" + r"-url|"
    r"/wo" + r"rk/(main|shared)|/ro" + r"ot/|/ho" + r"me/\w|/tm" + r"p/(v|spec)/|/op" + r"t/py"
)


def foreign_lines(text: str) -> list[str]:
    return [line.strip()[:120] for line in text.splitlines() if FOREIGN.search(line)]


def repository_files() -> list[Path]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git repository")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registry_or_a_place_on_one_machine():
    for path in repository_files():
        if b"\0" in (content := path.read_bytes()):
            continue
        found = foreign_lines(content.decode("utf-8", errors="replace"))
        assert not found, f"{path.relative_to(ROOT)}: {found}"


PLANTED = ["https://py" + "pi.org/simple", "see /ro" + "ot/data", "--index" + "-url x", "/wo" + "rk/main/src"]


@pytest.mark.parametrize("text", PLANTED)
def test_a_registry_or_a_local_path_is_found(text):
    assert foreign_lines(f"one\n{text}\n") == [text]


def test_no_file_is_large():
    assert not [path for path in repository_files() if path.stat().st_size > 1_000_000]


def test_targets_the_readme_opens_with_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {"demo", "test", "test-slow", "lint", "docs", "bench"} <= set(targets)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_an_old_python_is_refused_in_a_sentence(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    words = ["make", "-C", str(ROOT), f"PYTHON={old}", f"VENV={tmp_path / 'venv'}", "lint"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "castalia needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_the_wheel_carries_the_package_whole(tmp_path):
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(words, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("castalia-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    kinds = {".py", ".html", ".css", ".js", ".toml", ".typed"}
    wanted = {str(path.relative_to(source)) for path in (source / "castalia").rglob("*") if path.suffix in kinds}
    assert wanted <= names, sorted(wanted - names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "tools"))]
