import numpy as np
import pytest
from unfolding_toys import toy

from castalia.apps.unfold.density_ratio import RatioConfig, fit_ratio
from castalia.data.layout import Variable
from castalia.rng import Stream
from castalia.training.config import TrainingConfig

EVENTS = 20_000


@pytest.fixture(scope="module")
def fitted():
    one = toy(1, EVENTS)
    samples = (one.data.detector, one.data.weights), (one.simulation.detector, 0.5 * one.simulation.weights)
    return one, samples, fit_ratio(*samples, one.layout.condition, RatioConfig(), seed=1)


def exact(one, x):
    """Log-ratio of the normal densities of data and simulation at detector level."""
    data, simulation = (one.known.detector.detected(n) for n in (one.known.true, one.known.simulated))

    def log_density(normal):
        variance = normal.covariance[0, 0]
        return -0.5 * ((x[:, 0] - normal.mean[0]) ** 2 / variance + np.log(variance))

    return log_density(data) - log_density(simulation)


@pytest.mark.statistical
def test_the_ratio_is_that_of_the_densities(fitted):
    one, _, found = fitted
    x = one.simulation.detector
    error = np.log(found.ratio(x) / 2.0) - exact(one, x)
    # A smooth ratio with about five effective parameters, from 16,000 events of each kind.
    assert np.sqrt(np.mean(error**2)) < 5 * np.sqrt(2 * 5 / 16_000)
    assert np.std(exact(one, x)) > 5 * np.sqrt(2 * 5 / 16_000)  # control: a ratio of one
    held_out = np.mean(np.log(2.0) - np.logaddexp(0.0, -exact(one, one.data.detector)))
    other = np.mean(np.log(2.0) - np.logaddexp(0.0, exact(one, x)))
    assert found.divergence == pytest.approx(0.5 * (held_out + other), abs=5 * found.divergence_error)
    assert found.divergence > 5 * found.divergence_error


def test_its_normalisation_can_be_set(fitted):
    _, samples, found = fitted
    scaled = found.ratio.scaled(*samples[1], 12_345.0)
    assert samples[1][1] @ scaled(samples[1][0]) == pytest.approx(12_345.0, rel=1e-12)


@pytest.mark.statistical
def test_shuffled_labels_teach_nothing(fitted):
    one, samples, found = fitted
    features = np.concatenate([samples[0][0], samples[1][0]])
    shuffled = features[Stream(2, "labels").at().permutation(2 * EVENTS)]
    ones = np.ones(EVENTS)
    blind = fit_ratio((shuffled[:EVENTS], ones), (shuffled[EVENTS:], ones), one.layout.condition, RatioConfig(), seed=1)
    assert abs(blind.divergence) < 5 * found.divergence_error
    assert np.std(np.log(blind.ratio(features))) < 5 * np.sqrt(2 * 5 / 16_000)


def test_a_bound_holds(fitted):
    one, samples, _ = fitted
    bounded = fit_ratio(*samples, one.layout.condition, RatioConfig(largest=1.2), seed=1).ratio
    values = bounded(one.simulation.detector) / bounded.scale
    assert values.max() == pytest.approx(1.2)
    assert values.min() == pytest.approx(1 / 1.2)
    assert bounded.at_bound(one.simulation.detector) == pytest.approx(np.mean(values > 1.2 - 1e-9))


def test_a_warm_start_goes_on_from_what_was_learned(fitted):
    one, samples, found = fitted
    short = RatioConfig(
        training=TrainingConfig(epochs=1, batch_size=8192, learning_rate=1e-5, final_learning_rate=1e-6)
    )
    cold = fit_ratio(*samples, one.layout.condition, short, seed=1)
    warm = fit_ratio(*samples, one.layout.condition, short, seed=1, start=found.ratio)
    assert warm.divergence == pytest.approx(found.divergence, abs=found.divergence_error / 5)
    assert cold.divergence < found.divergence / 2


