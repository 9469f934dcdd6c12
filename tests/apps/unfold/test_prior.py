import numpy as np
import pytest
from unfolding_toys import toy, worst_pull

from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.prior import (
    ClassifierRatio,
    begun_with,
    by_the_others,
    iterate_prior,
    own_prior,
    resampled,
    retrained,
)
from castalia.apps.unfold.settling import settled_at
from castalia.errors import DataError
from castalia.processes.gaussian_smearing import Normal
from castalia.rng import Stream

EVENTS, DRAWS, PASSES = 10_000, 40, 5
BUDGET = 0.02
"""Bias allowed to the ratio, in units of the true standard deviation, beside five standard errors."""


def moments(values, weights):
    covariance = np.atleast_2d(np.cov(values.T, aweights=weights))
    return Normal(np.average(values, axis=0, weights=weights), covariance)


def normal_ratio(numerator, denominator, iteration):
    """The ratio of two normal distributions of the samples' moments: all a learner can know of this measurement."""

    def log_density(values, normal):
        centred = values - normal.mean
        exponent = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(normal.covariance), centred)
        return -0.5 * (exponent + np.linalg.slogdet(normal.covariance)[1])

    above, below = moments(*numerator), moments(*denominator)
    return lambda values: np.exp(log_density(values, above) - log_density(values, below))


def draws_of(one, seed=1):
    rng = Stream(seed, "posterior draws").at()
    return one.known.detector.draws(one.data.detector, one.known.simulated, DRAWS, rng)


def retrainer(one):
    """A model that fits the weighted truth by a normal distribution and knows the detector."""

    def retrain(weights):
        prior = moments(one.simulation.truth, weights)
        return lambda: one.known.detector.draws(one.data.detector, prior, 4, Stream(2, "retrained").at())

    return retrained(retrain, one.simulation.truth, one.simulation.weights)


def iterate(one, posterior, learn, passes=PASSES):
    rng = Stream(3, "prior test").at()
    simulated = one.simulation.truth, one.simulation.weights
    return iterate_prior(posterior, one.data.weights, simulated, learn, passes=passes, rng=rng)


def pull(one, found, passes, budget=BUDGET):
    values = found.posterior.values.reshape(-1, found.posterior.values.shape[2])
    return worst_pull(one.known, one.known.unfolded(passes), values, found.posterior.weights.ravel(), EVENTS, budget)


def imperfect(counter):
    """A measurement, the prior of a model that has its simulation a little wrong, and random numbers."""
    one = toy(1, EVENTS)
    own = Normal(one.known.simulated.mean + 0.3, one.known.simulated.covariance)
    return one, own, Stream(counter, "imperfect model").at()


@pytest.mark.statistical
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("kind", ["resampled", "retrained"])
def test_every_pass_is_the_exact_one(columns, kind):
    one = toy(columns, EVENTS)
    posterior = resampled(draws_of(one)) if kind == "resampled" else retrainer(one)
    passes = iterate(one, posterior, normal_ratio)
    assert max(pull(one, found, k) for k, found in enumerate(passes, 1)) < 5
    # controls: plain unfolding is not the last answer, nor is either the simulation
    assert pull(one, passes[0], PASSES) > 5
    assert min(pull(one, passes[0], 0), pull(one, passes[-1], 0)) > 5


@pytest.mark.statistical
def test_the_ratio_may_come_from_a_classifier():
    one = toy(1, EVENTS)
    learn = ClassifierRatio(one.layout.target, RatioConfig(), seed=1)
    passes = iterate(one, resampled(draws_of(one)), learn, passes=3)
    assert max(pull(one, found, k) for k, found in enumerate(passes, 1)) < 5
    assert pull(one, passes[0], 3) > 5
    truth = one.simulation.truth
    assert (one.simulation.weights @ passes[2].factor(truth)) == pytest.approx(EVENTS, rel=1e-6)


@pytest.mark.statistical
def test_a_models_own_prior_does_not_accumulate():
    """Draws of a model that has the simulation a little wrong, for data that are as simulated."""
    one, own, rng = imperfect(6)
    seen = [one.known.detector.detect(one.known.simulated.sample(EVENTS, rng), rng) for _ in range(2)]
    data, simulated = (one.known.detector.draws(x, own, DRAWS, rng) for x in seen)
    truth = one.simulation.truth, one.simulation.weights
    drawn = simulated[:, :4].reshape(-1, 1), np.ones(4 * EVENTS)

    def off(posterior, start):
        passes = iterate_prior(posterior, np.ones(EVENTS), start, normal_ratio, passes=PASSES, rng=rng)
        flat = [one.posterior.weights.ravel() @ one.posterior.values.reshape(-1) / EVENTS for one in passes]
        return np.abs(np.array(flat) - one.known.simulated.mean[0])

    error = np.sqrt(3 * one.known.detector.detected(one.known.simulated).covariance[0, 0] / EVENTS)
    begun = off(begun_with(resampled(data), normal_ratio(truth, drawn, 0)), drawn)
    wrong = off(resampled(data), truth)
    assert wrong[-1] > wrong[0] + 2 * error > 5 * error  # control: with the truth for the model's prior it grows
    assert (begun < 0.75 * wrong).all()


