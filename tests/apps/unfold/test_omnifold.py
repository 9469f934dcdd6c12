import dataclasses

import numpy as np
import pytest
from unfolding_toys import layout, simulation_with_losses, toy, with_losses, worst_pull

from castalia.apps.unfold.background import signed_union
from castalia.apps.unfold.events import MeasuredEvents, bootstrapped, measured_events, simulated_events
from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold
from castalia.metrics.arrays import effective_events
from castalia.rng import Stream

EVENTS = 10_000
BUDGET = 0.02
"""Bias allowed to the classifiers, in units of the true standard deviation, beside five standard errors."""


@pytest.fixture(scope="module", params=[1, 2])
def unfolded(request):
    one = toy(request.param, EVENTS)
    return one, omnifold(one.simulation, one.data, one.layout, OmniFoldConfig(iterations=3), seed=1)


@pytest.mark.statistical
def test_every_iteration_is_the_exact_one(unfolded):
    one, result = unfolded
    truth = one.simulation.truth
    weights = [np.ones(EVENTS), *(function(truth) for function in result.functions)]
    pull = [worst_pull(one.known, one.known.unfolded(k), truth, weights[k], EVENTS, BUDGET) for k in range(4)]
    assert max(pull) < 5
    # controls: the answer of a pass before or after is another one, and in the end so is the simulation
    assert worst_pull(one.known, one.known.unfolded(1), truth, weights[0], EVENTS, BUDGET) > 5
    assert worst_pull(one.known, one.known.unfolded(3), truth, weights[1], EVENTS, BUDGET) > 5


def test_sums_of_weights_are_conserved(unfolded):
    one, result = unfolded
    for function in result.functions:
        assert function(one.simulation.truth).sum() == pytest.approx(one.data.weights.sum(), rel=1e-6)


def test_what_is_reported_is_what_happened(unfolded):
    one, result = unfolded
    weights = result.weights(one.simulation.truth)
    assert result.effective[-1] == pytest.approx(effective_events(weights))
    assert 0.5 * EVENTS < result.effective[-1] < EVENTS
    assert result.at_bound[-1] < 0.01
    assert result.divergence.shape == result.divergence_error.shape == (3, 1)
    assert result.divergence[0, 0] > 5 * result.divergence_error[0, 0]  # simulation and data differ …
    assert result.divergence[2, 0] < 0.2 * result.divergence[0, 0]  # … until they are alike
    assert result.changes[0] > 5 * result.changes[2]


@pytest.mark.statistical
def test_data_like_the_simulation_leave_it_alone():
    """Which events are data and which simulation is as good as shuffled: all weights are one within their errors."""
    one = toy(1, EVENTS)
    rng = Stream(5, "shuffled labels").at()
    pool = one.known.simulated.sample(2 * EVENTS, rng)
    seen = one.known.detector.detect(pool, rng)
    order = rng.permutation(2 * EVENTS)
    data, rest = measured_events(seen[order[:EVENTS]]), order[EVENTS:]
    result = omnifold(simulated_events(pool[rest], seen[rest]), data, one.layout, OmniFoldConfig(iterations=2), seed=1)
    same = dataclasses.replace(one.known, true=one.known.simulated)
    assert worst_pull(same, same.true, pool[rest], result.weights(pool[rest]), EVENTS) < 5
    assert np.std(result.weights(pool[rest])) < 0.1
    # control: data that are not like it
    moved = measured_events(data.detector + 0.2)
    other = omnifold(simulated_events(pool[rest], seen[rest]), moved, one.layout, OmniFoldConfig(iterations=2), seed=1)
    assert worst_pull(same, same.true, pool[rest], other.weights(pool[rest]), EVENTS) > 5


@pytest.mark.statistical
def test_a_detector_that_sees_nothing_moves_nothing():
    """Detector levels shuffled among the simulated events: however the data look, they say nothing of the truth."""
    one = toy(1, EVENTS)
    blind = one.simulation.detector[Stream(6, "shuffled detector").at().permutation(EVENTS)]
    simulation = simulated_events(one.simulation.truth, blind)
    result = omnifold(simulation, one.data, one.layout, OmniFoldConfig(iterations=1), seed=1)
    weights = result.weights(one.simulation.truth)
    known = dataclasses.replace(one.known, true=one.known.simulated)
    assert worst_pull(known, known.true, one.simulation.truth, weights, EVENTS) < 5
    assert weights.sum() == pytest.approx(EVENTS, rel=1e-6)


@pytest.fixture(scope="module")
def losses():
    true, measured, passed, fakes = with_losses(EVENTS, 0.3, 2)
    return simulation_with_losses(EVENTS, 1), true, measured_events(np.concatenate([measured[passed], fakes])), fakes


