"""The parameter points that a signal was learned at, kept so that a fit knows where there were none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from castalia.data.atomic import atomic_path
from castalia.errors import ModelError
from castalia.rng import Stream

__all__ = ["load_points", "save_points", "some_points"]

NAME = "parameter_points.safetensors"
MOST = 10_000


def some_points(theta: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the different points of all training events, or a random sample of them where there are many.

    Args:
        theta: Parameters of every event, shape ``(events, P)``.
        seed: Seed of the run.

    Returns:
        Shape ``(points, P)``, at most 10,000.
    """
    points = np.unique(theta, axis=0)
    if len(points) <= MOST:
        return points
    return points[np.sort(Stream(seed, "parameter points").at().choice(len(points), MOST, replace=False))]


def save_points(folder: Path, points: NDArray[np.float64]) -> None:
    """Keep points beside the model in ``folder``."""
    with atomic_path(folder / NAME) as path:
        path.write_bytes(save({"theta": np.ascontiguousarray(points)}))


def load_points(folder: Path) -> NDArray[np.float64]:
    """Return what ``save_points`` kept.

    Raises:
        ModelError: If the file is missing or damaged.
    """
    path = folder / NAME
    try:
        return load(path.read_bytes())["theta"]
    except (SafetensorError, KeyError, OSError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); restore it from a copy or train anew.") from error