def test_it_is_reproducible_and_depends_on_the_seed(fitted):
    one, samples, found = fitted
    x = one.simulation.detector[:50]
    again, other = (fit_ratio(*samples, one.layout.condition, RatioConfig(), seed=s).ratio for s in (1, 2))
    assert np.array_equal(again(x), found.ratio(x))
    assert not np.array_equal(other(x), found.ratio(x))


@pytest.mark.statistical
def test_weights_of_both_signs_teach_the_ratio_of_what_is_left(fitted):
    """Twice as many events as the data, all of them subtracted again, at random."""
    one, samples, _ = fitted
    x, rng = one.simulation.detector, Stream(3, "signs").at()
    both = np.concatenate([samples[0][0], x[rng.integers(EVENTS, size=(2, EVENTS))].reshape(-1, 1)])
    signs = np.repeat([1.0, 1.0, -1.0], EVENTS)

    def off(weights):
        found = fit_ratio((both, weights), samples[1], one.layout.condition, RatioConfig(), seed=1).ratio
        error = np.log(found(x) / (weights.sum() / samples[1][1].sum())) - exact(one, x)
        return np.sqrt(np.mean(error**2))

    # Three times the variance, and a budget for steps of trees where what is left is a part of what there is.
    allowed = np.hypot(5 * np.sqrt(2 * 5 * 3 / 16_000), 0.15)
    assert off(signs) < allowed
    assert off(np.abs(signs)) > allowed  # control: nothing subtracted


@pytest.mark.statistical
def test_an_excess_close_to_a_threshold_is_seen():
    """Thirty per cent more in the lowest tenth of masses, within a tenth of their width from their lower end."""
    events, excess = 20_000, 0.3
    rng = Stream(3, "threshold").at()
    masses = rng.exponential(1.0, (3, events))
    low = -np.log(0.9)
    more = np.where(masses[0] < low, 1.0 + excess, 1.0)
    samples = (masses[0][:, None], more), (masses[1][:, None], np.ones(events))
    ratio = fit_ratio(*samples, (Variable("mass", "GeV"),), RatioConfig(), seed=1).ratio
    found = np.log(ratio(masses[2][:, None]))
    assert np.mean(found[masses[2] < low]) - np.mean(found[masses[2] > low]) > 0.5 * np.log(1.0 + excess)


@pytest.mark.statistical
def test_counts_that_no_training_event_had_change_no_ratio():
    """A count says nothing of the ratio; one in twenty thousand events has the highest."""
    rng = Stream(4, "counts").at()
    events = 20_000

    def of(mean):
        counts = rng.choice([0.0, 1.0, 2.0, 3.0], p=[0.3, 0.3, 0.39995, 0.00005], size=events)
        return np.column_stack([rng.normal(mean, 1.0, events), counts]), np.ones(events)

    ratio = fit_ratio(of(0.3), of(0.0), (Variable("z"), Variable("counts")), RatioConfig(), seed=1).ratio
    z = np.linspace(-1.0, 1.0, 5)
    found = np.log(ratio(np.column_stack([z, np.full(5, 3.0)])))
    assert np.abs(found - (0.3 * z - 0.045)).max() < 0.5


@pytest.mark.statistical
def test_rows_of_an_event_are_held_out_together():
    """Rows that come four times, and nothing to learn: held out one by one they would be learned by heart."""
    rng, variables = Stream(5, "copies").at(), tuple(Variable(f"z{i}") for i in range(6))
    spread = {1: 0.0, 4: 0.0}
    for seed in (1, 2, 3):
        one, other = np.repeat(rng.normal(size=(2, 3_000, 6)), 4, axis=1)
        for each in spread:
            samples = ((values, np.ones(len(values))) for values in (one, other))
            ratio = fit_ratio(*samples, variables, RatioConfig(), seed=seed, each=each).ratio
            spread[each] += np.std(np.log(ratio(rng.normal(size=(4_000, 6)))))
    assert spread[4] < 0.8 * spread[1]
