"""Hold the result files against their own goals: ``python benchmarks/check.py [NAME...] [--fresh] [--quick]``.

Recomputes every ``met``; demands ``dirty: false``; names results older than the sources they measured (an error with
``--fresh``) and benchmarks without a result. With ``--quick`` it first runs the quick form of every benchmark, whatever
becomes of the others. Prints one table; exits 1 if anything falls short.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import math
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from record import FORMAT, ROOT, changed_since, is_met, result_path

__all__ = ["Finding", "benchmark_names", "check_file", "main", "run_quick", "wanted_names"]

_WIDTH = 120
_COLUMNS = {"figure": 52, "value ± error": 19, "goal": 11, "": 6, "peer": 17, "ratio": 7}
_QUICK_SECONDS = 600  # five times what a quick form may take on a quiet machine
_KEYS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "name": str,
    "command": str,
    "commit": str,
    "dirty": bool,
    "machine": dict,
    "threads": int,
    "seeds": list,
    "seconds": (int, float),
    "values": dict,
    "goals": list,
    "paths": list,
}
_GOAL_KEYS = {"name", "value", "error", "op", "goal", "met", "peer", "ratio"}


@dataclass
class Finding:
    """What one result file is worth.

    Attributes:
        about: When and how it was measured.
        rows: One row of the table per goal.
        errors: What falls short, one sentence each.
        stale: Those of its ``paths`` that have changed since.
    """

    about: str = "no result"
    rows: list[tuple[str, ...]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def benchmark_names(root: Path = ROOT) -> list[str]:
    """Return the names of all benchmarks: the scripts that write a result; the other modules only help them."""
    return sorted(path.stem for path in (root / "benchmarks").glob("*.py") if _writes_result(path))


def _writes_result(path: Path) -> bool:
    imports = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
    ]
    return any(node.module == "record" and "write_result" in {one.name for one in node.names} for node in imports)


def wanted_names(root: Path = ROOT) -> list[str]:
    """Return the names of all results: one per benchmark, and every file in ``results``."""
    written = {path.stem for path in (root / "benchmarks" / "results").glob("*.json")}
    return sorted({*benchmark_names(root), *written})


def run_quick(name: str, root: Path = ROOT) -> str | None:
    """Run a benchmark's quick form; return one sentence where it failed."""
    words = [sys.executable, f"benchmarks/{name}.py", "--quick"]
    begin = time.monotonic()
    try:
        done = subprocess.run(
            words,
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_QUICK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"{name}: its quick form was stopped after {_QUICK_SECONDS} s."
    sys.stdout.write(f"{name} --quick: {time.monotonic() - begin:.0f} s\n")
    sys.stdout.flush()
    if done.returncode == 0:
        return None
    sys.stdout.write(textwrap.indent(done.stdout, "    "))
    last = (done.stdout.strip().splitlines() or ["no message"])[-1]
    return f"{name}: its quick form failed with exit code {done.returncode} ({last})."


def check_file(name: str, root: Path = ROOT) -> Finding:
    """Check the result called ``name``: present, well formed, from a clean commit, every goal met as recomputed."""
    found = Finding()
    path = result_path(name, root)
    if not path.is_file():
        found.errors.append(f"{name}: no result; run python benchmarks/{name}.py and commit {path.relative_to(root)}.")
        return found
    found.about = "cannot be read"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        found.errors.append(f"{name}: not JSON ({error}); run the benchmark again.")
        return found
    found.errors.extend(f"{name}: {what}" for what in _malformed(name, content))
    if found.errors:
        return found
    found.about = f"{content['seconds']:.0f} s, {content['threads']} threads, commit {content['commit'][:7]}"
    if content["dirty"]:
        found.errors.append(f"{name}: measured on uncommitted sources; commit, then run it again.")
    if not content["goals"]:
        found.errors.append(f"{name}: unfinished, it has no goals; run it again to go on: {content['command']}")
    for goal in content["goals"]:
        _check_goal(name, goal, found)
    found.stale.extend(changed_since(content["commit"], content["paths"], root))
    return found


def _malformed(name: str, content: Any) -> list[str]:
    if not isinstance(content, dict):
        return ["not a JSON object."]
    found = [f"lacks {key!r}." for key in _KEYS if key not in content]
    present = [(key, kind) for key, kind in _KEYS.items() if key in content]
    found += [f"{key!r} is {content[key]!r}." for key, kind in present if not isinstance(content[key], kind)]
    if not found and content["format"] != FORMAT:
        found.append(f"format {content['format']}, and this check reads format {FORMAT}.")
    if not found and content["name"] != name:
        found.append(f"calls itself {content['name']!r}.")
    if not found and not content["paths"]:
        found.append("names no 'paths', so nothing can tell when it is out of date.")
    return found


def _check_goal(name: str, goal: dict[str, Any], found: Finding) -> None:
    lacking = sorted(_GOAL_KEYS - set(goal))
    if lacking:
        found.errors.append(f"{name}: goal {goal.get('name')!r} lacks {', '.join(lacking)}.")
        return
    try:
        met = is_met(goal["value"], goal["op"], goal["goal"])
    except (TypeError, ValueError) as error:
        found.errors.append(f"{name}: goal {goal['name']!r}: {error}.")
        return
    value, wanted = _measured(goal["value"], goal["error"]), f"{goal['op']} {_figure(goal['goal'])}"
    ratio = "" if goal["ratio"] is None else f"{goal['ratio']:.3g}"
    found.rows.append((goal["name"], value, wanted, "met" if met else "MISSED", goal["peer"] or "", ratio))
    claim = f"{goal['name']} = {value}, wanted {wanted}"
    if met != goal["met"]:
        found.errors.append(f"{name}: {claim}: the file says met is {goal['met']}, and it is {met}.")
    elif not met:
        found.errors.append(f"{name}: {claim}.")


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


def _measured(value: float | None, error: float | None) -> str:
    """Write a value to the second digit of its error."""
    if value is None or not error:
        return _figure(value)
    decimals = 1 - math.floor(math.log10(error))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}" if 0 <= decimals <= 7 else f"{value:.4g} ± {error:.2g}"


