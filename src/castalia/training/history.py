"""History of a training: one JSON line an epoch, cut back to the checkpoint by a resume."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import final

from castalia.data.atomic import write_error
from castalia.errors import ConfigError, ModelError

__all__ = ["History"]


@final
class History:
    """An append-only JSON-lines file, or nothing where the path is ``None``.

    Args:
        path: The file, which need not exist.

    Attributes:
        size: Bytes written so far; what a checkpoint remembers.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.size = 0

    def start(self) -> None:
        """Require that there is no history yet.

        Raises:
            ConfigError: If the file has lines already.
        """
        if self._path is not None and self._path.exists() and self._path.stat().st_size:
            raise ConfigError(
                f"{self._path}: holds the history of another training; resume it or choose another folder."
            )

    def cut(self, size: int) -> None:
        """Remove what was written after the checkpoint.

        Args:
            size: Bytes to keep.

        Raises:
            ModelError: If the file is shorter than that.
        """
        if self._path is None:
            return
        present = self._path.stat().st_size if self._path.exists() else 0
        if present < size:
            raise ModelError(
                f"{self._path}: has {present} bytes where the checkpoint expects at least {size}; "
                "restore the file, or train anew."
            )
        if present > size:
            os.truncate(self._path, size)
        self.size = size

    def append(self, row: Mapping[str, object]) -> None:
        """Write one line and have it on the disk before returning.

        Raises:
            MachineError: If the disk refuses it.
        """
        if self._path is None:
            return
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise write_error(self._path, error) from error
        self.size += len(line)
