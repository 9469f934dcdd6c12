"""Generator files of other programs to truth particles, the format taken from the ending."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from castalia.data.table import Table
from castalia.errors import DataError

__all__ = ["read_particles"]


def read_particles(path: Path, chunk: int) -> Iterator[Table]:
    """Read generator events as the truth-particles table of ``castalia.data.particles``.

    Args:
        path: A ``.lhe``, ``.hepmc`` or ``.hepmc3`` file, or one of these gzipped, with ``.gz`` behind.
        chunk: Events per table, at least 1.

    Yields:
        Tables of exactly ``chunk`` rows, the last shorter, with ``run``, ``luminosityBlock``, ``event``, ``weight``,
        ``process`` (0) and the particle columns.

    Raises:
        ConfigError: If the library for the format is not installed.
        DataError: If the ending is another, or the file is missing, damaged, cut short or without events.
    """
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if ending == ".lhe":
        from castalia.data.readers.lhe import read_lhe

        return read_lhe(path, chunk)
    if ending in (".hepmc", ".hepmc3"):
        from castalia.data.readers.hepmc import read_hepmc

        return read_hepmc(path, chunk)
    raise DataError(f"{path}: generator files end in .lhe, .hepmc or .hepmc3, or in one of these and .gz.")
