"""Where a folder may be written: at a free place, or in the stead of one of its kind when that is asked for."""

from __future__ import annotations

from pathlib import Path

from castalia.errors import ConfigError

__all__ = ["content_of"]


def content_of(path: Path, what: str, overwrite: bool, ignore: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the names in a folder that is about to be written, after refusing a place that must not be touched.

    Args:
        path: The folder; may be missing.
        what: What is to be written there, for the sentence of an error: ``"run folder"``.
        overwrite: Whether content may be replaced; the caller makes sure that it is of the right kind.
        ignore: Names that do not count as content.

    Raises:
        ConfigError: If it is a file, or has content and ``overwrite`` is not set.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path}: is a file; name another {what}.")
    found = frozenset(entry.name for entry in path.iterdir()) - ignore if path.exists() else frozenset()
    if found and not overwrite:
        raise ConfigError(f"{path}: is not empty; pass --overwrite to replace it, or name another {what}.")
    return found
