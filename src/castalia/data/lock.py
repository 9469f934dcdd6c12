"""One process at a time: an exclusive lock on a file, which the kernel lets go of when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import socket
from pathlib import Path
from typing import Self, final

from castalia.data.atomic import write_error
from castalia.errors import MachineError

__all__ = ["FileLock"]

_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_ATTEMPTS = 100  # at a folder that others remove while it is made: more than that, and it cannot be made


@final
class FileLock:
    """Context manager that holds the lock of an output; entering it while this object holds it already keeps it.

    The file says who holds it: process number and host. Its holder may remove it, alone or with its folder, before
    letting go: whoever comes next makes a new one.

    Args:
        path: The lock file; made with its folder where missing.
        what: What it protects, such as the path of a run folder; the sentence of an error begins with it.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._descriptor: int | None = None
        self._path = path
        self._what = what

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock, or keep it; nobody is waited for.

        Raises:
            MachineError: If another holds it (the sentence names process and host), or the file cannot be written.
        """
        while self._descriptor is None:
            descriptor = self._open()
            try:
                self._lock(descriptor, fcntl.LOCK_EX)
                if self._is_current(descriptor):  # and not a file that its last holder has removed meanwhile
                    self._sign(descriptor)
                    self._descriptor = descriptor
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def refuse_if_held(self) -> None:
        """Refuse work that would need the lock later, without taking it or writing anything.

        Raises:
            MachineError: If it is held, as `acquire` would say, or the file cannot be read.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):  # no file, no holder
            return
        except OSError as error:
            raise write_error(self._path.parent, error) from error
        try:
            self._lock(descriptor, fcntl.LOCK_SH)  # shared, so that two who ask do not take each other for a holder
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Let go of the lock; nothing where it is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

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

    def _open(self) -> int:
        """Open the file, made with its folder where missing."""
        attempts = itertools.count(1)
        while True:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            except FileNotFoundError as error:  # the last holder may have removed the folder just now
                if next(attempts) == _ATTEMPTS:
                    raise write_error(self._path, error) from error
            except OSError as error:
                raise write_error(self._path.parent, error) from error

    def _lock(self, descriptor: int, kind: int) -> None:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise write_error(self._path.parent, error) from error
            raise MachineError(
                f"{self._what}: another process ({_holder(descriptor)}) is working on it; wait for that one to end, "
                "or choose another place."
            ) from error

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _sign(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        except OSError as error:
            raise write_error(self._path.parent, error) from error


def _holder(descriptor: int) -> str:
    try:
        record = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {record['pid']} on {record['host']}"
    except (ValueError, KeyError, TypeError):
        return "which has not yet written its number"
