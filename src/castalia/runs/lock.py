"""One process at a time: an exclusive lock on a file, which the kernel lets go of when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import IO, Self, final

from castalia.data.atomic import write_error
from castalia.errors import MachineError

__all__ = ["RunLock"]


@final
class RunLock:
    """Context manager that holds the lock of a folder; entering it while it is held already keeps it.

    Args:
        path: The lock file; created where missing and left in place, so that all look at the same one.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[str] | None = None
        self._path = path

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> None:
        """Take the lock, or keep it.

        Raises:
            MachineError: If another process has it, or the file cannot be written.
        """
        if self._file is not None:
            return
        try:
            file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise write_error(self._path, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
            file.flush()
        except OSError as error:
            holder = _holder(file)
            file.close()
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise write_error(self._path, error) from error
            raise MachineError(
                f"{self._path.parent}: is being written by another process ({holder}); wait for it, "
                "or choose another place."
            ) from error
        self._file = file

    def release(self) -> None:
        """Let go of the lock; nothing where it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        """Let go of the lock of an object that nobody uses any more."""
        self.release()

    def __enter__(self) -> Self:
        """Take the lock, see `acquire`."""
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go of the lock."""
        self.release()


def _holder(file: IO[str]) -> str:
    file.seek(0)
    text = file.read()
    try:
        record = json.loads(text)
        return f"process {record['pid']} on {record['host']}"
    except (ValueError, KeyError, TypeError):
        return "which has not yet written its number"
