"""Event files to tables: ROOT TTrees, Parquet, HDF5 and CSV, streamed in chunks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from castalia.data.file_layout import FileLayout, find_layout
from castalia.data.readers.base import Reader, StoredColumn
from castalia.errors import DataError

__all__ = ["Reader", "StoredColumn", "check_beginning", "open_reader"]

_HDF5 = b"\x89HDF\r\n\x1a\n"
# What a file of each ending begins with.
_MAGIC = {".root": b"root", ".parquet": b"PAR1", ".h5": _HDF5, ".hdf5": _HDF5, ".csv": b""}


def open_reader(
    path: Path,
    tree: str | None = None,
    rename: Mapping[str, str] | None = None,
    layout: str | FileLayout | None = None,
) -> Reader:
    """Open a file of events, its format taken from its ending.

    Args:
        path: A ``.root``, ``.parquet``, ``.h5``, ``.hdf5`` or ``.csv`` file.
        tree: Name of the TTree; ``None`` for the only one there is. Other files have no trees.
        rename: For each column that is called otherwise in the file, the name of its branch there.
        layout: What the file's columns are, or the name of a layout that ships with the package; its columns come in
            addition to those of the file. ``None`` where the file has the columns that are wanted.

    Returns:
        The open reader; close it or use it as a context manager.

    Raises:
        DataError: If the file is missing, empty, cut short, damaged, of another format, without rows, tree or a column
            of the layout.
        ConfigError: If there is no such layout.
    """
    check_beginning(path)
    reader = _reader(path, tree, {} if layout is not None else rename or {})
    if layout is not None:
        from castalia.data.readers.converted import ConvertedReader

        try:
            reader = ConvertedReader(reader, find_layout(layout), rename or {})
        except BaseException:
            reader.close()
            raise
    if reader.count() == 0:
        reader.close()
        raise DataError(f"{path}: has no entries; leave the file out or make it again.")
    return reader


def _reader(path: Path, tree: str | None, rename: Mapping[str, str]) -> Reader:
    match path.suffix:
        case ".root":
            from castalia.data.readers.root import RootReader

            return RootReader(path, tree, rename)
        case ".parquet":
            from castalia.data.readers.parquet import ParquetReader

            return ParquetReader(path, rename)
        case ".csv":
            from castalia.data.readers.csv import CsvReader

            return CsvReader(path, rename)
        case _:
            from castalia.data.readers.hdf5 import Hdf5Reader

            return Hdf5Reader(path, rename)


def check_beginning(path: Path) -> None:
    """Refuse what is no event file before a library tries to make sense of it.

    Raises:
        DataError: If the file is missing, empty, a web page, or does not begin as its ending says.
    """
    magic = _MAGIC.get(path.suffix)
    if magic is None:
        raise DataError(f"{path}: ends in '{path.suffix}'; event files end in .root, .parquet, .h5, .hdf5 or .csv.")
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except FileNotFoundError as exc:
        raise DataError(f"{path}: does not exist; check the name.") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror}); check the name and the permissions.") from exc
    if not start:
        raise DataError(f"{path}: is empty (0 bytes); copy or make the file again.")
    page = start.lstrip().lower().startswith((b"<!doctype", b"<html"))
    if page or not start.startswith(magic):
        what = (
            "is a web page, not an event file (was the download link a login page?)"
            if page
            else (f"does not begin like a {path.suffix} file")
        )
        raise DataError(f"{path}: {what}; get the file again.")
