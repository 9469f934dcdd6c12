"""Reads every import of the package and names those that break the house's rules.

Rules: imports go to a lower floor or stay in their own room; applications never import each other; some third-party
libraries stay behind walls. Read are absolute and relative imports, `from castalia import x`, imports inside functions
and under ``TYPE_CHECKING``, ``importlib.import_module`` and ``__import__`` of a literal, and ``castalia.x`` after a
bare ``import castalia``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FLOORS", "WALLS", "Import", "imports_of", "main", "room_of", "violations"]

PACKAGE = "castalia"

# Rooms of one floor do not import one another; every application is a room of its own on the floor of `apps`.
FLOORS = {
    "errors": 0,
    "rng": 0,
    "physics": 1,
    "nn": 1,
    "data": 2,
    "processes": 3,
    "detectors": 3,
    "estimators": 3,
    "training": 4,
    "metrics": 4,
    "plots": 4,
    "runs": 5,
    "production": 5,
    "export": 5,
    "reports": 5,
    "apps": 6,
    "cli": 7,
    "__main__": 8,
}

# Library -> the modules (and everything below them) that may import it.
_FILES = ("castalia.data.readers", "castalia.data.writers")
_PHYSICS = ("castalia.processes", "castalia.detectors")
_DASK = ("castalia.production.dask",)
_EXPORT = ("castalia.export",)
WALLS: dict[str, tuple[str, ...]] = {
    "uproot": _FILES,
    "pyarrow": _FILES,
    "h5py": _FILES,
    "pylhe": _FILES,
    "pyhepmc": _FILES,
    "pythia8mc": _PHYSICS,
    "fastjet": _PHYSICS,
    "matplotlib": ("castalia.plots",),
    "mplhep": ("castalia.plots",),
    "dask": _DASK,
    "distributed": _DASK,
    "onnx": _EXPORT,
    "onnxscript": _EXPORT,
    "onnxruntime": _EXPORT,
    # Rivals and oracles: for tests and benchmarks, never for the package.
    "zuko": (),
    "nflows": (),
    # A rival that is offered as a model as well.
    "xgboost": ("castalia.estimators.classification.boosted_trees",),
}


@dataclass(frozen=True)
class Import:
    """One import as written: the module it reaches, in full, and the line."""

    target: str
    line: int


def module_name(path: Path, source: Path) -> str:
    """Return the dotted name of the file ``path`` below the source folder ``source``."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(text: str, module: str, is_package: bool) -> list[Import]:
    """Return every import in ``text``, the source of ``module``; ``from a import b`` gives ``a.b``."""
    package = module if is_package else module.rpartition(".")[0]
    found: list[Import] = []
    for node in ast.walk(ast.parse(text)):
        found.extend(Import(target, getattr(node, "lineno", 0)) for target in _targets(node, package))
    return sorted(found, key=lambda one: (one.line, one.target))


def _targets(node: ast.AST, package: str) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=name, names=names, level=level):
            base = _absolute(package, level, name or "")
            yield from (base if alias.name == "*" else f"{base}.{alias.name}" for alias in names)
        case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _is_import_call(node.func):
            dots = len(name) - len(name.lstrip("."))
            yield _absolute(package, dots, name.lstrip("."))
        case ast.Attribute(value=ast.Name(id="castalia"), attr=name) if name in FLOORS:
            yield f"{PACKAGE}.{name}"
        case _:
            return


def _absolute(package: str, level: int, name: str) -> str:
    if level == 0:
        return name
    parents = package.split(".")
    base = parents[: len(parents) - (level - 1)]
    return ".".join([*base, name] if name else base)


def _is_import_call(function: ast.expr) -> bool:
    return ast.unparse(function).rpartition(".")[2] in {"import_module", "__import__"}


def room_of(module: str) -> tuple[str, int] | None:
    """Return the room of a castalia module and its floor; None for a room the house does not know.

    ``castalia`` itself, which holds only the version, is a room below all others.
    """
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__version__":
        return PACKAGE, -1
    floor = FLOORS.get(parts[1])
    if floor is None:
        return None
    if parts[1] == "apps" and len(parts) > 2:
        return f"apps.{parts[2]}", floor
    return parts[1], floor


def violations(source: Path) -> list[str]:
    """Return one sentence for every import below ``source`` that breaks a rule, in the order of the files."""
    found: list[str] = []
    for path in sorted((source / PACKAGE).rglob("*.py")):
        module = module_name(path, source)
        here = room_of(module)
        if here is None:
            found.append(f"{module}: no floor is known for this room; give it one in tools/architecture.py.")
            continue
        for one in imports_of(path.read_text(encoding="utf-8"), module, path.name == "__init__.py"):
            reason = _reason(module, here, one.target)
            if reason:
                found.append(f"{path.relative_to(source)}:{one.line} imports {one.target}: {reason}")
    return found


def _reason(module: str, here: tuple[str, int], target: str) -> str | None:
    library = target.partition(".")[0]
    if library != PACKAGE:
        allowed = WALLS.get(library)
        if allowed is None or any(module == place or module.startswith(f"{place}.") for place in allowed):
            return None
        where = " and ".join(allowed) or "tests and benchmarks"
        return f"{library} belongs in {where} only."
    there = room_of(target)
    if there is None:
        return "no such room."
    if there[0] == here[0] or there[1] < here[1]:
        return None
    if there[1] > here[1]:
        return f"from floor {here[1]} up to floor {there[1]}."
    if here[0].startswith("apps") and there[0].startswith("apps"):
        return "applications do not import each other."
    return f"{here[0]} and {there[0]} share floor {here[1]}."


def main() -> int:
    """Check this repository's ``src``; return 1 if an import breaks a rule."""
    found = violations(Path(__file__).resolve().parent.parent / "src")
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