def _lines(cells: Sequence[str]) -> str:
    """Lay one row of the table out; a cell too long for its column goes on below."""
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, _COLUMNS.values(), strict=True)]
    lines = itertools.zip_longest(*wrapped, fillvalue="")
    padded = (zip(line, _COLUMNS.values(), strict=True) for line in lines)
    return "".join("  " + " ".join(f"{cell:<{width}}" for cell, width in line).rstrip() + "\n" for line in padded)


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="    ", break_long_words=False) + "\n"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Check the results named, or all, and write a table; return 1 if anything falls short."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="results to check (default: all)")
    parser.add_argument("--fresh", action="store_true", help="a result older than its sources is an error")
    parser.add_argument("--quick", action="store_true", help="run the quick forms first, and check their results too")
    options = parser.parse_args(arguments)
    errors: list[str] = []
    names = options.names or wanted_names(root)
    if options.quick:
        chosen = [name for name in benchmark_names(root) if name in names]
        errors += [failure for name in chosen if (failure := run_quick(name, root)) is not None]
        names = sorted({*names, *(f"{name}_quick" for name in chosen)})
    sys.stdout.write(_lines(tuple(_COLUMNS)))
    for name in names:
        found = check_file(name, root)
        sys.stdout.write(f"{name} ({found.about})\n" + "".join(_lines(row) for row in found.rows))
        if found.stale:
            sentence = f"{name}: older than {', '.join(found.stale)}; run it again."
            sys.stdout.write(_paragraph(f"  stale: {sentence}"))
            errors += [sentence] if options.fresh else []
        errors += found.errors
    if errors:
        sys.stdout.write("\nFalls short:\n" + "".join(_paragraph(f"- {line}") for line in errors))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
