"""Event records from text files: opened with or without gzip, checked, and gathered into tables of particles."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from castalia.data.particles import EventRecords, particle_columns
from castalia.data.table import Table
from castalia.errors import DataError

__all__ = ["ReadEvent", "event_tables", "open_record_file"]

_GZIP_MAGIC = b"\x1f\x8b"
_WEB_PAGE = (b"<!doctype", b"<html")


@dataclass(frozen=True)
class ReadEvent:
    """One event of a file, its fields those of ``castalia.data.particles.EventRecords`` for one event.

    Attributes:
        weight: The event's weight.
        pdg: PDG numbers, shape ``(entries,)``.
        stable: What reaches the detector.
        hard: What goes out of the hard process.
        mother: Index of the only mother, -1 where there is none or several.
        momentum: (px, py, pz, E) in GeV, shape ``(entries, 4)``.
        mass: Generated mass in GeV.
    """

    weight: float
    pdg: NDArray[np.int64]
    stable: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    mother: NDArray[np.int64]
    momentum: NDArray[np.float64]
    mass: NDArray[np.float64]


@contextmanager
def open_record_file(path: Path, beginning: bytes, kind: str) -> Iterator[BinaryIO]:
    """Open a text file of events for reading, unpacked where it is gzipped.

    Args:
        path: The file.
        beginning: What stands at the beginning of such a file.
        kind: What such a file is called, for messages.

    Raises:
        DataError: If the file is missing, empty, of another kind, or its compression is damaged or cut short.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
        with cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb") as stream:
            start = stream.read(4096).lstrip()
            if not start:
                raise DataError(f"{path}: is empty; copy or make the file again.")
            if beginning not in start:
                page = start.lower().startswith(_WEB_PAGE)
                what = "is a web page" if page else f"does not begin like {kind} ('{beginning.decode()}' is not there)"
                raise DataError(f"{path}: {what}; get the file again.")
            stream.seek(0)
            yield stream
    except FileNotFoundError as exc:
        raise DataError(f"{path}: does not exist; check the name.") from exc
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise DataError(f"{path}: its compressed data are damaged or cut short ({exc}); copy the file again.") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror}); check the name and the permissions.") from exc


def event_tables(path: Path, events: Iterator[ReadEvent], chunk: int) -> Iterator[Table]:
    """Gather events into tables of exactly ``chunk`` rows, the last shorter.

    Args:
        path: The file they come from, for messages.
        events: The events in the order of the file.
        chunk: Rows per table, at least 1.

    Yields:
        Tables as ``castalia.processes.collider`` makes them: ``run`` and ``luminosityBlock`` are 1, ``event`` counts
        from 1 in the file, ``weight`` is the file's, ``process`` is 0.

    Raises:
        DataError: If ``chunk`` is below 1, the file has no events, or an event has numbers or mothers that cannot be.
    """
    if chunk < 1:
        raise DataError(f"a chunk of {chunk} rows is not possible; ask for at least 1.")
    first = 0
    while True:
        gathered = list(islice(events, chunk))
        if not gathered:
            break
        for offset, event in enumerate(gathered):
            _check(path, first + offset + 1, event)
        yield _table(first, gathered)
        first += len(gathered)
    if first == 0:
        raise DataError(f"{path}: has no events; leave the file out or make it again.")


def _check(path: Path, number: int, event: ReadEvent) -> None:
    if not (np.isfinite(event.momentum).all() and np.isfinite(event.mass).all() and np.isfinite(event.weight)):
        raise DataError(f"{path}: event {number} has a momentum, mass or weight that is no number; make it again.")
    if np.any(event.mother >= len(event.pdg)):
        raise DataError(f"{path}: event {number} names a mother beyond its last particle; make it again.")


def _table(first: int, events: list[ReadEvent]) -> Table:
    rows = len(events)
    records = EventRecords(
        counts=np.array([len(event.pdg) for event in events], dtype=np.int64),
        pdg=np.concatenate([event.pdg for event in events]),
        stable=np.concatenate([event.stable for event in events]),
        hard=np.concatenate([event.hard for event in events]),
        mother=np.concatenate([event.mother for event in events]),
        momentum=np.concatenate([event.momentum for event in events]),
        mass=np.concatenate([event.mass for event in events]),
    )
    return Table(
        {
            "run": np.ones(rows, dtype=np.int64),
            "luminosityBlock": np.ones(rows, dtype=np.int64),
            "event": np.arange(first + 1, first + rows + 1, dtype=np.int64),
            "weight": np.array([event.weight for event in events], dtype=np.float64),
            "process": np.zeros(rows, dtype=np.int32),
            **particle_columns(records),
        }
    )
