"""From files to one file by the model of a run: what every application that does so is asked, checks and says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from castalia import __version__
from castalia.data.features import Features
from castalia.data.readers import open_reader
from castalia.errors import ConfigError, DataError
from castalia.production.inputs import InputPlan, hold_limit
from castalia.production.pool import produce
from castalia.production.units import Produced, Task

__all__ = ["FileRequest", "estimate_file", "features_of_data", "refuse_own_input", "request_record", "write_file"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileRequest:
    """What a command was asked that makes one file of many; see its ``--help`` for each field."""

    run: Path
    files: tuple[Path, ...]
    output: Path
    workers: int = field(default=1, kw_only=True)
    rename: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    tree: str | None = field(default=None, kw_only=True)
    skip_bad: int = field(default=0, kw_only=True)
    skip_bad_files: bool = field(default=False, kw_only=True)
    strict: bool = field(default=False, kw_only=True)
    resume: bool = field(default=False, kw_only=True)
    overwrite: bool = field(default=False, kw_only=True)
    dry_run: bool = field(default=False, kw_only=True)


def refuse_own_input(request: FileRequest, what: str) -> None:
    """Refuse to write over one of the inputs.

    Args:
        request: What was asked for.
        what: What would be written, for the message.

    Raises:
        ConfigError: If the output is an input.
    """
    if request.output.resolve() in {path.resolve() for path in request.files}:
        raise ConfigError(f"{request.output}: is one of the inputs; write {what} to another file.")


def features_of_data(features: Features, request: FileRequest) -> Features:
    """Return how the files of a request become arrays: as in training, but data that have no weight weigh one each.

    Args:
        features: As in training.
        request: What was asked for; a weight that it renames is wanted.

    Raises:
        DataError: If a file cannot be opened and is not to be left out.
    """
    weight = features.data.weight
    if weight is None or weight in request.rename or _any_has(weight, features, request):
        return features
    return replace(features, data=features.data.model_copy(update={"weight": None}))


def _any_has(column: str, features: Features, request: FileRequest) -> bool:
    for path in request.files:
        try:
            with open_reader(path, request.tree or features.data.tree, request.rename, features.data.layout) as reader:
                if column in reader.columns():
                    return True
        except DataError:
            if not request.skip_bad_files:
                raise
    return False


def request_record(request: FileRequest, plan: InputPlan, tree: str | None) -> dict[str, Any]:
    """Return what of a request the rows of the output depend on, for its sidecar.

    Args:
        request: What was asked for.
        plan: Its files.
        tree: Name of the tree that was read.
    """
    return {
        "castalia": __version__,
        "rename": {**request.rename},
        "tree": tree,
        "skip_bad": request.skip_bad,
        "strict": request.strict,
        "inputs": {**plan.inputs.checksums},
        **({"skipped_files": {**plan.inputs.skipped}} if plan.inputs.skipped else {}),
    }


def write_file(
    task: Task,
    plan: InputPlan,
    request: FileRequest,
    *,
    provenance: Mapping[str, Any],
    flag: str,
    began: float,
    rate: str = "events_per_second",
    draws: int = 1,
    progress: Callable[[float, float, float | None], None] | None = None,
) -> dict[str, Any]:
    """Let a task make its output, warn of what it flagged, and sum up.

    Args:
        task: Makes the rows of a unit, and counts those that are ``flagged``.
        plan: The units.
        request: What was asked for.
        provenance: For the sidecar.
        flag: Name of the column of flags, for the warning.
        began: When the command began, by ``time.monotonic``.
        rate: What the summary calls the rate.
        draws: Draws in each row, which the rate counts.
        progress: Called with work done, work in all and seconds left.

    Returns:
        Name, rows, counts, files left out, content hash, seconds and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced.
        DataError: If a file, column or row cannot be used.
    """
    produced = produce(
        task,
        plan.units,
        request.output,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        provenance=provenance,
        accept=lambda counts: hold_limit(counts, request.skip_bad, request.output),
        progress=progress,
    )
    counts = produced.counts
    if counts.get("flagged", 0):
        seen = counts["read"] - counts.get("skipped", 0) - counts.get("unselected", 0)
        log.warning("%d of %d events lie outside the training range (column %s)", counts["flagged"], seen, flag)
    seconds = time.monotonic() - began
    return {
        "output": str(request.output),
        "events": produced.entries,
        **counts,
        "skipped_files": len(plan.inputs.skipped),
        "sha256": produced.sha256,
        "seconds": round(seconds, 2),
        rate: round(produced.entries * draws / seconds),
    }


def estimate_file(
    task: Task, plan: InputPlan, request: FileRequest, *, copies: int = 1, numbers: float = 1.0
) -> dict[str, Any]:
    """Make the first batch, and say what the whole takes.

    Args:
        task: Makes the rows of a unit.
        plan: The units.
        request: What was asked for.
        copies: Units of work that read the same rows.
        numbers: Numbers in a column of each row, on average.

    Returns:
        Entries, seconds and bytes before compression.
    """
    began = time.monotonic()
    first = next(iter(task.run(plan.units[0])))
    events = len(first.table if isinstance(first, Produced) else first)
    rows = plan.entries * copies
    return {
        "dry_run": True,
        "entries": plan.entries,
        "estimated_seconds": max(0.1, round((time.monotonic() - began) / max(events, 1) * rows / request.workers, 1)),
        "estimated_bytes": int(8 * len(task.schema.columns) * rows * numbers),
    }
