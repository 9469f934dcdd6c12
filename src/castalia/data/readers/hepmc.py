"""HepMC3 text files, read with pyhepmc: full event records from other generators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, final

import numpy as np

from castalia.data.readers.record_stream import ReadEvent, event_tables, open_record_file
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError

__all__ = ["read_hepmc"]

_BEGINNING: Final = b"HepMC::Asciiv3-START_EVENT_LISTING"
_END: Final = b"HepMC::Asciiv3-END_EVENT_LISTING"
# HepMC's convention (HepMC3 manual, "Status codes"), and Pythia's number for what goes out of the hard process.
_STABLE, _OUTGOING = 1, 23

_NUMBER = rb" [-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_POSITION = rb"(?: @(?:" + _NUMBER + rb"){4})?"
_LINES: Final[dict[bytes, re.Pattern[bytes]]] = {
    b"E ": re.compile(rb"E -?\d+ \d+ \d+" + _POSITION),
    b"P ": re.compile(rb"P \d+ -?\d+ -?\d+(?:" + _NUMBER + rb"){5} \d+"),
    b"V ": re.compile(rb"V -\d+ -?\d+ \[[-\d,]*\]" + _POSITION),
    b"U ": re.compile(rb"U (?:GEV|MEV) (?:MM|CM)"),
}
_OTHER_LINES = (b"W ", b"A ", b"T ", b"N ", b"HepMC::")


def read_hepmc(path: Path, chunk: int) -> Iterator[Table]:
    """Read a HepMC3 text file as truth particles.

    Particles of status 1 are stable. The hard process is known by its resonances; partons beside them are kept where
    the file gives them Pythia's status 23.

    Args:
        path: A ``.hepmc`` or ``.hepmc3`` file, gzipped or not.
        chunk: Events per table, at least 1.

    Yields:
        Tables as ``castalia.data.readers.record_stream.event_tables`` describes them.

    Raises:
        ConfigError: If pyhepmc is not installed.
        DataError: If the file is missing, damaged or cut short; the message has the number of the line or event.

    References:
        Buckley et al., The HepMC3 event record library for Monte Carlo event generators, arXiv:1912.08005.
    """
    try:
        import pyhepmc
    except ImportError as error:
        raise ConfigError(
            f"{path}: HepMC3 files need pyhepmc, which is not installed; run pip install 'castalia[processes]'."
        ) from error
    with open_record_file(path, _BEGINNING, "a HepMC3 file") as stream, _silent(pyhepmc.Setup):
        yield from event_tables(path, _events(path, _CheckedLines(path, stream), pyhepmc), chunk)


@final
class _CheckedLines:
    """A stream that looks at every line on its way, for the library reads a damaged number as 0.

    Args:
        path: The file, for messages.
        stream: Its content.
    """

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream = path, stream
        self._line, self._waiting = 0, b""
        self.events = 0
        self.ended = False
        # Kept rather than raised, as the C++ stream that reads from here would swallow it.
        self.fault: Exception | None = None

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer`` as a raw binary stream does; 0 at the end or at a fault."""
        try:
            while len(self._waiting) < len(buffer) and self.fault is None:
                line = self._stream.readline()
                if not line:
                    break
                self._line += 1
                self._look_at(line.rstrip(b"\r\n"))
                self._waiting += line
        except (DataError, OSError, EOFError, ArithmeticError, ValueError) as exc:
            self.fault = exc
        if self.fault is not None:
            return 0
        size = min(len(buffer), len(self._waiting))
        buffer[:size], self._waiting = self._waiting[:size], self._waiting[size:]
        return size

    def _look_at(self, line: bytes) -> None:
        pattern = _LINES.get(line[:2])
        if pattern is None:
            self.ended = self.ended or line == _END
            if line and not line.startswith(_OTHER_LINES):
                raise DataError(f"{self._path}: line {self._line} is malformed; make or copy the file again.")
            return
        if not pattern.fullmatch(line.rstrip()):
            where = f"line {self._line} (event {max(self.events, 1)})"
            raise DataError(f"{self._path}: {where} is malformed or cut short; make or copy the file again.")
        self.events += line[:1] == b"E"


@contextmanager
def _silent(setup: Any) -> Iterator[None]:
    """Keep the library from writing to standard error what becomes one sentence of ours."""
    before = setup.print_errors, setup.print_warnings, setup.debug_level
    setup.print_errors, setup.print_warnings, setup.debug_level = False, False, 0
    try:
        yield
    finally:
        setup.print_errors, setup.print_warnings, setup.debug_level = before


def _events(path: Path, lines: _CheckedLines, pyhepmc: Any) -> Iterator[ReadEvent]:
    stream = pyhepmc.io.pyiostream(lines)
    reader = pyhepmc.io.ReaderAscii(stream)
    number = 0
    while True:
        event = reader.read()
        if lines.fault is not None:
            raise lines.fault
        if event is None:
            break
        number += 1
        yield _read(event, pyhepmc.Units)
    if number < lines.events:
        raise DataError(f"{path}: event {number + 1} is malformed or cut short; make or copy the file again.")
    if not lines.ended:
        raise DataError(f"{path}: is cut short after event {number}; make or copy the file again.")


def _read(event: Any, units: Any) -> ReadEvent:
    if event.momentum_unit != units.GEV:
        event.set_units(units.GEV, units.MM)
    particles = event.numpy.particles
    status = particles.status
    mother = np.full(len(status), -1, dtype=np.int64)
    for vertex in event.vertices:
        incoming = vertex.particles_in
        if len(incoming) == 1:
            mother[[particle.id - 1 for particle in vertex.particles_out]] = incoming[0].id - 1
    return ReadEvent(
        weight=float(event.weights[0]) if len(event.weights) else 1.0,
        pdg=particles.pid.astype(np.int64),
        stable=status == _STABLE,
        hard=status == _OUTGOING,
        mother=mother,
        momentum=np.stack([particles.px, particles.py, particles.pz, particles.e], axis=-1).astype(np.float64),
        mass=particles.generated_mass.astype(np.float64),
    )
