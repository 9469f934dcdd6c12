"""Prior bias on a known measurement: every arm removes it, and what a summary says of it follows from the distances."""

import numpy as np
import pytest

from castalia.apps.unfold.events import simulated_events
from castalia.rng import Stream
from record import is_met
from unfold_prior_bias import ARMS, PASSES, Simulation, counts_of, even_bins, experiment, goals_of, summary
from unfold_stress import STRESSES, PairEvents

NOISE, SHIFT, EVENTS, DRAWS = 0.7, 1.0, 2_000, 20


def measured(events, shift, seed):
    """Six independent normal truths, the first of them shifted, with noise; draws are exact under no shift."""
    rng = Stream(seed, "prior bias toy").at()
    truth = rng.normal(size=(events, 6))
    truth[:, 0] += shift
    seen = truth + NOISE * rng.normal(size=truth.shape)
    shrink = 1 / (1 + NOISE**2)
    draws = shrink * seen[:, None] + NOISE * np.sqrt(shrink) * rng.normal(size=(events, DRAWS, 6))
    return PairEvents(truth, np.column_stack([seen, rng.normal(size=events)]), draws)


@pytest.fixture(scope="module")
def simulation():
    one = measured(2 * EVENTS, 0.0, 1)
    return Simulation(simulated_events(one.truth, one.detector), PairEvents(one.truth, one.detector, one.draws[:, :4]))


@pytest.mark.statistical
def test_every_arm_removes_a_known_bias(simulation):
    shifted, right = (experiment(simulation, measured(EVENTS, shift, 2), 0) for shift in (SHIFT, 0.0))
    # Of the difference of two means of as many events, of width sqrt(1 + noise²), with a budget for the classifier.
    error = np.sqrt((1 + NOISE**2) * 1.5 / EVENTS)
    left = SHIFT * NOISE**2 / (1 + NOISE**2)  # of one pass, exactly
    for arm in ARMS:
        first, last = (shifted[arm]["distances"][k][0] for k in (0, PASSES - 1))
        if arm != "OmniFold":  # whose classifiers go on learning from pass to pass, of so few events
            assert abs(first - left) < 5 * error + 0.02
        assert last < 5 * error + 0.02 < first
        assert right[arm]["distances"][0][0] < 5 * error + 0.02  # control: no shift, no bias


def test_replicas_are_bootstrap_samples():
    assert counts_of(100, 0).tolist() == [1] * 100
    one, other = counts_of(10_000, 1), counts_of(10_000, 2)
    assert one.mean() == pytest.approx(1, abs=0.05)
    assert one.var() == pytest.approx(1, abs=5 * np.sqrt(3 / 10_000))
    assert np.array_equal(one, counts_of(10_000, 1))
    assert not np.array_equal(one, other)


def rows(size):
    """Experiments whose arm has the same distance in all spectra, pass by pass, with a scatter between replicas."""
    return [{"prior": [0.3] * 3, "arm": {"distances": [[one + 0.001 * r] * 3 for one in size]}} for r in range(3)]


def fall(first, last):
    return np.linspace(first, last, PASSES)


def test_what_is_left_is_beyond_the_floor():
    names = {**dict.fromkeys(STRESSES, fall(0.21, 0.03)), "A14 tune": fall(0.05, 0.05)}
    found = summary({"unshifted": rows(fall(0.01, 0.01)), **{name: rows(one) for name, one in names.items()}}, "arm")
    assert found["softer top"]["left"] == pytest.approx(0.1)
    assert found["softer top"]["excess"][0] == pytest.approx(0.2)
    assert found["A14 tune"]["left"] == pytest.approx(1)
    assert found["unshifted"]["size"] == pytest.approx([0.01] * PASSES)


def test_goals_are_missed_by_what_does_not_iterate():
    def left(last, first=0.2):
        names = dict.fromkeys(STRESSES, rows(fall(first, last)))
        noisy = [*rows(fall(0.01, 0.01))[:2], {**rows(fall(0, 0))[0], "arm": {"distances": [[0.014] * 3] * PASSES}}]
        goals = goals_of(summary({"unshifted": noisy, **names}, "arm"))
        return [is_met(goal.value, goal.op, goal.goal) for goal in goals]

    assert all(left(0.03))
    assert left(0.2) == [False, True] * len(STRESSES) + [True]
    assert left(0.011, first=0.0105) == [False, False] * len(STRESSES) + [False]  # nothing to remove


def test_bins_are_filled_alike_and_hold_everything():
    values = Stream(4, "bins").at().exponential(size=1_000)
    bins = even_bins(values, 10)
    counts = np.bincount(bins.place(values[:, None]), minlength=10)
    assert bins.bins == 10
    assert counts.tolist() == [100] * 10
    assert bins.place(np.array([[-1e9], [1e9]])).tolist() == [0, 9]