@pytest.mark.statistical
@pytest.mark.parametrize("drawn", [1, 4])
def test_what_a_model_has_of_its_own_is_learned_from_few_draws(drawn):
    """The mean of draws for simulated events, weighed by what was learned from as many others."""
    one, own, rng = imperfect(7)
    truth = one.known.simulated.sample(2 * EVENTS, rng)
    draws = one.known.detector.draws(one.known.detector.detect(truth, rng), own, DRAWS, rng)
    weights = np.ones(EVENTS)
    learned = own_prior(truth[:EVENTS], draws[:EVENTS, :drawn], weights, one.layout.target, RatioConfig(), 1)

    def off(factor):
        weighed = resampled(draws[EVENTS:])(factor)
        return float(np.mean(weighed.weights * weighed.values[:, :, 0]) * DRAWS - truth[EVENTS:].mean())

    error = np.sqrt(2 * draws.var(axis=1, ddof=1).mean() / EVENTS)  # of what is learned and of what it is tried on
    assert off(None) > 8 * error
    once = normal_ratio((truth[:EVENTS], weights), (draws[:EVENTS].reshape(-1, 1), np.ones(EVENTS * DRAWS)), 0)
    if drawn == 1:  # an event's only draw cannot be normalised: one round
        assert abs(off(learned) - off(once)) < 3 * error
    else:
        assert -2 * error < off(learned) < 0.8 * off(once)


@pytest.mark.statistical
@pytest.mark.parametrize("draws", [2, 4])
def test_few_draws_are_normalised_as_many_are(draws):
    """The mean of draws with the exact ratio for weights; under the truth's prior it is the truth's."""
    one, own, rng = imperfect(8)
    seen = one.known.detector.detect(one.known.simulated.sample(10 * EVENTS, rng), rng)
    values = one.known.detector.draws(seen, own, 400, rng)[:, :, 0]
    exponent = np.square(values[:, :, None] - [own.mean[0], one.known.simulated.mean[0]])
    factors = np.exp(0.5 * (exponent[:, :, 0] - exponent[:, :, 1]) / own.covariance[0, 0])
    many = np.mean(factors / factors.mean(axis=1, keepdims=True) * values)
    few = factors[:, :draws], values[:, :draws]
    error = values.std() / np.sqrt(few[1].size)
    assert abs(np.mean(by_the_others(few[0]) * few[1]) - many) < 5 * error
    by_all = np.mean(few[0] / few[0].mean(axis=1, keepdims=True) * few[1])
    assert by_all > many + 5 * error  # control: by all of them they lose a part of their weight


def test_the_right_prior_stays():
    one = toy(1, EVENTS)
    rng = Stream(4, "right prior").at()
    truth = one.known.true.sample(EVENTS, rng)
    draws = one.known.detector.draws(one.data.detector, one.known.true, DRAWS, rng)
    passes = iterate_prior(
        resampled(draws), one.data.weights, (truth, np.ones(EVENTS)), normal_ratio, passes=3, rng=rng
    )
    assert settled_at([found.change for found in passes[1:]], below=2.0) == 1
    moved = iterate(one, resampled(draws_of(one)), normal_ratio, passes=3)
    assert moved[1].change > 5  # control


def test_changes_settle_and_draws_wear_out():
    one = toy(1, EVENTS)
    passes = iterate(one, resampled(draws_of(one)), normal_ratio, passes=9)
    changes = [found.change for found in passes]
    assert changes[0] == np.inf
    assert 4 <= settled_at(changes) <= 9
    worn = [found.draws for found in passes]
    assert worn[0] == pytest.approx(DRAWS)
    assert DRAWS > worn[1] > worn[2] > worn[-1] > 0.5 * DRAWS
    for found in passes:
        assert found.posterior.weights.sum(axis=1) == pytest.approx(np.ones(EVENTS))


def test_data_weights_count_as_repeated_events():
    one = toy(1, 500)
    times = 1 + np.arange(500) % 3
    draws = draws_of(one)
    simulated = one.simulation.truth, one.simulation.weights

    def mean(posterior, weights):
        rng = Stream(5, "weights").at()
        last = iterate_prior(posterior, weights, simulated, normal_ratio, passes=2, rng=rng)[-1].posterior
        return np.average((last.values[:, :, 0] * last.weights).sum(axis=1), weights=weights)

    weighted = mean(resampled(draws), times.astype(float))
    repeated = mean(resampled(np.repeat(draws, times, axis=0)), np.ones(times.sum()))
    # The same events; only the draws that the ratio is learned from are others.
    assert weighted == pytest.approx(repeated, abs=0.02)
    assert abs(mean(resampled(draws), np.ones(500)) - weighted) > 1e-3


def test_what_does_not_fit_is_refused():
    one = toy(1, 100)
    with pytest.raises(DataError, match="0 passes unfold nothing"):
        iterate(one, resampled(draws_of(one)), normal_ratio, passes=0)
    with pytest.raises(DataError, match="draws of 50 events for 100 of data"):
        iterate(one, resampled(draws_of(one)[:50]), normal_ratio, passes=1)
