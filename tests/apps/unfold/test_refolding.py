import numpy as np
import pytest
from unfolding_toys import simulation_with_losses, toy, with_losses

from castalia.apps.unfold.events import measured_events, simulated_events
from castalia.apps.unfold.refolding import nearest_factors, refold, refolding_test
from castalia.errors import DataError
from castalia.rng import Stream

EVENTS = 20_000
LEVEL = 1e-6  # five standard deviations


def truth_of(one, seed=2):
    return one.known.true.sample(EVENTS, Stream(seed, "refolded truth").at())


def with_response(one, scale):
    """The same simulation, but with noise of another size."""
    noise = one.simulation.detector - one.simulation.truth @ one.known.detector.response.T
    return simulated_events(one.simulation.truth, one.simulation.detector + (scale - 1) * noise)


@pytest.mark.statistical
@pytest.mark.parametrize("columns", [1, 2])
def test_the_truth_refolds_to_the_data_by_the_right_response_only(columns):
    one = toy(columns, EVENTS)
    factors = nearest_factors(truth_of(one), None, one.simulation)
    right = refolding_test(refold(one.simulation, factors), one.data)
    assert right.p_value > LEVEL
    assert right.rate == pytest.approx(1.0, rel=1e-9)
    assert right.freedom.tolist() == [19] * columns
    # controls: a noise 30 % too large, and the simulation's own truth
    assert refolding_test(refold(with_response(one, 1.3), factors), one.data).p_value < LEVEL
    assert refolding_test(refold(one.simulation, np.ones(EVENTS)), one.data).p_value < LEVEL


@pytest.mark.statistical
def test_p_values_are_fair_for_independent_truth():
    found, control = [], []
    for seed in range(40):
        one, dense = toy(2, 1_000, seed + 10), toy(2, 10_000, seed + 100)
        truth = one.known.true.sample(10_000, Stream(seed, "fair").at())
        factors = nearest_factors(truth, np.full(10_000, 0.1), dense.simulation)
        refolded = refold(dense.simulation, factors)
        found.append(refolding_test(refolded, one.data, bins=10).p_values)
        twice = measured_events(np.repeat(one.data.detector, 2, axis=0))  # errors smaller than they are
        control.append(refolding_test(refolded, twice, bins=10).p_values)
    error = np.sqrt(1 / 12 / np.size(found))
    assert abs(np.mean(found) - 0.5) < 5 * error
    assert abs(np.mean(control) - 0.5) > 5 * error


@pytest.mark.statistical
def test_the_efficiency_comes_with_the_neighbours():
    simulation, (true, measured, passed, fakes) = simulation_with_losses(EVENTS, 1), with_losses(EVENTS, 0.3, 2)
    data = measured_events(measured[passed])
    factors = nearest_factors(true, None, simulation)
    found = refolding_test(refold(simulation, factors), data)
    assert found.p_value > LEVEL
    assert abs(found.rate - 1) < 5 * np.sqrt(2 / len(data.weights))
    assert factors[~simulation.fiducial].tolist() == [0.0] * int((~simulation.fiducial).sum())
    # control: with the fakes among the data, neither rate nor shape fit
    contaminated = measured_events(np.concatenate([measured[passed], fakes]))
    wrong = refolding_test(refold(simulation, factors), contaminated)
    assert abs(wrong.rate - 1) > 5 * np.sqrt(2 / len(data.weights))


def test_factors_carry_the_weights_over():
    one = toy(1, 2_000)
    truth, weights = truth_of(one)[:500], np.linspace(0, 2, 500)
    base = np.linspace(0.5, 1.5, 2_000)
    simulation = simulated_events(one.simulation.truth, one.simulation.detector, base)
    factors = nearest_factors(truth, weights, simulation)
    assert base @ factors == pytest.approx(weights.sum())
    assert np.average(one.simulation.truth[:, 0], weights=base * factors) == pytest.approx(
        np.average(truth[:, 0], weights=weights), abs=0.01
    )


def test_what_does_not_fit_is_refused():
    one, two = toy(1, 100), toy(2, 100)
    with pytest.raises(DataError, match="2 unfolded and 1 simulated truth columns"):
        nearest_factors(two.simulation.truth, None, one.simulation)
    with pytest.raises(DataError, match="1 refolded and 2 measured observables"):
        refolding_test(one.data, two.data)
    with pytest.raises(DataError, match="100 rows but 99 weights"):
        refold(one.simulation, np.ones(99))
