"""Event files to tables: ROOT TTrees and Parquet, streamed in chunks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from castalia.data.readers.base import Reader, StoredColumn
from castalia.errors import DataError

__all__ = ["Reader", "StoredColumn", "open_reader"]

_MAGIC = {".root": b"root", ".parquet": b"PAR1"}


def open_reader(path: Path, tree: str | None = None, rename: Mapping[str, str] | None = None) -> Reader:
    """Open a file of events, its format taken from its ending.

    Args:
        path: A ``.root`` or ``.parquet`` file.
        tree: Name of the TTree; ``None`` for the only one there is. Parquet files have no trees.
        rename: For each column that is called otherwise in the file, the name of its branch there.

    Returns:
        The open reader; close it or use it as a context manager.

    Raises:
        DataError: If the file is missing, empty, cut short, damaged, of another format, without rows or tree.
    """
    _check_beginning(path)
    reader: Reader
    if path.suffix == ".root":
        from castalia.data.readers.root import RootReader

        reader = RootReader(path, tree, rename or {})
    else:
        from castalia.data.readers.parquet import ParquetReader

        reader = ParquetReader(path, rename or {})
    if reader.count() == 0:
        reader.close()
        raise DataError(f"{path}: has no entries; leave the file out or make it again.")
    return reader


def _check_beginning(path: Path) -> None:
    """Refuse what is no event file before a library tries to make sense of it."""
    magic = _MAGIC.get(path.suffix)
    if magic is None:
        raise DataError(f"{path}: ends in '{path.suffix}'; event files end in .root or .parquet.")
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except FileNotFoundError as exc:
        raise DataError(f"{path}: does not exist; check the name.") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror}); check the name and the permissions.") from exc
    if not start:
        raise DataError(f"{path}: is empty (0 bytes); copy or make the file again.")
    if not start.startswith(magic):
        page = start.lstrip().lower().startswith((b"<!doctype", b"<html"))
        what = (
            "is a web page, not an event file (was the download link a login page?)"
            if page
            else (f"does not begin like a {path.suffix} file")
        )
        raise DataError(f"{path}: {what}; get the file again.")
