"""Sampled pixel events beside true ones: every number with its error, every distance with its floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.pixels.gathered import Gathered
from castalia.detectors.pxd.geometry import SENSOR_LAYER
from castalia.metrics.auc import AucEstimate
from castalia.metrics.floors import FlooredDistance
from castalia.metrics.pixels.correlations import (
    expected_at,
    given,
    matrix_difference,
    mean_correlation,
    spearman_matrix,
)
from castalia.metrics.pixels.features import physics_features, sensor_quantities
from castalia.metrics.pixels.frechet import frechet_distance, standardised
from castalia.metrics.pixels.halves import Half, floored, matched_halves
from castalia.metrics.pixels.impact import core_width, overlay, tail_share, wrong_share
from castalia.metrics.pixels.occupancy import RelativeBias, mean_absolute_bias, relative_bias
from castalia.metrics.pixels.pairs import pair_difference
from castalia.metrics.pixels.sensor_classifier import learn_sensors
from castalia.metrics.pixels.shared import PHI_BINS, Z_BINS, Measured, map_excess, variance_ratio
from castalia.metrics.pixels.shuffled import shuffle_sensors, shuffled_auc
from castalia.metrics.pixels.spectra import wasserstein_of
from castalia.metrics.pixels.summary import CHARGE_WIDTH, PixelSummary
from castalia.rng import Stream

__all__ = ["SPECTRA", "Compared", "Judgement", "Occupancies", "Relations", "judge", "profiles"]

SPECTRA: Final[Mapping[str, tuple[str, str, float]]] = {
    "charge": ("charge of a pixel", "ADU", 1.0),
    "size": ("pixels of a cluster", "", 1.0),
    "size_u": ("extent of a cluster along u", "cells", 1.0),
    "size_v": ("extent of a cluster along v", "cells", 1.0),
    "cluster_charge": ("charge of a cluster", "ADU", float(CHARGE_WIDTH)),
}
"""Spectra by their name in a summary: what they are of, the unit, the width of an interval."""

_PHI_ROWS, _Z_COLUMNS = 24, 24  # intervals of the profiles of a layer


@dataclass(frozen=True)
class Compared:
    """One number of true and of sampled events.

    Attributes:
        truth: Of the true events.
        made: Of the sampled ones.
        control: Of what ought to show nothing: true events whose sensors were shuffled, or tracks without background.
    """

    truth: Measured
    made: Measured
    control: Measured | None = None

    @property
    def difference(self) -> Measured:
        """Sampled less true, with the errors added in quadrature."""
        return Measured(self.made.value - self.truth.value, float(np.hypot(self.made.error, self.truth.error)))


@dataclass(frozen=True)
class Occupancies:
    """Relative differences of counts.

    Attributes:
        total: Of all pixels.
        clusters: Of all clusters.
        layers: Of the pixels of either layer.
        sensors: Of those of every sensor.
        sizes: Mean size of the difference over ``sensors``, and over intervals of ``phi`` and ``z``, with floors.
    """

    total: Measured
    clusters: Measured
    layers: RelativeBias
    sensors: RelativeBias
    sizes: Mapping[str, FlooredDistance]


@dataclass(frozen=True)
class Relations:
    """How the sensors of an event go together, in all or without what the conditions explain.

    Attributes:
        truth: Rank correlations of the true events, shape ``(40, 40)``.
        made: Those of the sampled ones.
        difference: Mean size of the difference off the diagonal.
        control: The same of true events whose sensors were shuffled.
        mean: Mean correlation off the diagonal.
        variance: Variance of the event's total over the sum of the sensors' variances.
    """

    truth: NDArray[np.float64]
    made: NDArray[np.float64]
    difference: FlooredDistance
    control: FlooredDistance
    mean: Compared
    variance: Compared


@dataclass(frozen=True)
class Judgement:
    """What was measured.

    Attributes:
        occupancies: Counts beside the truth's.
        spectra: Wasserstein distances by the names of ``SPECTRA``.
        pairs: Mean relative difference of the correlation of hits in a sensor.
        relations: Correlations of sensors: ``"all"``, and ``"given"`` the conditions.
        excess: Excess of hits that match between the layers.
        auc: Area of the classifier that tells events from shuffled ones.
        frechet: Fréchet distances: of ``"physics"`` features and of the sensor classifier's, ``"images"``.
        named: Share of the images whose sensor the classifier names.
        impact: Of tracks: widths of ``"d0"`` and ``"z0"`` in mm, share of ``"tail"`` and of ``"wrong"`` hits.
    """

    occupancies: Occupancies
    spectra: Mapping[str, FlooredDistance]
    pairs: FlooredDistance
    relations: Mapping[str, Relations]
    excess: Compared
    auc: Compared
    frechet: Mapping[str, FlooredDistance]
    named: tuple[float, float]
    impact: Mapping[str, Compared]


def judge(truth: Gathered, made: Gathered, condition: NDArray[np.float64], seed: int) -> Judgement:
    """Measure everything.

    Args:
        truth: True events; their shuffled maps are the control.
        made: Sampled events with the same conditions, row by row.
        condition: Conditions, shape ``(events, conditions)``.
        seed: Seed of all that is random.

    Raises:
        DataError: If there are too few events, or the samples do not go together.
    """
    true, sampled = truth.summary, made.summary
    expected = expected_at(condition, true.occupancy.sum(axis=1))
    halves, first = matched_halves(expected, seed), matched_halves(expected[: len(truth.pairs)], seed)
    frechet, named = _frechet(true, sampled, halves, expected, seed)
    return Judgement(
        occupancies=_occupancies(true, sampled, halves),
        spectra={
            name: floored(wasserstein_of(width), getattr(true, name), getattr(sampled, name), halves)
            for name, (_, _, width) in SPECTRA.items()
        },
        pairs=floored(pair_difference, truth.pairs, made.pairs, first),
        relations={
            "all": _relations(true.occupancy, sampled.occupancy, halves, seed),
            "given": _relations(given(condition, true.occupancy), given(condition, sampled.occupancy), halves, seed),
        },
        excess=Compared(map_excess(true.maps), map_excess(sampled.maps), map_excess(truth.shuffled_maps)),
        auc=_auc(true, sampled, condition, seed),
        frechet=frechet,
        named=named,
        impact=_impact(truth, made, seed),
    )


def profiles(summary: PixelSummary) -> dict[str, NDArray[np.int64]]:
    """Return counts by event and direction, of both layers: ``"phi"`` and ``"z"``, shape ``(events, 2, intervals)``."""
    maps = summary.maps.reshape(len(summary), 2, PHI_BINS, Z_BINS).astype(np.int64)
    phi = maps.sum(axis=3).reshape(len(summary), 2, _PHI_ROWS, -1).sum(axis=3)
    z = maps.sum(axis=2).reshape(len(summary), 2, _Z_COLUMNS, -1).sum(axis=3)
    return {"phi": phi, "z": z}


def _occupancies(true: PixelSummary, sampled: PixelSummary, halves: list[Half]) -> Occupancies:
    layers = [np.stack([one.occupancy[:, SENSOR_LAYER == n].sum(axis=1) for n in (1, 2)], axis=1)
              for one in (true, sampled)]  # fmt: skip
    columns = {"sensors": (true.occupancy, sampled.occupancy)}
    here, there = profiles(true), profiles(sampled)
    columns |= {name: _filled(here[name], there[name]) for name in here}
    return Occupancies(
        total=_single(true.occupancy, sampled.occupancy),
        clusters=_single(true.clusters, sampled.clusters),
        layers=relative_bias(*layers),
        sensors=relative_bias(true.occupancy, sampled.occupancy),
        sizes={name: floored(mean_absolute_bias, *pair, halves) for name, pair in columns.items()},
    )


def _filled(true: NDArray[np.int64], sampled: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep the directions where the truth has a hit in a thousand at least: the rim of the silicon says nothing."""
    one, other = true.reshape(len(true), -1), sampled.reshape(len(sampled), -1)
    filled = one.sum(axis=0) > 1e-3 * one.sum()
    return one[:, filled], other[:, filled]


