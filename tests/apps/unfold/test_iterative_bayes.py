import numpy as np
import pytest
from scipy.stats import norm
from unfolding_toys import simulation_with_losses, toy, with_losses, worst_pull

from castalia.apps.unfold.binning import binning
from castalia.apps.unfold.events import MeasuredEvents, bootstrapped, measured_events, simulated_events
from castalia.apps.unfold.iterative_bayes import iterative_bayes
from castalia.apps.unfold.settling import settled_at
from castalia.errors import DataError
from castalia.rng import Stream

EVENTS = 40_000
FINE = {
    1: (binning(np.linspace(-4, 4, 41)), binning(np.linspace(-5, 5, 51))),
    2: (binning(*[np.linspace(-4, 4, 21)] * 2), binning(*[np.linspace(-5, 5, 26)] * 2)),
}
COARSE = (binning(np.linspace(-2, 2, 7)), binning(np.linspace(-3, 3, 13)))


def unfold(one, bins, iterations=4, replicas=0, seed=1, **others):
    rng = Stream(seed, "iterative bayes test").at()
    return iterative_bayes(one.simulation, one.data, *bins, iterations=iterations, replicas=replicas, rng=rng, **others)


@pytest.mark.statistical
@pytest.mark.parametrize("columns", [1, 2])
def test_every_iteration_is_the_exact_one(columns):
    one, iterations = toy(columns, EVENTS), 6
    result, truth = unfold(one, FINE[columns], iterations), one.simulation.truth
    # Within a bin, a twentieth or more of the standard deviation wide, the spectrum stays that of the simulation.
    pull = [
        worst_pull(one.known, one.known.unfolded(k), truth, result.weights(k, truth), EVENTS, smallest=0.005)
        for k in range(iterations + 1)
    ]
    assert max(pull) < 5
    # controls: the answer of a pass before or after is another one, and so is the truth in the beginning
    off = [
        worst_pull(one.known, one.known.unfolded(k + 1), truth, result.weights(k, truth), EVENTS, smallest=0.005)
        for k in range(2)
    ]
    assert min(off) > 5
    assert result.contents.sum(axis=1) == pytest.approx(len(one.data.weights), rel=2e-3)


@pytest.mark.statistical
def test_refolding_tells_a_wrong_response_from_a_right_one():
    one = toy(1, EVENTS)
    result = unfold(one, COARSE, iterations=8)
    bins = COARSE[1].bins
    assert result.chi2[0] > 5  # the simulation itself is not the data
    assert result.chi2[8] < 1 + 5 * np.sqrt(2 / bins)
    rng = Stream(2, "wrong response").at()
    # A detector that smears more than the data are wide: no truth at all looks like these data.
    blurred = one.simulation.truth + rng.normal(0, 1.5, one.simulation.truth.shape)
    wrong = iterative_bayes(
        simulated_events(one.simulation.truth, blurred), one.data, *COARSE, iterations=8, replicas=0, rng=rng
    )
    assert wrong.chi2.min() > 1 + 5 * np.sqrt(2 / bins)


@pytest.mark.statistical
def test_bootstrap_errors_are_the_scatter_of_experiments():
    iterations, experiments, events = 4, 150, 2_000
    contents, claimed = [], []
    for seed in range(experiments):
        result = unfold(toy(1, events, seed + 1), COARSE, iterations, replicas=20, seed=seed)
        contents.append(result.contents[iterations])
        claimed.append(np.diag(result.covariance(iterations)))
    variance, mean = np.var(contents, axis=0, ddof=1), np.mean(claimed, axis=0)
    ratio, error = mean / variance, np.sqrt(2 / experiments)
    # A replica fluctuates about a sample that is itself noisier than the truth: a few per cent more, no less.
    assert np.all(np.abs(ratio - 1) < 5 * error * ratio)
    poisson = np.mean(contents, axis=0) / variance
    assert np.any(np.abs(poisson - 1) > 5 * error)  # control: unfolded contents taken for counts


