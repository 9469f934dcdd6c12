"""Removal of prior bias from per-event posteriors: the unfolded distribution becomes the prior, and so on.

A generative model draws from the posterior under the distribution of the truth that it was trained on. Averaged over
the data its draws lie between that prior and the truth: they are one pass of an iteration. Each further pass learns, by
a classifier, the ratio of the unfolded distribution to the simulation's truth, takes it for the new prior, and draws
again: from a model trained anew on reweighted simulation, or from the same draws, which then carry that ratio as
weights, normalised event by event. The latter costs no training of the model, as long as the draws still reach where
the posterior has moved: `PriorPass.draws` says how many of them do. Normalising leaves a bias towards the old prior
that falls with the number of draws: about one per cent of a width with 40 of them, in the known measurement of
`castalia.processes.gaussian_smearing`.

Where the model was trained on selected events, prior and unfolded distribution are those of selected events.

The prior behind a trained model's draws is not quite the simulation's truth: unfolded simulation tells how far off it
is. With the simulation's truth in its place every pass repeats the error, and the iteration runs away. With importance
weights, therefore, the ratio is better learned to the draws for simulated events, and the first pass begins with the
simulation's truth over them as its factor, which takes a large part of the error away: see `own_prior`, `begun_with`.

References:
    Backes, Butter, Dunford and Malaescu, An unfolding method based on conditional invertible neural networks (cINN)
    using iterative training (2022), arXiv:2212.08674: the loop with a retrained model.
    Owen, Monte Carlo theory, methods and examples (2013), chapter 9: self-normalised importance sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.density_ratio import DensityRatio, RatioConfig, fit_ratio
from castalia.apps.unfold.settling import moment_change
from castalia.data.layout import Variable
from castalia.errors import DataError
from castalia.metrics.arrays import effective_events
from castalia.rng import Stream

__all__ = [
    "ClassifierRatio",
    "PosteriorDraws",
    "PriorPass",
    "RatioLearner",
    "TruthFunction",
    "begun_with",
    "by_the_others",
    "iterate_prior",
    "own_prior",
    "resampled",
    "retrained",
]

Array = NDArray[np.float64]
TruthFunction: TypeAlias = Callable[[Array], Array]
"""Truths of shape ``(events, columns)`` to positive factors of shape ``(events,)``."""

RatioLearner: TypeAlias = Callable[[tuple[Array, Array], tuple[Array, Array], int], TruthFunction]
"""From two samples, each values of shape ``(rows, columns)`` and weights of shape ``(rows,)``, and the number of the
pass to the ratio of the first over the second."""

_LEARNED = 4
"""Draws of each event that the ratio is learned from: more of them say little more of the same event."""

_ROUNDS = 2
"""Rounds in which a model's own prior is learned: of top-quark pairs a third one changes nothing beyond chance."""


@final
@dataclass(frozen=True)
class PosteriorDraws:
    """What a model says of the truth of measured events.

    Attributes:
        values: Draws, shape ``(events, draws, columns)``.
        weights: Weights of an event's draws, which sum up to one, shape ``(events, draws)``.
    """

    values: Array
    weights: Array


@final
class ClassifierRatio:
    """The ratio by a classifier, which goes on from that of the pass before.

    Args:
        variables: The truth columns.
        config: How it is trained.
        seed: Seed of the run.
    """

    def __init__(self, variables: Sequence[Variable], config: RatioConfig, seed: int) -> None:
        self._variables, self._config, self._seed = variables, config, seed
        self._last: DensityRatio | None = None

    def __call__(
        self, numerator: tuple[Array, Array], denominator: tuple[Array, Array], iteration: int
    ) -> DensityRatio:
        """Return numerator over denominator; see `RatioLearner`."""
        seed = Stream(self._seed, "prior iteration", str(iteration)).integer(2**53)
        fitted = fit_ratio(numerator, denominator, self._variables, self._config, seed, self._last)
        self._last = fitted.ratio.scaled(*denominator, float(numerator[1].sum()))
        return self._last


@final
@dataclass(frozen=True)
class PriorPass:
    """The unfolded distribution after a pass.

    Attributes:
        posterior: Draws under the prior of this pass.
        factor: That prior over the simulated events' truth, or draws; ``None`` in the first pass.
        change: How far this pass has moved the unfolded distribution; infinite in the first. See
            `castalia.apps.unfold.settling.moment_change`.
        draws: Mean effective number of draws of an event.
    """

    posterior: PosteriorDraws
    factor: TruthFunction | None
    change: float
    draws: float


Posterior: TypeAlias = Callable[[TruthFunction | None], PosteriorDraws]
"""From the new prior over the simulation's truth (``None`` where they are the same) to the draws under it."""


def resampled(draws: Array, response: Array | None = None) -> Posterior:
    """Return the posterior under another prior by importance weights on the draws of the first.

    Args:
        draws: Draws under the simulation's prior, shape ``(events, draws, columns)``.
        response: Factors on the draws that make them those of another detector: p(measured | drawn truth) there over
            that of the simulation, shape ``(events, draws)``; ``None`` for the simulation's own.
    """
    events, count, columns = draws.shape
    base = np.ones((events, count)) if response is None else response

    def posterior(factor: TruthFunction | None) -> PosteriorDraws:
        weights = base if factor is None else base * factor(draws.reshape(-1, columns)).reshape(events, count)
        return PosteriorDraws(draws, weights / weights.sum(axis=1, keepdims=True))

    return posterior


