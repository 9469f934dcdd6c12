"""The report folder: written beside under a temporary name, and there only when it is complete."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from pydantic import JsonValue

from castalia.data.atomic import write_error, write_json
from castalia.errors import ConfigError, MachineError
from castalia.runs.lock import RunLock
from castalia.runs.record import RunRecord, now, source_hash, write_record

__all__ = ["ReportFolder"]

LOCK = "lock"
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
            MachineError: If the disk refuses.
        """
        _refuse_content(path, overwrite)
        _sweep(path)
        partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
        lock = RunLock(partial / LOCK)
        try:
            (partial / "figures").mkdir(parents=True)
            lock.acquire()
        except OSError as error:
            raise write_error(path, error) from error
        try:
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
            _refuse_content(path, overwrite)  # again: somebody else may have written it meanwhile
            (partial / LOCK).unlink()
            _put(partial, path)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise write_error(path, error) from error
            raise
        finally:
            lock.release()
            if partial.exists():
                shutil.rmtree(partial)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``; NaN and infinities become null."""
        write_json(self.path / "metrics.json", metrics)

    def note(self, results: Mapping[str, JsonValue]) -> None:
        """Add to the ``results`` of ``run.json``."""
        self._results.update(results)


def _refuse_content(path: Path, overwrite: bool) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path}: is a file; name another report folder.")
    found = {entry.name for entry in path.iterdir()} if path.exists() else set()
    if found and not overwrite:
        raise ConfigError(f"{path}: is not empty; pass --overwrite to replace it, or name another report folder.")
    if found and not {"run.json", "metrics.json"} <= found:
        raise ConfigError(f"{path}: has content but is not a report folder; name another one.")


def _sweep(path: Path) -> None:
    """Remove what killed processes left of this report, but nothing that is still being written."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.partial-*"):
        try:
            with RunLock(partial / LOCK):
                shutil.rmtree(partial)
        except MachineError:
            continue  # somebody holds its lock and is at work on it


def _put(partial: Path, path: Path) -> None:
    """Give a complete folder its name, moving an earlier one out of the way."""
    if not path.exists():
        partial.rename(path)
        return
    old = path.with_name(f".{path.name}.partial-{os.getpid()}-old")
    path.rename(old)
    partial.rename(path)
    shutil.rmtree(old)
