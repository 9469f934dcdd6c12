"""Resolution of the impact parameters of tracks where background lies over their hits, and how often it steals one.

Of every track the detectors outside predict where it passes a layer; the cluster that is nearest to the prediction is
taken for its hit, be it its own or the background's. Background that touches the track's own cluster is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from castalia.detectors.pxd.geometry import PITCH_U, SENSORS, along_beam
from castalia.metrics.pixels.clusters import Clusters
from castalia.metrics.pixels.shared import Measured
from castalia.metrics.pixels.tracks import Tracks, draw_tracks, impact_parameters, space_points
from castalia.rng import Stream

__all__ = ["HIT_ERROR", "PREDICTION_ERROR", "TRACKS", "Overlaid", "core_width", "overlay", "tail_share", "wrong_share"]

TRACKS: Final = 100
"""Tracks placed in an event, each as if it were alone."""
HIT_ERROR: Final = (0.012, 0.016)
"""Errors of a cluster's position along u and v, in mm."""
PREDICTION_ERROR: Final = 0.15
"""Error of the prediction along u and v, in mm: about that of a track in the strips outside, at a GeV."""
TAIL: Final = 0.2
"""Distance in mm beyond which d0 counts as a tail: four times the resolution without background."""

_FAR = 1e4  # mm between the sensors of a search tree
_GROUPS = 20  # of events that are left out in turn


@dataclass(frozen=True)
class Overlaid:
    """Tracks with background; every array has the shape ``(events, tracks)``.

    Attributes:
        d0: Measured less true distance from the beam's axis, in mm.
        z0: Measured less true start along the beam, in mm.
        wrong: Whether a hit of the track is not its own.
    """

    d0: NDArray[np.float64]
    z0: NDArray[np.float64]
    wrong: NDArray[np.bool_]


def overlay(clusters: Clusters | None, events: int, first: int, seed: int) -> Overlaid:
    """Measure tracks under the background of some events.

    Tracks and their errors depend on the number of the event alone: two backgrounds are compared on the same ones.

    Args:
        clusters: Of the background, events numbered from 0; None for no background.
        events: Number of events.
        first: Number of the first event, for the random numbers.
        seed: Seed of the tracks.
    """
    stream = Stream(seed, "overlaid tracks")
    drawn = [_drawn(stream.at(first + number)) for number in range(events)]
    results = [_measured(tracks, own) for tracks, own, _ in drawn]
    if clusters is None:
        return Overlaid(
            np.stack([one[0] for one in results]),
            np.stack([one[1] for one in results]),
            np.zeros((events, TRACKS), dtype=np.bool_),
        )
    place = _in_plane(clusters.sensor, clusters.u, clusters.v)
    tree = cKDTree(np.column_stack([place, _FAR * (clusters.event * SENSORS + clusters.sensor)]))
    found = []
    for number, (tracks, own, predicted) in enumerate(drawn):
        asked = np.concatenate([predicted, _FAR * (number * SENSORS + tracks.sensor)[..., None]], axis=2)
        distance, nearest = tree.query(asked)
        stolen = distance < np.hypot(*np.moveaxis(own - predicted, 2, 0))
        place_of = np.where(stolen[..., None], place[np.minimum(nearest, len(place) - 1)], own)
        found.append((*_measured(tracks, place_of), stolen.any(axis=1)))
    d0, z0, wrong = (np.stack(column) for column in zip(*found, strict=True))
    return Overlaid(d0, z0, wrong)


def _drawn(rng: np.random.Generator) -> tuple[Tracks, NDArray[np.float64], NDArray[np.float64]]:
    """Draw tracks, the places of their own clusters and those predicted, in mm in the sensors' planes."""
    tracks = draw_tracks(TRACKS, rng)
    true = _in_plane(tracks.sensor, tracks.u, tracks.v)
    own = true + np.array(HIT_ERROR) * rng.standard_normal(true.shape)
    return tracks, own, true + PREDICTION_ERROR * rng.standard_normal(true.shape)


def _in_plane(sensor: NDArray[np.int64], u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([u * PITCH_U, along_beam(sensor, v)], axis=-1)


def _measured(tracks: Tracks, place: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = space_points(tracks.sensor, place[..., 0] / PITCH_U, np.zeros_like(place[..., 1]))
    points[..., 2] = place[..., 1]
    d0, z0 = impact_parameters(points, tracks.radius, tracks.sense)
    return d0, z0 - tracks.z0


def core_width(residual: NDArray[np.float64]) -> Measured:
    """Return half of the interval between the quantiles at 16 and 84 %, and its error.

    The error comes from leaving out events in twenty groups.

    Args:
        residual: In mm, shape ``(events, tracks)``.
    """
    return _grouped(residual, lambda rows: 0.5 * float(np.diff(np.quantile(rows, [0.158655, 0.841345]))[0]))


def tail_share(residual: NDArray[np.float64]) -> Measured:
    """Return the share of d0 beyond ``TAIL``.

    Args:
        residual: In mm, shape ``(events, tracks)``.
    """
    return _grouped(residual, lambda rows: float(np.mean(np.abs(rows) > TAIL)))


def wrong_share(wrong: NDArray[np.bool_]) -> Measured:
    """Return the share of tracks with a hit that is not their own.

    Args:
        wrong: Shape ``(events, tracks)``.
    """
    return _grouped(wrong, lambda rows: float(np.mean(rows)))


def _grouped(values: NDArray[Any], measure: Callable[[NDArray[Any]], float]) -> Measured:
    """Measure with the error of the jackknife over groups of events.

    References:
        Efron and Stein, The jackknife estimate of variance (Ann. Statist. 9, 1981).
    """
    groups = min(_GROUPS, len(values))
    number = np.arange(len(values)) % groups
    without = np.array([measure(values[number != one]) for one in range(groups)])
    return Measured(measure(values), float(np.sqrt((groups - 1) * without.var())))
