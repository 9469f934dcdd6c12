"""The folder OUT.parts beside an output: one finished file a unit, a lock, and the name of the job they belong to."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from pydantic import JsonValue

import castalia
from castalia.data.atomic import write_json
from castalia.data.hashing import file_sha256
from castalia.data.lock import FileLock
from castalia.data.schema import Schema
from castalia.data.sidecar import Sidecar, Truth, make_sidecar, read_sidecar, write_sidecar
from castalia.data.writers import Writer, WrittenFile
from castalia.data.writers.parquet import ParquetWriter
from castalia.errors import ConfigError, DataError
from castalia.production.units import Task, Unit

__all__ = ["Parts", "job_key", "open_parts"]

log = logging.getLogger(__name__)

_JOB = "job.json"
_LOCK = "lock"


def job_key(task: Task, units: Sequence[Unit], provenance: Mapping[str, JsonValue], truth: Truth | None) -> str:
    """Return the digest of all that the output depends on: version, provenance, columns and units.

    Raises:
        ConfigError: If the provenance holds anything but JSON values.
    """
    head = {
        "version": castalia.__version__,
        "schema": task.schema.model_dump(mode="json"),
        "provenance": provenance,
        "truth": None if truth is None else truth.model_dump(mode="json"),
    }
    try:
        text = json.dumps(head, sort_keys=True)
    except TypeError as error:
        raise ConfigError(f"The provenance of an output cannot be written as JSON ({error}).") from error
    digest = hashlib.sha256(text.encode())
    for unit in units:
        digest.update(f"\x1f{unit.index}\x1f{unit.key}".encode())
    return digest.hexdigest()


@final
@dataclass(frozen=True)
class Parts:
    """An open, locked folder of parts.

    Attributes:
        folder: The folder.
        job: Key of the job it belongs to.
    """

    folder: Path
    job: str

    def path(self, unit: Unit) -> Path:
        """Return where the rows of ``unit`` are."""
        return self.folder / f"part-{unit.index:07d}.parquet"

    def writer(self, unit: Unit, schema: Schema) -> Writer:
        """Prepare the file for the rows of ``unit``; finish it with ``record``."""
        return ParquetWriter(self.path(unit), schema, compression="none")

    def record(self, unit: Unit, written: WrittenFile, schema: Schema, counts: dict[str, int]) -> None:
        """Write the sidecar that makes a written part a finished one."""
        path = self.path(unit)
        provenance = {"job": self.job, "unit": unit.key}
        write_sidecar(path, make_sidecar(path, written, schema, counts=counts, provenance=provenance))

    def sidecar(self, unit: Unit) -> Sidecar | None:
        """Return the sidecar of a finished part of this job, ``None`` where there is none."""
        try:
            sidecar = read_sidecar(self.path(unit))
        except DataError:  # damaged by whatever stopped the job: the unit is simply done again
            return None
        wanted = {"job": self.job, "unit": unit.key}
        return sidecar if sidecar is not None and sidecar.provenance == wanted else None

    def finished(self, units: Sequence[Unit]) -> frozenset[int]:
        """Return the indices of the units whose part is there, unchanged to the last bit."""
        return frozenset(unit.index for unit in units if self._intact(unit))

    def mark_merging(self) -> None:
        """Remember that the output may be replaced: from now on it is this job that makes it."""
        write_json(self.folder / _JOB, {"format": 1, "job": self.job, "merging": True})

    def remove(self) -> None:
        """Remove the folder; only its lock's holder may."""
        _empty(self.folder)
        (self.folder / _LOCK).unlink()  # last: from here on it may be another's
        try:
            self.folder.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
            log.debug("%s: another process has taken it over", self.folder)

    def remove_if_empty(self) -> bool:
        """Remove the folder if no unit was finished, so that a failed command leaves nothing; tell whether it was."""
        empty = not any(self.folder.glob("part-*.parquet.json"))
        if empty:
            self.remove()
        return empty

    def sweep(self) -> None:
        """Remove what killed workers left half-written."""
        for orphan in self.folder.glob(".*.partial-*"):
            orphan.unlink(missing_ok=True)

    def _intact(self, unit: Unit) -> bool:
        path, sidecar = self.path(unit), self.sidecar(unit)
        return sidecar is not None and path.exists() and file_sha256(path) == sidecar.file.sha256


@contextmanager
def open_parts(output: Path, job: str, *, resume: bool, overwrite: bool) -> Iterator[Parts]:
    """Lock the parts of ``output`` and make sure that they are those of this job, or none.

    Args:
        output: The output file; the folder beside it has the same name and ``.parts``.
        job: Key of the job, see :func:`job_key`.
        resume: Whether parts of the same job are kept.
        overwrite: Whether parts left by an earlier job may be dropped, and an existing output replaced.

    Raises:
        ConfigError: If the output exists, or parts that would be lost or do not belong to this job.
        MachineError: If another process is working on the same output.
    """
    parts = Parts(output.with_name(output.name + ".parts"), job)
    lock = FileLock(parts.folder / _LOCK, str(output))
    lock.refuse_if_held()  # first: whoever waits for another process has nothing to overwrite
    _check_output(output, parts, resume=resume, overwrite=overwrite)
    with lock:
        try:
            _check_output(output, parts, resume=resume, overwrite=overwrite)  # again: the last holder may have made it
        except ConfigError:
            parts.remove_if_empty()
            raise
        known = _job_of(parts.folder)
        if known is not None and resume and known != job:
            raise ConfigError(
                f"{parts.folder}: holds parts of another job (other inputs, options, seed or version); repeat the "
                "command that was interrupted, or leave --resume out and pass --overwrite to start anew."
            )
        if known is not None and not resume:
            if not overwrite:
                raise ConfigError(
                    f"{parts.folder}: holds parts of an unfinished job; pass --resume to go on with it, or --overwrite "
                    "to drop them and start anew."
                )
            _empty(parts.folder)
        if known is None or not resume:
            write_json(parts.folder / _JOB, {"format": 1, "job": job, "merging": False})
        parts.sweep()
        yield parts


def _check_output(output: Path, parts: Parts, *, resume: bool, overwrite: bool) -> None:
    if overwrite or not output.exists():
        return
    if resume and _job_file(parts.folder) == {"format": 1, "job": parts.job, "merging": True}:
        return  # stopped between the last rename and its sidecar: the file is this job's own
    raise ConfigError(f"{output}: exists already; choose another name or pass --overwrite to replace it.")


def _job_file(folder: Path) -> object:
    try:
        return json.loads((folder / _JOB).read_bytes())
    except (OSError, ValueError):  # absent, or lost in a crash of the machine: there is no job to go on with
        return None


def _job_of(folder: Path) -> str | None:
    content = _job_file(folder)
    return str(content.get("job")) if isinstance(content, dict) else None


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink()
