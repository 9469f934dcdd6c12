"""Les Houches event files, read with pylhe: partons before any shower, which are their own stable particles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np

from castalia.data.readers.record_stream import ReadEvent, event_tables, open_record_file
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError

__all__ = ["read_lhe"]

_OUTGOING = 1


def read_lhe(path: Path, chunk: int) -> Iterator[Table]:
    """Read a Les Houches event file as truth particles.

    Outgoing particles are stable; quarks and gluons stay partons, so that jets come from partons.

    Args:
        path: A ``.lhe`` file, gzipped or not.
        chunk: Events per table, at least 1.

    Yields:
        Tables as ``castalia.data.readers.record_stream.event_tables`` describes them.

    Raises:
        ConfigError: If pylhe is not installed.
        DataError: If the file is missing, damaged or cut short; the message has the number of the event.

    References:
        Alwall et al., A standard format for Les Houches event files, hep-ph/0609017.
    """
    try:
        import pylhe
    except ImportError as error:
        raise ConfigError(
            f"{path}: LHE files need pylhe, which is not installed; run pip install 'castalia[processes]'."
        ) from error
    with open_record_file(path, b"<LesHouchesEvents", "an LHE file") as stream:
        yield from event_tables(path, _events(path, stream, pylhe.LHEFile), chunk)


def _events(path: Path, stream: Any, reader: Any) -> Iterator[ReadEvent]:
    with _damage(path, "its header"):
        events = reader.frombuffer(stream, with_attributes=False).events
    number = 0
    while True:
        number += 1
        with _damage(path, f"event {number}"):
            event = next(events, None)
        if event is None:
            return
        if len(event.particles) != event.eventinfo.nparticles:
            raise DataError(
                f"{path}: event {number} has {len(event.particles)} particles and says that it has "
                f"{event.eventinfo.nparticles}; make or copy the file again."
            )
        yield _read(event)


@contextmanager
def _damage(path: Path, where: str) -> Iterator[None]:
    """Report what pylhe stumbles over; a file that is cut short is only a warning to it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except (RuntimeWarning, ParseError, ValueError, IndexError, KeyError, OverflowError, AttributeError) as exc:
        raise DataError(f"{path}: {where} is malformed or cut short ({exc}); make or copy the file again.") from exc


def _read(event: Any) -> ReadEvent:
    particles = event.particles
    # The file counts from 1, and writes 0 where there is no mother, or no second one.
    mothers = np.array([(one.mother1, one.mother2) for one in particles], dtype=np.int64).reshape(-1, 2) - 1
    only = (mothers[:, 1] < 0) | (mothers[:, 1] == mothers[:, 0])
    mother = np.where(only, mothers[:, 0], -1)
    outgoing = np.array([one.status == _OUTGOING for one in particles], dtype=np.bool_)
    return ReadEvent(
        weight=event.eventinfo.weight,
        pdg=np.array([one.id for one in particles], dtype=np.int64),
        stable=outgoing,
        hard=outgoing,
        mother=mother,
        momentum=np.array([(one.px, one.py, one.pz, one.e) for one in particles], dtype=np.float64).reshape(-1, 4),
        mass=np.array([one.m for one in particles], dtype=np.float64),
    )
