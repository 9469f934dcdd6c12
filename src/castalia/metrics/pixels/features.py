"""About a hundred numbers of a pixel event that physicists look at, from its summary."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.geometry import SENSOR_LAYER
from castalia.metrics.pixels.summary import PixelSummary

__all__ = ["FEATURES", "physics_features", "sensor_quantities"]

_SIZES = (1, 2, 3, 4, 6, 9, 14, 64)  # first pixels of the intervals of a cluster's size
_CHARGES = (0, 10, 14, 20, 28, 45, 100, 256)  # first ADU of the intervals of a pixel's charge

FEATURES = (
    *(f"occupancy {i}" for i in range(40)),
    *(f"mean charge {i}" for i in range(40)),
    *(f"clusters of {a} to {b - 1}" for a, b in itertools.pairwise(_SIZES)),
    *(f"pixels of {a} to {b - 1} ADU" for a, b in itertools.pairwise(_CHARGES)),
    "mean extent along u",
    "mean extent along v",
    "clusters in layer 1",
    "clusters in layer 2",
    "mean charge of a cluster",
)
"""Names of the features, in order."""


def physics_features(summary: PixelSummary) -> NDArray[np.float64]:
    """Return the features of every event, shape ``(events, len(FEATURES))``."""
    clusters = np.maximum(summary.clusters.sum(axis=1), 1)
    pixels = np.maximum(summary.occupancy.sum(axis=1), 1)
    extents = [counts @ np.arange(counts.shape[1]) / clusters for counts in (summary.size_u, summary.size_v)]
    layers = [summary.clusters[:, SENSOR_LAYER == layer].sum(axis=1) for layer in (1, 2)]
    return np.column_stack(
        [
            summary.occupancy,
            summary.mean_charge,
            _fractions(summary.size, _SIZES) / clusters[:, None],
            _fractions(summary.charge, _CHARGES) / pixels[:, None],
            *extents,
            *layers,
            summary.charge_sum.sum(axis=1) / clusters,
        ]
    )


def sensor_quantities(summary: PixelSummary) -> NDArray[np.float64]:
    """Return pixels, clusters and the mean charge of every sensor, shape ``(events, 40, 3)``."""
    return np.stack([summary.occupancy, summary.clusters, summary.mean_charge], axis=2)


def _fractions(counts: NDArray[np.int32], first: tuple[int, ...]) -> NDArray[np.int64]:
    return np.asarray(np.add.reduceat(counts, np.array(first[:-1]), axis=1, dtype=np.int64), dtype=np.int64)
