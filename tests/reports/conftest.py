"""A drawn figure and report folders for the tests of reports."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.fixture
def draw() -> Callable[[Path, int, int], Path]:
    """Write a grey PNG of the wanted size without a plotting library."""

    def write(path: Path, width: int = 40, height: int = 30) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (b"\x00" + b"\x80" * width) * height
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
        )
        return path

    return write


@pytest.fixture
def report_folder(tmp_path: Path, draw: Callable[..., Path]) -> Callable[..., Path]:
    """Write a report folder with the given metrics."""

    def write(name: str, metrics: dict[str, object], figures: tuple[str, ...] = ("mass",)) -> Path:
        folder = tmp_path / name
        for figure in figures:
            draw(folder / "figures" / f"{figure}.png")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps(metrics))
        (folder / "run.json").write_text(json.dumps({"format": 1, "seed": 7, "inputs": {"a.root": "ab" * 32}}))
        return folder

    return write
