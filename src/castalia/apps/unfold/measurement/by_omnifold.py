"""OmniFold of a measurement: all observables together, without bins."""

from __future__ import annotations

import numpy as np

from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.measurement.problem import Problem, Unfolded
from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold

__all__ = ["by_omnifold"]


def by_omnifold(problem: Problem, passes: int, classifiers: RatioConfig, seed: int) -> list[Unfolded]:
    """Unfold all observables by OmniFold.

    The weights are functions of the true observables, learned from events at both levels and applied to all with a
    truth: this makes up for missed events. Fakes are taken off by the simulated share of them at the same counterparts,
    background by negative weights of its own.

    Returns:
        The simulated events that have a truth, weighted, after each pass.

    Raises:
        ConfigError: If the simulated weights do not add up to a positive number.
        DataError: If more background is expected than there is data.
    """
    config = OmniFoldConfig(iterations=passes, ratio=classifiers)
    result = omnifold(problem.simulation, problem.signal, problem.layout, config, problem.seed(seed, "omnifold"))
    rows = problem.simulation.fiducial
    truth, weights = problem.simulation.truth[rows], problem.simulation.weights[rows]
    ones = np.ones((len(weights), 1))
    return [Unfolded(truth[:, None, :], weights * function(truth), ones) for function in result.functions]
