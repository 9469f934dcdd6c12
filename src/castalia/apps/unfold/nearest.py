"""Posterior without a model: the truth of the simulated events that look most like a measured one.

The nearest events of a large simulation, in a table of summaries of the detector level, are draws from the posterior
given those summaries, blurred by the distance to them. It assumes nothing, and is therefore what a model is held
against, where the table is small. It breaks down in many dimensions: of N events the k nearest of d columns lie within
``(k / N)^(1/d)`` of the table's width, which for 100 of 300,000 is 7 % in three columns, a quarter in six and two
thirds in twenty, where "nearest" means hardly anything and the posterior comes out nearly as wide as the prior. What
the table leaves out is not known either: a model that sees the whole event has narrower posteriors, which agree with
these on average over the events that look alike.

References:
    Biau, Cérou and Guyader, New insights into approximate Bayesian computation (Ann. Inst. H. Poincaré 51, 2015): the
    k nearest simulations, and how their error grows with the number of summaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns

__all__ = ["NearestEvents", "nearest_events"]


@final
@dataclass(frozen=True)
class NearestEvents:
    """The simulated events nearest to each measured one.

    Attributes:
        rows: Their rows in the simulation, the nearest first, shape ``(measured, neighbours)``.
        weights: What each counts, which sum up to one over those of a measured event, same shape.
        radius: Distance of the furthest, in standard deviations of the simulation's columns, shape ``(measured,)``:
            what the posterior is blurred by.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    radius: NDArray[np.float64]

    def draws(self, truth: NDArray[np.float64], number: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw from the posterior of each measured event.

        Args:
            truth: Truth of the simulated events, shape ``(simulated, columns)``.
            number: Draws of each event.
            rng: Random numbers.

        Returns:
            Shape ``(measured, number, columns)``.
        """
        upto = np.cumsum(self.weights, axis=1)
        position = rng.random((len(upto), number)) * upto[:, -1:]
        place = (upto[:, None, :] <= position[:, :, None]).sum(axis=2)
        return np.asarray(truth[np.take_along_axis(self.rows, place, axis=1)])


def nearest_events(simulated: ArrayLike, measured: ArrayLike, neighbours: int) -> NearestEvents:
    """Find the simulated events that look most like each measured one, of equally weighted simulation.

    Distances are Euclidean, each column in units of its standard deviation in the simulation. An event at distance d of
    the r of the furthest counts ``1 − (d / r)²`` (the kernel of Epanechnikov), so that none enters with a jump.

    Args:
        simulated: Summaries of the simulated events at detector level, shape ``(simulated, columns)``.
        measured: Those of the measured events, shape ``(measured, columns)``.
        neighbours: Events to take, the furthest of which only sets the scale; at least 2.

    Raises:
        DataError: If columns do not fit, are constant or hold NaN, or there are fewer events than neighbours.
    """
    table, wanted = as_columns(simulated, "the simulated summaries"), as_columns(measured, "the measured summaries")
    width = table.std(axis=0)
    if table.shape[1] != wanted.shape[1] or not (width > 0.0).all():
        raise DataError(
            f"simulated summaries of shape {table.shape}, {int((width <= 0.0).sum())} columns of them constant, do not "
            f"fit measured ones of shape {wanted.shape}; give the same columns of both, each with a spread."
        )
    if not 2 <= neighbours <= len(table):
        raise DataError(f"{neighbours} neighbours of {len(table)} simulated events; give 2 or more, and no more.")
    distance, rows = cKDTree(table / width).query(wanted / width, k=neighbours)
    radius = distance[:, -1]
    # Several events may be copies of the furthest, or all of them of the measured one: they then count alike.
    weights = 1.0 - np.square(distance / np.where(radius > 0.0, radius, 1.0)[:, None])
    weights[weights.sum(axis=1) <= 0.0] = 1.0
    return NearestEvents(rows.astype(np.int64), weights / weights.sum(axis=1, keepdims=True), radius)
