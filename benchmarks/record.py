"""What a benchmark writes: one result file, with what was measured, on which machine, at which commit, for which goals.

A benchmark is a script ``benchmarks/NAME.py`` with a ``--quick`` form. It ends with :func:`write_result`, as ``NAME``
or, for the quick form, ``NAME_quick``. A long one keeps finished trainings with :func:`load_rows` and :func:`add_row`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import operator
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = [
    "FORMAT",
    "RESULTS",
    "ROOT",
    "Goal",
    "add_row",
    "changed_since",
    "is_met",
    "load_rows",
    "machine",
    "result_path",
    "state_of",
    "write_result",
]

FORMAT = 1
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"

_OWN: dict[Path, dict[str, Any]] = {}
"""Rows that this process has added, by the result file."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def is_met(value: float | None, op: str, goal: float) -> bool:
    """Return whether ``value op goal`` holds; a value that is missing or not a number meets nothing.

    Raises:
        ValueError: If ``op`` is not one of ``<=``, ``>=``, ``<``, ``>``.
    """
    if op not in _OPERATORS:
        raise ValueError(f"a goal is compared with one of {', '.join(_OPERATORS)}, not with {op!r}")
    return value is not None and not math.isnan(value) and _OPERATORS[op](value, goal)


@dataclass(frozen=True)
class Goal:
    """A number measured and what it should be.

    Attributes:
        name: What was measured, with its unit.
        value: The number; None if it could not be measured.
        op: How ``value`` compares with ``goal``: ``<=``, ``>=``, ``<`` or ``>``.
        goal: The number wanted.
        error: Standard error of ``value``.
        peer: What it is held against, such as ``zuko 1.6.0``.
        ratio: ``value`` over the peer's value.
    """

    name: str
    value: float | None
    op: str
    goal: float
    error: float | None = None
    peer: str | None = None
    ratio: float | None = None


def result_path(name: str, root: Path = ROOT) -> Path:
    """Return where the result called ``name`` lies in the repository ``root``."""
    return root / "benchmarks" / "results" / f"{name}.json"


