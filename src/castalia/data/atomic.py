"""Files that are there whole or not at all: written beside under a temporary name, synced to disk, renamed."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from castalia.errors import MachineError

__all__ = ["atomic_path", "write_error", "write_json", "write_text"]

_COUNTER = itertools.count()
_WRITE_ERRORS = frozenset(
    {
        errno.ENOSPC,
        errno.EFBIG,
        errno.EDQUOT,
        errno.EIO,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
    }
)


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Give a temporary path beside ``final``; what is there when the block ends well becomes ``final``.

    Missing folders are made, and what killed processes of this machine left of the same file is removed. On an
    exception nothing is left behind and an existing ``final`` stays as it was.

    Args:
        final: Where the file shall be.

    Yields:
        The path to write to, named ``.NAME.partial-HOST-PID-COUNT``.

    Raises:
        MachineError: If the disk is full or the place cannot be written.
    """
    partial = final.with_name(f"{_partial_prefix(final)}{os.getpid()}-{next(_COUNTER)}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        yield partial
        _sync(partial)
        partial.replace(final)
        _sync(final.parent)
    except OSError as exc:
        if exc.errno in _WRITE_ERRORS:
            raise write_error(final, exc) from exc
        raise
    finally:
        if os.path.lexists(partial):
            partial.unlink(missing_ok=True)


def write_error(path: Path, exc: OSError) -> MachineError:
    """Say in one sentence that ``path`` could not be written, and what helps."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        cure = "free some space or choose another place for the output"
    else:
        cure = "check the folder and its permissions or choose another place for the output"
    reason = exc.strerror or str(exc)
    return MachineError(f"{path}: cannot be written ({reason}); {cure}; nothing was left half-written.")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, obj: Any) -> None:
    """Write ``obj`` as indented JSON, whole or not at all.

    Mappings, sequences, numpy arrays and scalars, and paths are understood. JSON has no word for infinities and
    NaN: they become null.
    """
    write_text(path, json.dumps(_plain(obj), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _plain(obj: Any) -> Any:
    """Reduce to what the JSON library knows."""
    if isinstance(obj, Mapping):
        return {str(key): _plain(value) for key, value in obj.items()}
    if isinstance(obj, float):
        return float(obj) if math.isfinite(obj) else None
    if isinstance(obj, list | tuple | set | frozenset):
        return [_plain(value) for value in obj]
    if isinstance(obj, Path):
        return str(obj)
    if hasattr(obj, "tolist"):  # numpy arrays and scalars, torch tensors
        return _plain(obj.tolist())
    return obj


def _partial_prefix(final: Path) -> str:
    # The host is part of the name, because a process number says nothing about another machine's processes.
    return f".{final.name}.partial-{platform.node()}-"


def _sweep(final: Path) -> None:
    prefix = _partial_prefix(final)
    for path in final.parent.iterdir():
        process = path.name.removeprefix(prefix).split("-")[0]
        if path.name.startswith(prefix) and process.isdecimal() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
