"""Hold the result files against their own goals: ``python benchmarks/check.py [NAME...] [--fresh]``.

Recomputes every ``met``; demands ``dirty: false``; names results older than the sources they measured (an error with
``--fresh``) and benchmarks without a result. Exits 1 if anything falls short.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from record import FORMAT, ROOT, changed_since, is_met, result_path

__all__ = ["Finding", "check_file", "main", "wanted_names"]

# Scripts in benchmarks/ that measure nothing.
_TOOLS = {"check", "record"}
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
        lines: One table row per goal.
        errors: What falls short, one sentence each.
        stale: Those of its ``paths`` that have changed since.
    """

    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def wanted_names(root: Path = ROOT) -> list[str]:
    """Return the names of all results: one per benchmark script, and every file in ``results``."""
    scripts = {path.stem for path in (root / "benchmarks").glob("*.py")} - _TOOLS
    written = {path.stem for path in (root / "benchmarks" / "results").glob("*.json")}
    return sorted(scripts | written)


def check_file(name: str, root: Path = ROOT) -> Finding:
    """Check the result called ``name``: present, well formed, from a clean commit, every goal met as recomputed."""
    found = Finding()
    path = result_path(name, root)
    if not path.is_file():
        found.errors.append(f"{name}: no result; run python benchmarks/{name}.py and commit {path.relative_to(root)}.")
        return found
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        found.errors.append(f"{name}: not JSON ({error}); run the benchmark again.")
        return found
    found.errors.extend(f"{name}: {what}" for what in _malformed(name, content))
    if found.errors:
        return found
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
    claim = (
        f"{goal['name']} = {_figure(goal['value'])}{_error(goal['error'])}, wanted {goal['op']} {_figure(goal['goal'])}"
    )
    found.lines.append(f"  {'met   ' if met else 'MISSED'}  {claim}{_peer(goal)}")
    if met != goal["met"]:
        found.errors.append(f"{name}: {claim}: the file says met is {goal['met']}, and it is {met}.")
    elif not met:
        found.errors.append(f"{name}: {claim}.")


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


def _error(value: float | None) -> str:
    return "" if value is None else f" ± {value:.2g}"


def _peer(goal: dict[str, Any]) -> str:
    if goal["peer"] is None:
        return ""
    return f" (against {goal['peer']}" + ("" if goal["ratio"] is None else f", ratio {goal['ratio']:.3g}") + ")"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Check the results named, or all, and write a table; return 1 if anything falls short."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="results to check (default: all)")
    parser.add_argument("--fresh", action="store_true", help="a result older than its sources is an error")
    options = parser.parse_args(arguments)
    errors: list[str] = []
    for name in options.names or wanted_names(root):
        found = check_file(name, root)
        sys.stdout.write("\n".join([name, *found.lines]) + "\n")
        if found.stale:
            sentence = f"{name}: older than {', '.join(found.stale)}; run it again."
            sys.stdout.write(f"  stale   {sentence}\n")
            errors += [sentence] if options.fresh else []
        errors += found.errors
    if errors:
        sys.stdout.write("\nFalls short:\n" + "".join(f"- {line}\n" for line in errors))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
