"""Downloads of public sets: resumed where they were cut off, and held against the checksum that was seen first.

Beside a file lies ``FILE.sha256`` with the SHA-256 of what was downloaded first, in the form that ``sha256sum --check``
reads. It says that a file is the one of that day; whether that was the right one, only its page can say.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from castalia.data.atomic import write_error, write_text
from castalia.data.catalogue import PublicSet
from castalia.data.hashing import file_sha256
from castalia.data.readers import check_beginning
from castalia.errors import DataError, MachineError

__all__ = ["FetchedFile", "Progress", "fetch"]

Progress = Callable[[float, float, float | None], None]
"""Called with the bytes that are there, those of the whole, and the seconds left, which nobody knows."""

_PIECE: Final = 1 << 20
_SECONDS: Final = 30.0
_PARTIAL, _RANGE_NOT_SATISFIABLE = 206, 416


@dataclass(frozen=True)
class FetchedFile:
    """A file of a public set that is there.

    Attributes:
        path: The file.
        sha256: Its hash.
        state: Whether it was ``"downloaded"`` now, or was there and its hash ``"verified"`` or ``"recorded"``.
    """

    path: Path
    sha256: str
    state: Literal["downloaded", "verified", "recorded"]


def fetch(one: PublicSet, folder: Path, progress: Progress | None = None) -> FetchedFile:
    """Download a public set, unless it is there.

    A download that was cut off goes on when the function is called again. A file that was put there by hand is
    taken as it is, and its hash recorded.

    Args:
        one: The set.
        folder: Where the file shall be; made where it is missing.
        progress: Told the bytes so far.

    Raises:
        DataError: If the file, or what was downloaded, is not what was seen first, or is no file of its kind.
        MachineError: If the address cannot be reached, the connection ends early or the folder cannot be written.
    """
    path = folder / one.file
    if path.exists():
        digest = file_sha256(path)
        known = _recorded(path)
        if known is None:
            _record(path, digest)
        _compare(path, digest, known)
        return FetchedFile(path, digest, "recorded" if known is None else "verified")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = _downloaded(one, folder, progress)
        digest = file_sha256(new)
        _compare(path, digest, _recorded(path))
        new.replace(path)
    except OSError as exc:
        raise write_error(path, exc) from exc
    _record(path, digest)
    return FetchedFile(path, digest, "downloaded")


def _downloaded(one: PublicSet, folder: Path, progress: Progress | None) -> Path:
    """Return the file under a temporary name, whole and of the right kind."""
    part = folder / _temporary(one.address.rsplit("/", 1)[-1])
    _download(one, part, progress)
    new = part if one.member is None else _extracted(part, one.member, folder / _temporary(one.file))
    try:
        check_beginning(new)
    except DataError:
        new.unlink()  # what is a web page now would be one for ever
        raise
    return new


def _temporary(name: str) -> str:
    """Name a file that is not whole yet; its ending stays, for it tells what it must begin with."""
    return f".{Path(name).stem}.part{Path(name).suffix}"


def _download(one: PublicSet, part: Path, progress: Progress | None) -> None:
    there = part.stat().st_size if part.exists() else 0
    request = Request(one.address, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urlopen(request, timeout=_SECONDS) as answer:
            begin = there if answer.status == _PARTIAL else 0
            length = answer.headers.get("Content-Length")
            whole = None if length is None else begin + int(length)
            _write(answer, part, begin, whole, progress)
    except HTTPError as exc:
        exc.close()
        if exc.code != _RANGE_NOT_SATISFIABLE or not there:
            raise _unreachable(one, part, f"the server answers {exc.code} {exc.reason}") from exc
        part.unlink()  # what is there is no beginning of the file
        _download(one, part, progress)
    except (OSError, HTTPException) as exc:
        if isinstance(exc, OSError) and exc.filename is not None:  # of the disk, not of the network
            raise
        raise _unreachable(one, part, getattr(exc, "reason", None) or exc) from exc


def _write(answer: Any, part: Path, begin: int, whole: int | None, progress: Progress | None) -> None:
    with part.open("ab" if begin else "wb") as file:
        size = begin
        while piece := answer.read(_PIECE):
            try:
                file.write(piece)
            except OSError as exc:
                raise write_error(part, exc) from exc
            size += len(piece)
            if progress is not None and whole is not None:
                progress(size, whole, None)
    if whole is not None and size < whole:
        raise MachineError(
            f"{part}: the connection ended after {size} of {whole} bytes; run the command again to go on from there."
        )


def _extracted(archive: Path, member: str, target: Path) -> Path:
    """Take one file out of an archive, which is removed."""
    try:
        with tarfile.open(archive) as tar:
            source = tar.extractfile(member)
            if source is None:
                raise KeyError(member)
            with source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, KeyError) as exc:
        archive.unlink()
        raise DataError(
            f"{archive}: is no archive that holds {member} ({exc}); see whether the set has moved."
        ) from exc
    archive.unlink()
    return target


def _unreachable(one: PublicSet, part: Path, reason: object) -> MachineError:
    return MachineError(
        f"{one.address}: cannot be downloaded ({reason}); run the command again where there is a network, or get "
        f"{one.member or one.file} from {one.page} elsewhere, put it down as {part.parent / one.file}, and run the "
        "command again to record its checksum."
    )


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _recorded(path: Path) -> str | None:
    try:
        words = _checksum_file(path).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return None
    return words[0] if words else ""


def _record(path: Path, digest: str) -> None:
    write_text(_checksum_file(path), f"{digest}  {path.name}\n")


def _compare(path: Path, digest: str, known: str | None) -> None:
    if known is not None and digest != known:
        raise DataError(
            f"{path}: has the SHA-256 {digest[:12]}… and not {known[:12]}…, which {_checksum_file(path).name} recorded "
            "first; remove the file to download it again, or the record if the change is right."
        )
