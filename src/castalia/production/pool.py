"""One complete output file from many units of work, whatever happens on the way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from pydantic import JsonValue

from castalia.data.hashing import file_sha256
from castalia.data.sidecar import Truth, make_sidecar, read_sidecar, write_sidecar
from castalia.errors import ConfigError, StoppedError
from castalia.production.merge import merge
from castalia.production.parts import Parts, job_key, open_parts
from castalia.production.units import Task, Unit
from castalia.production.workers import run_units

__all__ = ["ProducedFile", "produce"]

Progress: TypeAlias = Callable[[float, float, float | None], None]


@final
@dataclass(frozen=True)
class ProducedFile:
    """The finished output.

    Attributes:
        path: Where it is; its sidecar is beside it.
        entries: Rows.
        counts: As in the sidecar.
        sha256: Hash of the file's bytes.
        column_hashes: Content hash of every column.
        units: Number of units it was made of.
        resumed: How many of them an earlier run had finished.
    """

    path: Path
    entries: int
    counts: Mapping[str, int]
    sha256: str
    column_hashes: Mapping[str, str]
    units: int
    resumed: int


def produce(
    task: Task,
    units: Sequence[Unit],
    output: Path,
    *,
    workers: int,
    resume: bool,
    overwrite: bool,
    provenance: Mapping[str, JsonValue],
    truth: Truth | None = None,
    accept: Callable[[Mapping[str, int]], None] | None = None,
    progress: Progress | None = None,
    tree: str = "events",
) -> ProducedFile:
    """Run a task over all units and write one file with its sidecar, or leave what was there untouched.

    Each unit becomes a part in ``OUT.parts`` beside the output; parts are merged in order while others are computed.
    The content depends on task and units only, not on the number of workers, kills, or restarts. If the work is
    stopped, finished parts stay, and the same call with ``resume`` goes on; on a finished output of the same job it
    returns at once. A script that asks for several workers needs the usual ``if __name__ == "__main__"``.

    Args:
        task: What to do with a unit.
        units: The units in the order of the output, indices from 0 without gaps.
        output: A ``.root`` or ``.parquet`` file.
        workers: Number of processes; one works in this process.
        resume: Keep the parts that an interrupted run of the same job has finished.
        overwrite: Replace an existing output, and drop parts of an earlier job.
        provenance: For the sidecar, as JSON values: version, command, seed, configuration, hashes of model and inputs.
            Whatever the rows depend on belongs here: a job with another provenance is another job.
        truth: What a detector response was generated with, or ``None``.
        accept: Given the task's counts over all units before the output is put in place; raises to refuse it.
        progress: Called with entries done, entries in all, and the seconds left (``None`` while unknown).
        tree: Name of the tree in a ROOT file.

    Raises:
        ConfigError: If the output exists, parts belong to another job, or the units or workers make no sense.
        MachineError: If another process works on the output, workers keep dying, or the disk is full.
        StoppedError: If SIGTERM arrived; finished parts are kept, and the sentence says whether there are any.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers cannot do anything; give at least 1.")
    if not units or [unit.index for unit in units] != list(range(len(units))):
        raise ConfigError(f"{output}: the units are not numbered from 0 without gaps; plan them with plan_units.")
    job = job_key(task, units, provenance, truth)
    if resume and (complete := _already_complete(output, job, len(units))) is not None:
        return complete
    with _sigterm() as check, open_parts(output, job, resume=resume, overwrite=overwrite) as parts:
        try:
            finished = parts.finished(units) if resume else frozenset()
            steps = _steps(task, units, finished, parts, workers, check, progress)
            with closing(steps):
                merged = merge(steps, units, parts, output, task.schema, tree=tree, accept=accept, check=check)
        except BaseException as error:
            parts.sweep()
            empty = parts.remove_if_empty()
            if isinstance(error, StoppedError):
                raise _stopped(output, kept=not empty) from error
            raise
        words = {**provenance, "job": job}
        sidecar = make_sidecar(output, merged.written, task.schema, counts=merged.counts, provenance=words, truth=truth)
        write_sidecar(output, sidecar)
        parts.remove()
    written = merged.written
    return ProducedFile(
        output, written.entries, sidecar.counts, written.sha256, written.column_hashes, len(units), len(finished)
    )


def _already_complete(output: Path, job: str, units: int) -> ProducedFile | None:
    """Return a finished output of the same job, so that a repeated command with ``resume`` does no harm."""
    sidecar = read_sidecar(output) if output.exists() else None
    if sidecar is None or sidecar.provenance.get("job") != job or file_sha256(output) != sidecar.file.sha256:
        return None
    hashes = {name: column.sha256 for name, column in sidecar.columns.items()}
    return ProducedFile(output, sidecar.file.entries, sidecar.counts, sidecar.file.sha256, hashes, units, units)


def _steps(
    task: Task,
    units: Sequence[Unit],
    finished: frozenset[int],
    parts: Parts,
    workers: int,
    check: Callable[[], None],
    progress: Progress | None,
) -> Generator[Unit, None, None]:
    """Yield the units of an earlier run, then the others as they get ready, telling ``progress``."""
    total = sum(unit.entries for unit in units)
    done = before = sum(unit.entries for unit in units if unit.index in finished)
    if progress is not None:
        progress(done, total, None)
    began = time.monotonic()
    yield from (unit for unit in units if unit.index in finished)
    left = [unit for unit in units if unit.index not in finished]
    with closing(run_units(task, left, parts, workers=workers, check=check)) as running:
        for unit in running:
            yield unit
            done += unit.entries
            if progress is not None:
                seconds = time.monotonic() - began
                progress(done, total, seconds / (done - before) * (total - done))


def _stopped(output: Path, *, kept: bool) -> StoppedError:
    if kept:
        return StoppedError(f"{output}: stopped by SIGTERM; run the same command with --resume to go on.")
    return StoppedError(
        f"{output}: stopped by SIGTERM before the first part was finished, so nothing was kept; "
        "run the same command again."
    )


@contextmanager
def _sigterm() -> Iterator[Callable[[], None]]:
    """Give a function that raises StoppedError once SIGTERM has arrived.

    The signal only sets a flag: an exception out of the blue could be taken for a damaged file by whoever reads one.
    """
    arrived = threading.Event()

    def check() -> None:
        if arrived.is_set():
            raise StoppedError("stopped by SIGTERM")

    if threading.current_thread() is not threading.main_thread():
        yield check  # only the main thread may take signals; the process dies of it as usual
        return
    previous = signal.signal(signal.SIGTERM, lambda number, frame: arrived.set())
    try:
        yield check
    finally:
        signal.signal(signal.SIGTERM, previous)
