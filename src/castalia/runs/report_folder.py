"""The report folder: written beside under a temporary name, and there only when it is complete."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from pydantic import JsonValue

from castalia.data.atomic import write_error, write_json
from castalia.data.lock import FileLock
from castalia.errors import CastaliaError, ConfigError
from castalia.runs.place import content_of
from castalia.runs.record import RunRecord, now, source_hash, write_record

__all__ = ["ReportFolder", "refuse_report"]

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@final
class ReportFolder:
    """A report folder being written; use `create`.

    Attributes:
        path: Where to write; becomes the final folder when the block of `create` ends well.
        figures: Folder of the figures, inside ``path``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.figures = path / "figures"
        self._results: dict[str, JsonValue] = {}

    @classmethod
    @contextmanager
    def create(
        cls, path: Path, application: str, inputs: Mapping[str, str], seed: int, overwrite: bool
    ) -> Iterator[ReportFolder]:
        """Write a report folder: complete when the block ends, and not there at all if it raises.

        Args:
            path: The folder, which must be missing or empty unless ``overwrite`` is set.
            application: Such as ``"simulate evaluate"``.
            inputs: SHA-256 by input file.
            seed: Seed of the command.
            overwrite: Replace an earlier report.

        Yields:
            The folder to write into; its ``run.json`` is written for you.

        Raises:
            ConfigError: If the folder has content and ``overwrite`` is not set, or content that is no report's.
            MachineError: If another process writes the same report, or the disk refuses.
        """
        if not path.name:
            raise ConfigError(f"{path}: cannot be replaced as a whole; name a report folder.")
        lock = FileLock(path.with_name(f".{path.name}.lock"), str(path))
        lock.refuse_if_held()  # first: whoever waits for another process has nothing to overwrite
        refuse_report(path, overwrite)
        with lock, _named_by(path), _cleared(path) as partial:
            refuse_report(path, overwrite)  # again, now that nobody else writes here
            (partial / "figures").mkdir(parents=True)
            record = RunRecord(
                kind="report",
                application=application,
                seed=seed,
                git_hash=source_hash(),
                inputs=dict(inputs),
                created=now(),
            )
            report = cls(partial)
            yield report
            write_record(partial / "run.json", record.complete(report._results))
            refuse_report(path, overwrite)  # and again: somebody may have put something there meanwhile
            _put(partial, path)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``; NaN and infinities become null."""
        write_json(self.path / "metrics.json", metrics)

    def note(self, results: Mapping[str, JsonValue]) -> None:
        """Add to the ``results`` of ``run.json``."""
        self._results.update(results)


def refuse_report(path: Path, overwrite: bool) -> None:
    """Refuse a place for a report before any work is done for it.

    Raises:
        ConfigError: If it has content and ``overwrite`` is not set, or content that is no report's.
    """
    found = content_of(path, "report folder", overwrite)
    if found and not {"run.json", "metrics.json"} <= found:
        raise ConfigError(f"{path}: has content but is not a report folder; name another one.")


@contextmanager
def _named_by(path: Path) -> Iterator[None]:
    """Let errors name the report that was asked for, and not the hidden folder that nobody knows."""
    partial = _partial(path)
    try:
        yield
    except CastaliaError as error:
        if str(partial) not in str(error):
            raise
        raise type(error)(str(error).replace(str(partial), str(path))) from error
    except OSError as error:
        at = Path(error.filename) if isinstance(error.filename, str | Path) else None
        ours = at is not None and (at.is_relative_to(partial) or at.is_relative_to(path))
        if ours or error.errno in DISK_FULL:
            raise write_error(path, error) from error
        raise


@contextmanager
def _cleared(path: Path) -> Iterator[Path]:
    """Give the place where the lock's holder writes, empty; and leave nothing beside the report, however it ends."""
    try:
        _sweep(path)  # what a killed process has left
        yield _partial(path)
    finally:
        _sweep(path)
        path.with_name(f".{path.name}.lock").unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")  # one name is enough: only the lock's holder writes there


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial-old")


def _put(partial: Path, path: Path) -> None:
    """Give a complete folder its name, moving an earlier one out of the way."""
    if path.exists():
        path.rename(_old(path))
    partial.rename(path)


def _sweep(path: Path) -> None:
    """Remove the traces of writing; an earlier report comes back if nothing has taken its place."""
    if _old(path).exists() and not path.exists():
        _old(path).rename(path)
    for trace in (_old(path), _partial(path)):
        if trace.exists():
            shutil.rmtree(trace)
