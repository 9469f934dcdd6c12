"""Tables to event files: ROOT TTrees and Parquet, streamed, and there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from castalia.data.schema import Schema
from castalia.data.writers.base import Writer, WrittenFile
from castalia.errors import ConfigError

__all__ = ["Writer", "WrittenFile", "open_writer"]


def open_writer(path: Path, schema: Schema, tree: str = "events") -> Writer:
    """Prepare a file of events, its format taken from its ending; use the result in a ``with`` block.

    An existing file is replaced when the block ends: ask before.

    Args:
        path: A ``.root`` or ``.parquet`` file.
        schema: The columns it shall have, in order.
        tree: Name of the TTree in a ROOT file.

    Raises:
        ConfigError: If the ending is another.
    """
    if path.suffix == ".root":
        from castalia.data.writers.root import RootWriter

        return RootWriter(path, schema, tree)
    if path.suffix == ".parquet":
        from castalia.data.writers.parquet import ParquetWriter

        return ParquetWriter(path, schema)
    raise ConfigError(f"{path}: ends in '{path.suffix}'; name the output .root or .parquet.")
