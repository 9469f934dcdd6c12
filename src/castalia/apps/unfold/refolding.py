"""The refolding test: what was unfolded, sent through the simulated detector again, must look like the data.

It finds a wrong response, an unfolding that went astray, and data that the simulation cannot describe. It does not find
what no measurement can see: two truths that look alike in the detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree
from scipy.stats import chi2 as chi2_distribution

from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents
from castalia.errors import DataError
from castalia.metrics.agreement import quantile_chi2
from castalia.metrics.arrays import as_columns, as_weights

__all__ = ["RefoldingTest", "nearest_factors", "refold", "refolding_test"]

Array = NDArray[np.float64]

_NEIGHBOURS = 8
"""Simulated events that share an unfolded one: enough that their detector levels vary, near enough to be alike."""


@final
@dataclass(frozen=True)
class RefoldingTest:
    """Comparison of refolded events with data, observable by observable.

    Refolded events know the fluctuations of the data that they were unfolded from, so that the p-values are large on
    average: the test is conservative.

    Attributes:
        chi2: Squared distance of the normalised histograms, shape ``(observables,)``.
        freedom: Degrees of freedom, same shape.
        p_values: Probability of a distance at least as large, same shape.
        p_value: The smallest p-value, corrected for the number of observables.
        rate: Refolded sum of weights over that of the data.
    """

    chi2: Array
    freedom: NDArray[np.int64]
    p_values: Array
    p_value: float
    rate: float


def nearest_factors(truth: ArrayLike, weights: ArrayLike | None, simulation: SimulatedEvents) -> Array:
    """Give unfolded truth to the simulated events that are nearest at truth level, missed ones included.

    This refolds unfolded events of any method, with the efficiency, in few truth columns; with many, no simulated event
    is near. Distances are in standard deviations of the simulation's truth.

    Args:
        truth: Unfolded truth, such as posterior draws, shape ``(rows, columns)``.
        weights: Their weights, shape ``(rows,)``; ones by default.
        simulation: Simulated events of positive weight.

    Returns:
        Factors on the simulated weights, shape ``(simulated events,)``; 0 for fakes.

    Raises:
        DataError: If the truth has other columns than the simulation's, or a simulated weight is not positive.
    """
    table = as_columns(truth, "the unfolded truth")
    weight = as_weights(weights, len(table), "the unfolded truth")
    rows = np.flatnonzero(simulation.fiducial)
    if table.shape[1] != simulation.truth.shape[1] or (simulation.weights[rows] <= 0.0).any():
        raise DataError(
            f"{table.shape[1]} unfolded and {simulation.truth.shape[1]} simulated truth columns; give the same, and "
            "simulated events of positive weight only."
        )
    true, base = simulation.truth[rows], simulation.weights[rows]
    scale = np.where((spread := true.std(axis=0)) > 0.0, spread, 1.0)
    neighbours = min(_NEIGHBOURS, len(rows))
    near = KDTree(true / scale).query(table / scale, k=np.arange(1, neighbours + 1))[1]
    share = weight[:, None] / base[near].sum(axis=1, keepdims=True)
    factors = np.zeros(len(simulation.weights))
    factors[rows] = np.bincount(near.ravel(), np.repeat(share, neighbours, axis=1).ravel(), len(rows))
    return factors


def refold(simulation: SimulatedEvents, factors: ArrayLike) -> MeasuredEvents:
    """Return the matched simulated events at detector level, as unfolded.

    Data that contain fakes are to be compared without them.

    Args:
        simulation: Simulated events.
        factors: Factors on their weights: those of a reweighting, or `nearest_factors`; shape ``(events,)``.

    Raises:
        DataError: If there is not one factor for each event, or none that counts.
    """
    weights = simulation.weights * as_weights(factors, len(simulation.weights), "the simulation")
    rows = simulation.matched
    return MeasuredEvents(simulation.detector[rows], weights[rows])


def refolding_test(refolded: MeasuredEvents, data: MeasuredEvents, bins: int = 20) -> RefoldingTest:
    """Compare the normalised distributions of every observable.

    Args:
        refolded: Refolded events.
        data: Measured events, background and fakes subtracted by their weights.
        bins: Bins of each observable, at quantiles of the data; at least 2.

    Raises:
        DataError: If observables differ, or one has fewer than two distinct bins.
    """
    if refolded.detector.shape[1] != data.detector.shape[1]:
        raise DataError(
            f"{refolded.detector.shape[1]} refolded and {data.detector.shape[1]} measured observables; give the same."
        )
    found = [
        quantile_chi2(measured, expected, bins, weights=data.weights, other_weights=refolded.weights)
        for measured, expected in zip(data.detector.T, refolded.detector.T, strict=True)
    ]
    chi2, freedom = np.array([one[0] for one in found]), np.array([one[1] for one in found], dtype=np.int64)
    p_values = chi2_distribution.sf(chi2, freedom)
    return RefoldingTest(
        chi2,
        freedom,
        p_values,
        float(1.0 - (1.0 - p_values.min()) ** len(found)),
        float(refolded.weights.sum() / data.weights.sum()),
    )
