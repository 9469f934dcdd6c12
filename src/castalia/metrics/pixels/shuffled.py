"""Events whose sensors come from different events, and a classifier that tells them from true ones.

The classifier is fixed in advance: of some quantities of every sensor it sees products of pairs of sensors, summed over
pairs that are alike (all, neighbours in azimuth of either layer, the two of a ladder, one above the other), and is a
logistic regression. Where sensors are independent its area is 0.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSOR_LAYER, SENSOR_NUMBER, SENSOR_PHI, SENSORS
from castalia.errors import DataError
from castalia.metrics.auc import AucEstimate, cross_validated_auc
from castalia.rng import Stream

__all__ = ["pair_sums", "shuffle_hits", "shuffle_sensors", "shuffled_auc"]

_FOLDS, _FEWEST = 5, 40
_OVERLAP = 1.3  # as of the two-sample test: folds share training rows
_FARTHEST = 8.0  # spreads at which a value is clipped


def shuffle_sensors(values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Give every sensor the value of an event of its own.

    Args:
        values: Shape ``(events, sensors, ...)``.
        rng: Draws the orders.
    """
    order = np.argsort(rng.random(values.shape[:2]), axis=0)
    return values[order, np.arange(values.shape[1])]


def shuffle_hits(hits: PixelHits, rng: np.random.Generator) -> PixelHits:
    """Give every sensor the hits of an event of its own, in the order of hits.

    Args:
        hits: Hits of a few events.
        rng: Draws the orders.
    """
    target = np.argsort(rng.random((hits.events, SENSORS)), axis=0)[hits.event, hits.sensor].astype(np.int32)
    order = np.argsort(target.astype(np.int64) * SENSORS + hits.sensor, kind="stable")
    return PixelHits(hits.events, target[order], hits.sensor[order], hits.u[order], hits.v[order], hits.charge[order])


def pair_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums of products over alike pairs of sensors.

    Args:
        values: Standardised quantities of sensors, shape ``(events, 40, quantities)``.

    Returns:
        Shape ``(events, 5 * quantities)``.
    """
    sums = [0.5 * (values.sum(axis=1) ** 2 - (values**2).sum(axis=1))]
    sums += [np.einsum("eik,ij,ejk->ek", values, pairs, values, optimize=True) for pairs in _PAIRS]
    return np.concatenate(sums, axis=1)


def shuffled_auc(values: NDArray[np.float64], seed: int, *, control: bool = False) -> AucEstimate:
    """Measure how well events are told from ones whose sensors come from different events.

    Args:
        values: Quantities of every sensor, without what the conditions explain, shape ``(events, 40, quantities)``.
        seed: Seed of orders and folds.
        control: Whether the events are shuffled, too; then there is nothing to tell.

    Raises:
        DataError: If there are fewer than 40 events.
    """
    if len(values) < _FEWEST:
        raise DataError(f"{len(values)} events are too few to tell from shuffled ones; use {_FEWEST} or more.")
    spread = values.std(axis=0)
    standard = np.clip((values - values.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0), -_FARTHEST, _FARTHEST)
    stream = Stream(seed, "shuffled sensors")
    first = shuffle_sensors(standard, stream.at(1)) if control else standard
    table = np.concatenate([pair_sums(first), pair_sums(shuffle_sensors(standard, stream.at(0)))])
    width = table.std(axis=0)
    table = (table - table.mean(axis=0)) / np.where(width > 0.0, width, 1.0)
    label = np.repeat([0, 1], len(values))

    def score(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> NDArray[np.float64]:
        fitted = LogisticRegression(C=0.1, max_iter=500).fit(table[train], label[train])
        return np.asarray(fitted.decision_function(table[test]), dtype=np.float64)

    fold = stream.at(2).permutation(len(values)) % _FOLDS
    return cross_validated_auc(fold, score, _OVERLAP)


def _alike() -> tuple[NDArray[np.float64], ...]:
    """Which pairs of sensors are neighbours in azimuth, by layer; of one ladder; nearest between the layers."""
    layer, number = SENSOR_LAYER, SENSOR_NUMBER
    apart = np.abs(np.angle(np.exp(1j * (SENSOR_PHI[:, None] - SENSOR_PHI))))
    same_side = number[:, None] == number
    same_layer = layer[:, None] == layer
    step = np.where(layer == 1, np.pi / 4.0, np.pi / 6.0)
    beside = same_side & same_layer & (np.abs(apart - step) < 1e-6)
    ladder = same_layer & ~same_side & (apart < 1e-6)
    above = same_side & ~same_layer & (apart < np.pi / 12.0 + 1e-6)
    kinds = (beside & (layer == 1), beside & (layer == 2), ladder, above)
    return tuple(np.triu(kind).astype(np.float64) for kind in kinds)


_PAIRS = _alike()
