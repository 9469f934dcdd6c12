"""Content hashes: of a file's bytes, and of a column's values whatever the file format or the chunks they came in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, final

import awkward as ak
import numpy as np

from castalia.data.schema import ColumnSpec
from castalia.data.table import jagged_parts
from castalia.errors import DataError

__all__ = ["ColumnHasher", "file_sha256"]


def file_sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise DataError(f"{path}: cannot be read ({exc.strerror}); check the name and the permissions.") from exc


@final
class ColumnHasher:
    """SHA-256 of one column, fed piece by piece.

    Values are hashed as little-endian bytes of the declared number type, and the lengths of jagged lists in a stream
    of their own; the two digests, the number type, the shape and the number of rows are hashed together at the end.
    So the hash depends on the content only, not on chunks, compression or file format.

    Args:
        spec: The declaration of the column.
    """

    def __init__(self, spec: ColumnSpec) -> None:
        self._spec = spec
        self._dtype = spec.numpy_dtype.newbyteorder("<")
        self._values = hashlib.sha256()
        self._counts = hashlib.sha256()
        self._rows = 0

    def update(self, values: Any) -> None:
        """Take in the next rows: numpy, or awkward where the column is jagged."""
        self._rows += len(values)
        if isinstance(values, ak.Array):
            counts, values = jagged_parts(values)
            self._counts.update(np.ascontiguousarray(counts, dtype="<i8").data)
        if values.size:  # the buffer of an empty array cannot be exported in every shape
            self._values.update(np.ascontiguousarray(values, dtype=self._dtype).data)

    def hexdigest(self) -> str:
        """Return the hash of all rows so far."""
        head = f"{self._spec.dtype}\x1f{self._spec.shape}\x1f{self._rows}\x1f".encode()
        return hashlib.sha256(head + self._counts.digest() + self._values.digest()).hexdigest()