@pytest.mark.statistical
def test_where_the_changes_settle_the_truth_is_reached():
    one = toy(1, EVENTS)
    bins = (binning(np.linspace(-4, 4, 25)), binning(np.linspace(-5, 5, 31)))
    result = unfold(one, bins, iterations=10, replicas=40)
    assert np.all(np.diff(result.changes) < 0)
    edges, width = bins[0].edges[0], np.sqrt(one.known.true.covariance[0, 0])
    expected = EVENTS * np.diff(norm.cdf(edges, one.known.true.mean[0], width))
    many = expected > 100

    def chi2(iterations):
        variance = np.diag(result.covariance(iterations))
        return np.mean(np.square(result.contents[iterations] - expected)[many] / variance[many])

    settled = settled_at(result.changes)
    assert chi2(settled) < 1 + 5 * np.sqrt(2 / many.sum())
    assert chi2(1) > 1 + 5 * np.sqrt(2 / many.sum())  # control: one pass
    assert np.isnan(unfold(one, COARSE).changes).all()


@pytest.mark.statistical
def test_losses_fakes_and_background_are_corrected():
    simulation = simulation_with_losses(EVENTS, 1)
    true, measured, passed, wrong = with_losses(EVENTS, 0.3, 2)
    rng = Stream(3, "background").at()
    background = measured_events(rng.uniform(-3, 3, 20_000), np.full(20_000, 0.3))
    data = measured_events(np.concatenate([measured[passed], wrong, rng.uniform(-3, 3, 6_000)]))
    bins = (binning(np.linspace(-2, 2, 9)), binning(np.linspace(-3, 3, 25)))
    expected = np.histogram(true, bins[0].edges[0])[0]

    def worst(simulated, observed, **others):
        result = iterative_bayes(simulated, observed, *bins, iterations=6, replicas=20, rng=rng, **others)
        return np.max(np.abs(result.contents[6] - expected) / np.sqrt(np.diag(result.covariance(6)) + expected))

    assert worst(simulation, data, background=background) < 5
    # controls: each of the three left out
    assert worst(simulation, data) > 5
    real = simulation.fiducial
    without_fakes = simulated_events(
        simulation.truth[real], simulation.detector[real], selected=simulation.selected[real]
    )
    assert worst(without_fakes, data, background=background) > 5
    both = simulation.selected
    all_found = simulated_events(simulation.truth[both], simulation.detector[both], fiducial=real[both])
    assert worst(all_found, data, background=background) > 5


def test_weights_count_like_repeated_events():
    one = toy(1, 3_000)
    times = np.arange(3_000) % 3
    double = MeasuredEvents(np.repeat(one.data.detector, times, axis=0), np.ones(times.sum()))
    weighted = MeasuredEvents(one.data.detector, times.astype(float))
    results = [
        iterative_bayes(one.simulation, data, *COARSE, iterations=3, replicas=0, rng=Stream(1, "none").at())
        for data in (double, weighted)
    ]
    assert results[0].contents == pytest.approx(results[1].contents)
    assert bootstrapped(weighted, Stream(1, "none").at()).weights.max() > 2


def test_a_fifth_of_negative_weights_is_taken_where_the_bins_stay_positive():
    one, rng = toy(1, EVENTS), Stream(4, "signs").at()
    sign = np.where(rng.random(EVENTS) < 0.2, -1.0, 1.0)
    signed = simulated_events(one.simulation.truth, one.simulation.detector, sign)
    result = iterative_bayes(signed, one.data, *COARSE, iterations=2, replicas=0, rng=rng)
    plain = unfold(one, COARSE, iterations=2)
    assert result.contents[2] == pytest.approx(plain.contents[2], rel=0.1)
    with pytest.raises(DataError, match="bins of the data histogram have negative sums"):
        iterative_bayes(
            one.simulation, measured_events(one.data.detector, sign * -1), *COARSE, iterations=1, replicas=0, rng=rng
        )


def test_what_cannot_be_unfolded_is_refused():
    one = toy(1, 2_000)
    wide = (COARSE[0], binning(np.linspace(-9, 9, 13)))
    with pytest.raises(DataError, match="2000 are expected from background"):
        unfold(one, wide, background=one.data)
    blind = simulated_events(one.simulation.truth, one.simulation.detector, selected=one.simulation.truth[:, 0] > 0)
    with pytest.raises(DataError, match=r"3 truth bins \(first bin 0\)"):
        iterative_bayes(blind, one.data, *COARSE, iterations=1, replicas=0, rng=Stream(1, "none").at())
    with pytest.raises(DataError, match="6 detector bins cannot tell 12 truth bins apart"):
        iterative_bayes(one.simulation, one.data, *COARSE[::-1], iterations=1, replicas=0, rng=Stream(1, "none").at())
