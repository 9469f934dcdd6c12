"""Iterative Bayesian unfolding of a measurement's observable: bins at both levels, outer ones included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.background import positive_simulation
from castalia.apps.unfold.binning import binning
from castalia.apps.unfold.density_ratio import RatioConfig, without_notes
from castalia.apps.unfold.iterative_bayes import iterative_bayes
from castalia.apps.unfold.measurement.problem import Problem, Unfolded
from castalia.errors import DataError
from castalia.rng import Stream

__all__ = ["by_iterative_bayes"]

Array = NDArray[np.float64]

_FINER = 2
"""Detector bins for each truth bin: enough that the migrations within a truth bin are seen."""

_FEWEST = 20
"""Selected simulated events beyond the outermost edge from which on they have a truth bin of their own; fewer count as
if they were background that the simulation knows of."""


def by_iterative_bayes(problem: Problem, passes: int, _classifiers: RatioConfig, seed: int) -> list[Unfolded]:
    """Unfold one observable by iterative Bayesian unfolding.

    Missed events enter by the efficiency of each truth bin, fakes by their simulated share in each detector bin, and
    background as a further expectation there. Detector bins hold equally many events of data each, the outermost ones
    being open.

    Args:
        problem: The measurement of one observable.
        passes: Number of passes.
        seed: Seed of what puts positive weights in the place of simulated ones of both signs; nothing else is random.

    Returns:
        The simulated events that have a truth, weighted, after each pass.

    Raises:
        DataError: See `castalia.apps.unfold.iterative_bayes.iterative_bayes`; most of all where the counterpart has
            fewer values than there are truth bins.
    """
    with without_notes():
        simulation = positive_simulation(problem.simulation, problem.seed(seed, "positive simulation"))
    truth = binning(_with_outer(problem.edges[0], simulation.truth[simulation.matched, 0]))
    parts = _FINER * truth.bins
    inner = np.quantile(problem.data.detector[:, 0], np.linspace(0.0, 1.0, parts + 1)[1:-1], method="higher")
    detector = binning(np.concatenate([[-np.inf], np.unique(inner), [np.inf]]))
    try:
        result = iterative_bayes(
            simulation,
            problem.data,
            truth,
            detector,
            iterations=passes,
            replicas=0,
            rng=Stream(seed, "no bootstrap").at(),
            background=problem.background,
        )
    except DataError as error:
        raise DataError(f"[observables.{problem.columns[0].name}], iterative Bayes: {error}") from None
    rows = simulation.fiducial
    values, weights = simulation.truth[rows], problem.simulation.weights[rows]
    ones = np.ones((len(weights), 1))
    return [
        Unfolded(values[:, None, :], weights * result.weights(number, values), ones) for number in range(1, passes + 1)
    ]


def _with_outer(edges: Array, matched: Array) -> Array:
    """Add a bin on each side where enough selected events lie beyond the edges."""
    low = [-np.inf] if np.sum(matched < edges[0]) >= _FEWEST else []
    high = [np.inf] if np.sum(matched > edges[-1]) >= _FEWEST else []
    return np.concatenate([low, edges, high])
