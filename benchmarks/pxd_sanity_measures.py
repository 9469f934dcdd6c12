"""What ``pxd_sanity.py`` measures of pixel background, and the reference figures that it is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSOR_LAYER, SENSOR_NUMBER, SENSOR_PHI, SENSORS, U_CELLS, V_CELLS
from castalia.detectors.pxd.images import occupancy
from castalia.metrics.pixels.clusters import Clusters, find_clusters
from castalia.metrics.pixels.shared import Measured, matched_hit_excess

Floats = NDArray[np.float64]

# Of the evaluation that the authors of IEA-GAN released; occupancies in per cent, charges in ADU.
LAYER_1 = np.array(
    [1.710, 1.614, 1.622, 1.568, 1.472, 1.473, 1.341, 1.366, 1.310, 1.324, 1.366, 1.391, 1.519, 1.513, 1.652, 1.584]
)
LAYER_MEANS = {1: 1.489, 2: 0.512}
MODULATION = {1: 0.115, 2: 0.133}
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
QUANTILES = np.array([7.0, 12.0, 17.0, 24.0, 35.0, 48.0, 114.0, 177.0])
VARIANCE_OVER_MEAN = 12.0
COMMON_MODE = 0.04

MAP_U, MAP_V = 10, 48  # intervals of a sensor in the maps


@dataclass(frozen=True)
class Block:
    """What is kept of some events.

    Attributes:
        occupancy: Hits by event and sensor, shape ``(events, 40)``.
        charges: Hits by charge in ADU, shape ``(256,)``.
        map: Hits by sensor and place, shape ``(40, MAP_U, MAP_V)``.
        clusters: Clusters of the first event.
        matched: Excess of matched hits.
    """

    occupancy: NDArray[np.int64]
    charges: NDArray[np.int64]
    map: NDArray[np.int64]
    clusters: Clusters
    matched: Measured


def block_of(hits: PixelHits) -> Block:
    """Measure some events, so that their hits need not be kept."""
    place = (hits.sensor.astype(np.int64) * MAP_U + hits.u // (U_CELLS // MAP_U)) * MAP_V + hits.v // (V_CELLS // MAP_V)
    counted = np.bincount(place, minlength=SENSORS * MAP_U * MAP_V).reshape(SENSORS, MAP_U, MAP_V)
    first = slice(0, int(np.searchsorted(hits.event, 1)))
    one = PixelHits(1, hits.event[first], hits.sensor[first], hits.u[first], hits.v[first], hits.charge[first])
    charges = np.bincount(hits.charge, minlength=256)
    return Block(occupancy(hits), charges, counted, find_clusters(one), matched_hit_excess(hits))


def per_cent(counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return mean occupancies in per cent by sensor, and their standard errors."""
    share = 100.0 * counts / (U_CELLS * V_CELLS)
    return share.mean(axis=0), share.std(axis=0, ddof=1) / np.sqrt(len(share))


def layer_mean(counts: NDArray[np.int64], layer: int) -> Measured:
    """Return the mean occupancy of a layer in per cent."""
    share = 100.0 * counts[:, SENSOR_LAYER == layer].mean(axis=1) / (U_CELLS * V_CELLS)
    return Measured(float(share.mean()), float(share.std(ddof=1) / np.sqrt(len(share))))


def modulation(counts: NDArray[np.int64], layer: int) -> Measured:
    """Return the amplitude of cos(phi) in the occupancy of a layer, over its mean."""
    mine = counts[:, SENSOR_LAYER == layer].astype(np.float64)
    wave = 2.0 * np.cos(SENSOR_PHI[SENSOR_LAYER == layer])
    value = (mine * wave).mean() / mine.mean()
    spread = ((mine * wave).mean(axis=1) - value * mine.mean(axis=1)).std(ddof=1) / mine.mean()
    return Measured(float(value), float(spread / np.sqrt(len(mine))))


def forward_over_backward(counts: NDArray[np.int64], layer: int) -> Measured:
    """Return the occupancy of the forward sensors of a layer over that of the backward ones."""
    forward, backward = (
        counts[:, (SENSOR_LAYER == layer) & (SENSOR_NUMBER == number)].mean(axis=1) for number in (1, 2)
    )
    value = forward.mean() / backward.mean()
    spread = (forward - value * backward).std(ddof=1) / backward.mean()
    return Measured(float(value), float(spread / np.sqrt(len(forward))))


def variance_over_mean(counts: NDArray[np.int64]) -> Measured:
    """Return the variance over the mean of a sensor's occupancy in pixels, the mean of all sensors."""
    value = (counts.var(axis=0, ddof=1) / counts.mean(axis=0)).mean()
    # Sensors share little, so that their relative errors sqrt(2 / events) are taken for independent.
    return Measured(float(value), float(value * np.sqrt(2.0 / (len(counts) * counts.shape[1]))))


def common_mode(counts: NDArray[np.int64]) -> Measured:
    """Return the relative spread that opposite sensors of layer 1 have in common."""
    sensors = np.flatnonzero(SENSOR_LAYER == 1)
    one, other = counts[:, sensors[:8]].astype(np.float64), counts[:, sensors[8:]].astype(np.float64)
    shared = ((one / one.mean(axis=0) - 1.0) * (other / other.mean(axis=0) - 1.0)).mean(axis=1)
    value = float(np.sqrt(max(shared.mean(), 0.0)))
    error = float(shared.std(ddof=1) / np.sqrt(len(shared)))
    return Measured(value, error / (2.0 * value) if value > 0.0 else float(np.sqrt(error)))


def quantiles(charges: NDArray[np.int64]) -> Floats:
    """Return the quantiles at ``LEVELS`` of charges that are given as a histogram."""
    below = np.cumsum(charges) / charges.sum()
    return np.searchsorted(below, LEVELS).astype(np.float64)


def quantile_errors(blocks: list[Block]) -> Floats:
    """Return standard errors of the quantiles, from leaving out one block at a time.

    Charges are whole numbers: an error of zero means that no block moves the quantile by one.
    """
    total = np.sum([one.charges for one in blocks], axis=0)
    without = np.stack([quantiles(total - one.charges) for one in blocks])
    errors: Floats = np.sqrt((len(blocks) - 1) * without.var(axis=0))
    return errors
