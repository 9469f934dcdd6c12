"""The files of an export: names that are free, and models written whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from castalia.data.atomic import atomic_path
from castalia.errors import ConfigError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["require_free", "require_name", "write_model"]


def require_name(output: Path) -> None:
    """Refuse a name that does not end in ``.onnx``.

    Raises:
        ConfigError: If it does not.
    """
    if output.suffix != ".onnx":
        raise ConfigError(f"{output}: is no name for an ONNX file; let it end in .onnx, such as -o model.onnx.")


def require_free(files: Iterable[Path], overwrite: bool) -> None:
    """Refuse to replace a file unasked.

    Raises:
        ConfigError: If one exists and ``overwrite`` is not set.
    """
    taken = next((path for path in files if path.exists() and not overwrite), None)
    if taken is not None:
        raise ConfigError(f"{taken} exists; choose another name or pass --overwrite.")


def write_model(model: ModelProto, path: Path) -> None:
    """Write a model, or nothing.

    Raises:
        MachineError: If the place cannot be written.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(model.SerializeToString())
