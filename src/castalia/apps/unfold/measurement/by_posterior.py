"""A measurement by a trained posterior: draws for every event of data, and the removal of the prior.

A posterior knows selected events only. What it misses is made up for draw by draw: each counts as often as a simulated
event of its observables is defined for one that is defined and selected. That ratio is a function of the truth, learned
by a classifier from all simulated events with a truth against those of them that were selected; like every efficiency
it holds as far as the observables decide on the selection.

Background and fakes are subtracted with draws of their own: simulated events of negative weight. A posterior sees more
of an event than its counterparts, and weights of the data alone would leave the draws of what does not belong there
among those of what does. Fakes are expected as often as the simulation has them at the same counterparts.

The first prior is that of the model's own draws for simulated events: a model that is not quite right would make the
same error again in every pass that took the simulation's truth for it. The ratio of both, learned beforehand, is on the
draws from the first pass on.

Under another detector, as in a varied simulation, a draw of truth z for measured x is as much more likely as
p(x | z) is there than in the simulation that was learned from: the ratio of both densities of (x, z), over that of z.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.background import positive_simulation, positive_weights
from castalia.apps.unfold.density_ratio import RatioConfig, fit_ratio, without_notes
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents
from castalia.apps.unfold.fakes import without_fakes
from castalia.apps.unfold.measurement.problem import Problem, Unfolded
from castalia.apps.unfold.prior import ClassifierRatio, TruthFunction, begun_with, iterate_prior, own_prior, resampled
from castalia.rng import Stream

__all__ = ["by_posterior", "under_another_detector"]

Array = NDArray[np.float64]


def by_posterior(problem: Problem, passes: int, classifiers: RatioConfig, seed: int) -> list[Unfolded]:
    """Unfold all observables by posterior draws.

    Returns:
        Data, background and fakes (if any) with their draws, after each pass: the first one is the posterior under the
        simulation's truth, and each further one has the distribution of the last as its prior. Weights of background
        and fakes are negative.

    Raises:
        ConfigError: If weights do not add up to a positive number.
        DataError: If more background is expected than there is data.
    """
    problem = _with_positive_simulation(problem, seed)
    weights = _weights(problem, classifiers, seed)
    prior, target = problem.prior, problem.layout.target
    drawn = prior.reshape(-1, prior.shape[2]), np.repeat(problem.prior_weights, prior.shape[1])
    found = iterate_prior(
        begun_with(resampled(problem.draws, problem.response), _first_prior(problem, classifiers, seed)),
        weights,
        drawn,
        ClassifierRatio(target, classifiers, problem.seed(seed, "prior")),
        passes=passes,
        rng=Stream(problem.seed(seed, "chosen draws"), "prior").at(),
    )
    defined = _defined_for_one_selected(problem, classifiers, problem.seed(seed, "acceptance"))
    unfolded = []
    for one in found:
        shares = one.posterior.weights * defined
        sums = shares.sum(axis=1)
        unfolded.append(Unfolded(problem.draws, weights * sums, shares / sums[:, None]))
    return unfolded


def _first_prior(problem: Problem, classifiers: RatioConfig, seed: int) -> TruthFunction:
    """Return the truth of the problem's simulation over the prior of the model's draws."""
    target, events, simulation = problem.layout.target, problem.drawn_for, problem.simulation
    truth, weights = events.truth[events.matched], problem.prior_weights
    own = own_prior(truth, problem.prior, weights, target, classifiers, problem.seed(seed, "own prior"))
    if problem.nominal is None:
        return own
    varied = simulation.truth[simulation.matched], simulation.weights[simulation.matched]
    moved = fit_ratio(varied, (truth, weights), target, classifiers, problem.seed(seed, "moved prior")).ratio
    return lambda values: own(values) * moved(values)


def _with_positive_simulation(problem: Problem, seed: int) -> Problem:
    """Return the problem without negative weights of what its simulation is learned from."""
    seed, events = problem.seed(seed, "positive simulation"), problem.drawn_for
    # Both truth and draws have the right average then.
    both = np.column_stack([events.truth[events.matched], problem.prior.reshape(len(problem.prior), -1)])
    drawn = MeasuredEvents(both, problem.prior_weights)
    with without_notes():
        simulation = positive_simulation(problem.simulation, seed)
        return dataclasses.replace(problem, simulation=simulation, prior_weights=positive_weights(drawn, seed).weights)


def _weights(problem: Problem, classifiers: RatioConfig, seed: int) -> Array:
    """Return the weights of data, background and fakes, shape ``(events,)``."""
    signal, fakes, condition = problem.signal, problem.fakes, problem.layout.condition
    genuine = without_fakes(problem.simulation, signal, condition, classifiers, problem.seed(seed, "fakes"))
    expected = signal.weights - genuine.weights
    if not (expected.any() and fakes.weights.any()):
        return np.concatenate([genuine.weights, np.zeros(len(fakes.weights))])
    own, seed = (fakes.detector, fakes.weights), problem.seed(seed, "draws of fakes")
    ratio = fit_ratio((signal.detector, expected), own, condition, classifiers, seed).ratio
    factors = ratio.scaled(*own, float(expected.sum()))(fakes.detector)
    return np.concatenate([signal.weights, -fakes.weights * factors])


def under_another_detector(problem: Problem, varied: SimulatedEvents, classifiers: RatioConfig, seed: int) -> Problem:
    """Return the problem with a varied simulation, and the factors on the draws that its response makes.

    Args:
        problem: The nominal problem.
        varied: The varied simulation.
        classifiers: How the ratios of densities are learned.
        seed: Seed of the command.
    """
    layout, nominal = problem.layout, problem.simulation
    line = _straight_line(nominal)

    def features(detector: Array, truth: Array) -> Array:
        """Return what was measured beyond the truth, and the truth: a narrow response is then one number."""
        return np.concatenate([detector - _on(line, truth), truth], axis=1)

    pairs, truths = [], []
    for sample in (varied, nominal):
        rows = sample.matched
        pairs.append((features(sample.detector[rows], sample.truth[rows]), sample.weights[rows]))
        truths.append((sample.truth[rows], sample.weights[rows]))
    variables = (*layout.condition, *layout.target)
    both = fit_ratio(pairs[0], pairs[1], variables, classifiers, problem.seed(seed, "response")).ratio
    alone = fit_ratio(truths[0], truths[1], layout.target, classifiers, problem.seed(seed, "varied truth")).ratio
    events, draws, columns = problem.draws.shape
    measured = np.repeat(np.concatenate([problem.signal.detector, problem.fakes.detector]), draws, axis=0)
    drawn = problem.draws.reshape(-1, columns)
    factor = both(features(measured, drawn)) / alone(drawn)
    response = factor.reshape(events, draws)
    return dataclasses.replace(problem, simulation=varied, response=response, nominal=nominal)


def _straight_line(simulation: SimulatedEvents) -> Array:
    """Return the regression of the counterparts on the observables, shape ``(1 + observables, counterparts)``."""
    rows = simulation.matched
    truth = simulation.truth[rows]
    line = np.linalg.lstsq(np.column_stack([np.ones(len(truth)), truth]), simulation.detector[rows])[0]
    return np.asarray(line, dtype=np.float64)


def _on(line: Array, truth: Array) -> Array:
    return np.column_stack([np.ones(len(truth)), truth]) @ line


def _defined_for_one_selected(problem: Problem, classifiers: RatioConfig, seed: int) -> Array:
    """Return for each draw the number of defined events for one that is selected as well, shape ``(events, draws)``."""
    simulation, shape = problem.simulation, problem.draws.shape[:2]
    if simulation.selected[simulation.fiducial].all():
        return np.ones(shape)
    all_of_them, selected = (
        (simulation.truth[rows], simulation.weights[rows]) for rows in (simulation.fiducial, simulation.matched)
    )
    ratio = fit_ratio(all_of_them, selected, problem.layout.target, classifiers, seed).ratio
    ratio = ratio.scaled(*selected, float(all_of_them[1].sum()))
    return ratio(problem.draws.reshape(-1, problem.draws.shape[2])).reshape(shape)