@pytest.mark.statistical
def test_missed_events_and_fakes_are_recovered(losses):
    simulation, true, data, fakes = losses
    real = simulation.fiducial
    config = OmniFoldConfig(iterations=2)
    result = omnifold(simulation, data, layout(1), config, seed=1)

    def pulls(events, weights):
        """Of the number and the mean of all true events; the detector is sharp, so that two passes leave no bias."""
        relative = np.sqrt(4 / len(data.weights))  # of data and simulation, doubled for what is missed
        total = (weights.sum() / len(true) - 1) / relative
        return np.abs([total, (np.average(events[:, 0], weights=weights) - true.mean()) / relative / true.std()]).max()

    truth = simulation.truth[real]
    assert pulls(truth, result.weights(truth)) < 5
    matched = simulation.truth[simulation.matched]
    genuine = len(data.weights) - len(fakes)
    assert result.weights(matched).sum() == pytest.approx(genuine, abs=5 * np.sqrt(genuine))
    # controls: the loss not corrected, and the fakes taken for events
    assert pulls(matched, result.weights(matched)) > 5
    naive = simulated_events(truth, simulation.detector[real], selected=simulation.selected[real])
    assert pulls(truth, omnifold(naive, data, layout(1), config, seed=1).weights(truth)) > 5


@pytest.mark.statistical
def test_background_is_subtracted_by_negative_weights():
    one, rng = toy(1, EVENTS), Stream(7, "background").at()
    background = measured_events(rng.uniform(-4, 4, EVENTS), np.full(EVENTS, 0.2))
    hidden = rng.uniform(-4, 4, (EVENTS // 5, 1))
    data = measured_events(np.concatenate([one.data.detector, hidden]))
    config, truth = OmniFoldConfig(iterations=1), one.simulation.truth
    signed = signed_union(data, background)
    assert np.mean(signed.weights < 0) > 0.2
    result = omnifold(one.simulation, signed, one.layout, config, seed=1)
    expected = one.known.unfolded(1)
    assert worst_pull(one.known, expected, truth, result.weights(truth), EVENTS, 2 * BUDGET) < 5
    naive = omnifold(one.simulation, data, one.layout, config, seed=1)
    assert worst_pull(one.known, expected, truth, naive.weights(truth), EVENTS, 2 * BUDGET) > 5


@pytest.mark.statistical
def test_simulated_weights_of_both_signs_are_averaged():
    """A simulation with too many events of high truth, and others of negative weight, which take them off again."""
    one, rng = toy(1, EVENTS), Stream(10, "signs").at()

    def high():
        truth = one.known.simulated.sample(EVENTS, rng)
        return truth[rng.random(EVENTS) < 1 / (1 + np.exp(-3 * truth[:, 0]))]

    parts = [one.simulation.truth, high(), high()]
    signs, truth = np.repeat([1.0, 1.0, -1.0], [len(part) for part in parts]), np.concatenate(parts)
    seen = one.known.detector.detect(truth, rng)
    expected, checked = one.known.unfolded(1), one.simulation.truth

    def worst(weights):
        simulation = simulated_events(truth, seen, weights)
        found = omnifold(simulation, one.data, one.layout, OmniFoldConfig(iterations=1), seed=1).weights(checked)
        return worst_pull(one.known, expected, checked, found, EVENTS, BUDGET)

    assert np.mean(signs < 0) > 0.15
    assert worst(signs) < 5
    assert worst(np.abs(signs)) > 5  # control


@pytest.mark.statistical
def test_event_weights_count_as_events():
    one, rng = toy(1, EVENTS), Stream(8, "weights").at()
    thin = rng.random(EVENTS) < 1 / (1 + np.exp(1.5 * one.simulation.truth[:, 0]))  # kept with a known probability
    weights = 1 + np.exp(1.5 * one.simulation.truth[thin, 0])
    simulation = simulated_events(one.simulation.truth[thin], one.simulation.detector[thin], weights)
    config = OmniFoldConfig(iterations=1)
    expected, events = one.known.unfolded(1), effective_events(weights)
    found = weights * omnifold(simulation, one.data, one.layout, config, seed=1).weights(simulation.truth)
    assert worst_pull(one.known, expected, simulation.truth, found, events, BUDGET) < 5
    assert found.sum() == pytest.approx(EVENTS, rel=1e-6)
    ignored = simulated_events(simulation.truth, simulation.detector)
    other = omnifold(ignored, one.data, one.layout, config, seed=1).weights(simulation.truth)
    assert worst_pull(one.known, expected, simulation.truth, other, events, BUDGET) > 5


def test_members_are_runs_of_their_own_and_runs_are_reproducible():
    one = toy(1, 2_000)
    truth = one.simulation.truth
    config = OmniFoldConfig(iterations=1, members=2)
    first, again = (omnifold(one.simulation, one.data, one.layout, config, seed=1) for _ in range(2))
    members = first.weights.by_member(truth)
    assert np.array_equal(members, again.weights.by_member(truth))
    assert not np.array_equal(members[0], members[1])
    assert first.weights(truth) == pytest.approx(members.mean(axis=0))
    repeated = MeasuredEvents(one.data.detector, bootstrapped(one.data, Stream(9, "again").at()).weights)
    other = omnifold(one.simulation, repeated, one.layout, config, seed=1)
    assert other.weights(truth).sum() == pytest.approx(repeated.weights.sum(), rel=1e-6)