def _single(true: NDArray[np.int64], sampled: NDArray[np.int64]) -> Measured:
    bias = relative_bias(true.sum(axis=1), sampled.sum(axis=1))
    return Measured(float(bias.value[0]), float(bias.error[0]))


def _relations(true: NDArray[Any], sampled: NDArray[Any], halves: list[Half], seed: int) -> Relations:
    shuffled = shuffle_sensors(true, Stream(seed, "shuffled control").at())
    three = (true, sampled, shuffled)
    return Relations(
        truth=spearman_matrix(true),
        made=spearman_matrix(sampled),
        difference=floored(matrix_difference, true, sampled, halves),
        control=floored(matrix_difference, true, shuffled, halves),
        mean=Compared(*(mean_correlation(one) for one in three)),
        variance=Compared(*(variance_ratio(one) for one in three)),
    )


def _auc(true: PixelSummary, sampled: PixelSummary, condition: NDArray[np.float64], seed: int) -> Compared:
    here, there = (given(condition, sensor_quantities(one)) for one in (true, sampled))

    def measured(area: AucEstimate) -> Measured:
        return Measured(area.value, area.error)

    return Compared(
        measured(shuffled_auc(here, seed)),
        measured(shuffled_auc(there, seed)),
        measured(shuffled_auc(here, seed, control=True)),
    )


def _frechet(
    true: PixelSummary, sampled: PixelSummary, halves: list[Half], expected: NDArray[np.float64], seed: int
) -> tuple[dict[str, FlooredDistance], tuple[float, float]]:
    physics = floored(frechet_distance, *standardised(physics_features(true), physics_features(sampled)), halves)
    # Every fourth event is learned from, and is judged in no half.
    learned = np.arange(len(true)) % 4 == 0
    network = learn_sensors(true.images[learned], seed)
    here, there = true.images[~learned], sampled.images[~learned]
    rest = matched_halves(expected[~learned], seed)
    features = [network.features(one) for one in (here, there)]
    wide = standardised(*(one.reshape(-1, one.shape[2]) for one in features))
    one, other = (flat.reshape(features[0].shape) for flat in wide)
    images = floored(_image_distance, one, other, rest)
    return {"physics": physics, "images": images}, (network.accuracy(here), network.accuracy(there))


def _image_distance(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the distance of images, whatever their sensor."""
    return frechet_distance(first.reshape(-1, first.shape[2]), second.reshape(-1, second.shape[2]))


def _impact(truth: Gathered, made: Gathered, seed: int) -> dict[str, Compared]:
    events = len(truth.overlaid.d0)
    samples = (truth.overlaid, made.overlaid, overlay(None, events, 0, seed))
    measures: dict[str, tuple[str, Callable[[NDArray[Any]], Measured]]] = {
        "d0": ("d0", core_width), "z0": ("z0", core_width), "tail": ("d0", tail_share), "wrong": ("wrong", wrong_share),
    }  # fmt: skip
    return {
        name: Compared(*(measure(getattr(one, column)) for one in samples))
        for name, (column, measure) in measures.items()
    }
