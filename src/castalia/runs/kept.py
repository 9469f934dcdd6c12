"""Events that are kept beside a model: few enough for a run folder, and of equal weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from castalia.data.atomic import atomic_path
from castalia.errors import ModelError

__all__ = ["MOST", "load_kept", "rows_by_weight", "save_kept", "unweighted_rows"]

MOST = 50_000
"""Most events that are kept."""


def rows_by_weight(weight: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose rows, each with a probability in proportion to its weight, so that all count alike; all of equal weights.

    Args:
        weight: Event weights, not negative, shape ``(events,)``.
        rng: Random numbers.

    Returns:
        Rows in ascending order.
    """
    rows = np.arange(len(weight))
    if not np.all(weight == weight[:1]):
        rows = rows[rng.random(len(weight)) < weight / weight.max()]
    return rows


def unweighted_rows(weight: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose at most ``MOST`` of ``rows_by_weight``."""
    rows = rows_by_weight(weight, rng)
    if len(rows) > MOST:
        rows = np.sort(rng.choice(rows, MOST, replace=False))
    return rows


def save_kept(path: Path, arrays: Mapping[str, NDArray[np.float64]]) -> None:
    """Write arrays to a safetensors file, beside and renamed."""
    with atomic_path(path) as partial:
        partial.write_bytes(save({name: np.ascontiguousarray(values) for name, values in arrays.items()}))


def load_kept(path: Path, names: tuple[str, ...]) -> tuple[NDArray[np.float64], ...] | None:
    """Return the arrays that ``save_kept`` wrote; ``None`` where there is no file.

    Raises:
        ModelError: If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        stored = load(path.read_bytes())
        return tuple(np.asarray(stored[name], dtype=np.float64) for name in names)
    except (SafetensorError, KeyError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); restore it from a copy or train anew.") from error