def machine() -> dict[str, Any]:
    """Describe this machine: processor, logical cores, memory in GiB, system, Python, and torch where it is loaded."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = torch.__version__
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
    return found


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _threads() -> int:
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    return int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)


def _commit(root: Path) -> str | None:
    found = _git(root, "rev-parse", "HEAD")
    return found.stdout.strip() if found.returncode == 0 else None


_LOADED: Final = _commit(ROOT)
"""The commit whose code this process has, whatever is committed while it measures."""


def _is_dirty(root: Path) -> bool:
    """Return whether anything but the results themselves differs from the commit."""
    found = _git(root, "status", "--porcelain", "--", ".", ":(exclude)benchmarks/results")
    return found.returncode != 0 or bool(found.stdout.strip())


def changed_since(commit: str | None, paths: Sequence[str], root: Path = ROOT) -> list[str]:
    """Return those of ``paths`` whose content today is not that of ``commit``.

    A path the commit did not have counts as changed, and so does every path where the commit is not known here (None,
    or not in a shallow clone).
    """
    if commit is None or _git(root, "cat-file", "-e", f"{commit}^{{commit}}").returncode != 0:
        return list(paths)
    return [
        path
        for path in paths
        if _git(root, "cat-file", "-e", f"{commit}:{path.rstrip('/')}").returncode != 0
        or _git(root, "diff", "--quiet", commit, "--", path).returncode != 0
        or _git(root, "ls-files", "--others", "--exclude-standard", "--", path).stdout.strip()
    ]


@cache
def state_of(paths: tuple[str, ...], root: Path = ROOT) -> str:
    """Return a few characters that change with the content of ``paths``, as git knows it and as it differs from that.

    They are the same for as long as the process lives, whose code is loaded already.
    """
    known = _git(root, "rev-parse", *(f"HEAD:{path}" for path in paths)).stdout
    changes = _git(root, "diff", "HEAD", "--", *paths).stdout
    return hashlib.sha256(f"{known}{changes}".encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: NaN and infinity become null, NumPy scalars become numbers."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial-{os.getpid()}")
    beside.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    beside.replace(path)
    return path


def _frame(name: str, paths: Sequence[str], seeds: Sequence[int], seconds: float, root: Path) -> dict[str, Any]:
    # Where somebody keeps samples is nobody else's business: of absolute paths the last part is enough.
    words = [str(Path(sys.argv[0])), *(Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])]
    script = Path(sys.argv[0]).resolve()
    if script.is_relative_to(root):
        words[0] = str(script.relative_to(root))
    return {
        "format": FORMAT,
        "name": name,
        "command": f"python {shlex.join(words)}",
        "commit": _LOADED if root == ROOT else _commit(root),
        "dirty": _is_dirty(root),
        "machine": machine(),
        "threads": _threads(),
        "seeds": list(seeds),
        "seconds": round(seconds, 1),
        "values": {},
        "goals": [],
        "paths": list(paths),
    }


def write_result(
    name: str,
    *,
    values: Mapping[str, Any],
    goals: Sequence[Goal],
    paths: Sequence[str],
    seeds: Sequence[int],
    seconds: float,
    root: Path = ROOT,
) -> Path:
    """Write ``benchmarks/results/NAME.json``, keeping the rows that :func:`add_row` put there.

    Args:
        name: Name of the result; ``NAME_quick`` for a benchmark's quick form.
        values: What was measured, JSON values; NaN and infinity are written as null.
        goals: What is claimed of it.
        paths: Source files and folders measured, relative to the repository; a change there makes the result stale.
        seeds: Seeds used.
        seconds: Wall-clock time the benchmark took.
        root: The repository.

    Raises:
        RuntimeError: As :func:`add_row`.
    """
    with _alone():
        content = _frame(name, paths, seeds, seconds, root)
        rows = _kept_rows(content, root)
        content["values"] = {**values, "rows": rows} if rows else dict(values)
        content["goals"] = [{**asdict(one), "met": is_met(one.value, one.op, one.goal)} for one in goals]
        return _write(result_path(name, root), content)


def load_rows(name: str, paths: Sequence[str], root: Path = ROOT) -> dict[str, Any]:
    """Return the rows an earlier, perhaps interrupted run left; none if anything in ``paths`` has changed since."""
    path = result_path(name, root)
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["dirty"] or changed_since(content["commit"], paths, root):
        return {}
    rows: dict[str, Any] = content["values"].get("rows", {})
    return rows


def add_row(
    name: str, key: str, row: Mapping[str, Any], *, paths: Sequence[str], seconds: float, root: Path = ROOT
) -> None:
    """Add one finished training to the result file, so that a run that is stopped goes on from there.

    Several processes may add rows of their own at the same time. Until :func:`write_result` completes it the file has
    no goals, and ``check.py`` calls it unfinished.

    Raises:
        RuntimeError: If rows would be lost, as the sources are no longer those that they were measured on.
    """
    with _alone():
        content = _frame(name, paths, [], seconds, root)
        content["values"] = {"rows": {**_kept_rows(content, root), key: dict(row)}}
        path = _write(result_path(name, root), content)
        _OWN.setdefault(path, {})[key] = dict(row)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process changes a result, and keep others waiting."""
    with Path(__file__).open(encoding="utf-8") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        yield


def _kept_rows(content: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return the rows that stay in a result file whose new content is this.

    Rows of committed sources are not mixed with others: in a dirty tree only those of this process stay.
    """
    path = result_path(content["name"], root)
    there, own = load_rows(content["name"], content["paths"], root), _OWN.get(path, {})
    lost = there.keys() if content["dirty"] else own.keys() - there.keys()
    if lost:
        raise RuntimeError(
            f"{path}: row {min(lost)!r} and {len(lost) - 1} more were measured on other sources than those of now; "
            "commit changes, or put the old sources back, and run it again."
        )
    return {**there, **own}