def begun_with(posterior: Posterior, factor: TruthFunction) -> Posterior:
    """Return the posterior with a factor on the first prior too, as where a model's own is not quite the simulation's.

    Args:
        posterior: Draws under the model's own prior: `resampled`.
        factor: Simulation's truth over the distribution of the model's draws for simulated events. Give these draws to
            `iterate_prior` as the simulated events.
    """
    return lambda other: posterior(factor if other is None else other)


def own_prior(
    truth: Array, draws: Array, weights: Array, variables: Sequence[Variable], config: RatioConfig, seed: int
) -> TruthFunction:
    """Learn the simulation's truth over the prior that a model's draws have.

    Draws with the ratio of truth and draws for weights, normalised event by event, come closer to the truth and do not
    reach it, as in any pass of an unfolding. A second round learns the ratio to draws with the first one's weights. A
    draw is normalised by the others of its event: by all of them, the fewer they are the more of its own weight it
    would lose.

    Args:
        truth: Truth of simulated events, shape ``(events, columns)``.
        draws: Draws for the same events, whatever is rare among them by chance, shape ``(events, draws, columns)``.
        weights: Weights of the events, not negative, shape ``(events,)``.
        variables: The columns.
        config: How a ratio is learned.
        seed: Seed of the run.
    """
    events, count, columns = draws.shape
    flat, of_rows = draws.reshape(-1, columns), np.repeat(weights, count)
    true, drawn = (np.repeat(truth, count, axis=0), of_rows), of_rows
    ratios: list[DensityRatio] = []

    def factor(values: Array) -> Array:
        return np.asarray(np.prod([ratio(values) for ratio in ratios], axis=0), dtype=np.float64)

    for number in range(_ROUNDS if count > 1 else 1):
        if ratios:
            drawn = of_rows * by_the_others(factor(flat).reshape(events, count)).ravel()
        one = Stream(seed, "own prior", str(number)).integer(2**53)
        ratios.append(fit_ratio(true, (flat, drawn), variables, config, one, each=count).ratio)
    return factor


def by_the_others(factors: Array) -> Array:
    """Return each factor over the mean of the others of its row, shape ``(events, draws)``, two draws or more."""
    others: Array = (factors.sum(axis=1, keepdims=True) - factors) / (factors.shape[1] - 1)
    return np.asarray(factors / others)


def retrained(retrain: Callable[[Array], Callable[[], Array]], truth: Array, weights: Array) -> Posterior:
    """Return the posterior under another prior by training the model again.

    Args:
        retrain: From weights of the simulated training events, shape ``(events,)``, to a function that draws for the
            measured events, shape ``(measured, draws, columns)``.
        truth: Truth of the training events, shape ``(events, columns)``.
        weights: Their weights in the first training.
    """

    def posterior(factor: TruthFunction | None) -> PosteriorDraws:
        draws = retrain(weights if factor is None else weights * factor(truth))()
        return PosteriorDraws(draws, np.full(draws.shape[:2], 1.0 / draws.shape[1]))

    return posterior


def iterate_prior(
    posterior: Posterior,
    data_weights: Array,
    simulated: tuple[Array, Array],
    learn: RatioLearner,
    *,
    passes: int,
    rng: np.random.Generator,
) -> list[PriorPass]:
    """Unfold pass after pass, each with the unfolded distribution of the last one as prior.

    Args:
        posterior: Draws for the data under any prior: `resampled` or `retrained`.
        data_weights: Weights of the measured events, those of subtracted background negative, shape ``(events,)``.
        simulated: Truth columns and weights of the simulated events that made the first prior; or, of a trained
            model, its draws for simulated events.
        learn: Learns the new prior's ratio to the simulation, such as `ClassifierRatio`.
        passes: Number of passes; the first is the plain unfolding.
        rng: Chooses the draws that the ratio is learned from.

    Returns:
        What each pass came to. `castalia.apps.unfold.settling.settled_at` of the changes tells where to stop.

    Raises:
        DataError: If there is no pass, or draws do not fit the data.
    """
    if passes < 1:
        raise DataError(f"{passes} passes unfold nothing; ask for one or more.")
    events = effective_events(data_weights)
    done: list[PriorPass] = []
    factor: TruthFunction | None = None
    for iteration in range(passes):
        found = posterior(factor)
        if len(found.values) != len(data_weights):
            raise DataError(f"draws of {len(found.values)} events for {len(data_weights)} of data; give all of both.")
        flat = _flat(found, data_weights)
        change = moment_change(_flat(done[-1].posterior, data_weights), flat, events) if done else float("inf")
        draws = float(np.mean(1.0 / np.square(found.weights).sum(axis=1)))
        done.append(PriorPass(found, factor, change, draws))
        if iteration + 1 < passes:
            factor = learn(_chosen(found, data_weights, rng), simulated, iteration + 1)
    return done


def _flat(posterior: PosteriorDraws, data_weights: Array) -> tuple[Array, Array]:
    """Return every draw of every event as a row, with its weight."""
    weights = posterior.weights * data_weights[:, None]
    return posterior.values.reshape(-1, posterior.values.shape[2]), weights.ravel()


def _chosen(posterior: PosteriorDraws, data_weights: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Choose draws of each event by their weights; return them as rows, with weights."""
    upto = np.cumsum(posterior.weights, axis=1)
    # One random number in each of the equal parts of the unit interval: less noise than as many independent ones.
    position = (np.arange(_LEARNED) + rng.random((len(upto), _LEARNED))) / _LEARNED
    place = (upto[:, None, :] < position[:, :, None] * upto[:, -1:, None]).sum(axis=2)
    values = np.take_along_axis(posterior.values, place[:, :, None], axis=1)
    return values.reshape(-1, values.shape[2]), np.repeat(data_weights / _LEARNED, _LEARNED)
