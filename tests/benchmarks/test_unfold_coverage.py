"""Coverage of spectra on a known posterior: what is right covers, and what is shifted or too narrow does not."""

import numpy as np
import pytest

from castalia.rng import Stream
from unfold_coverage import BINS, coverage_error, covered, edges_of, goals_of, posterior_variance, repeated
from unfold_stress import SPECTRA, PairEvents

NOISE, EVENTS = 0.7, 5_000
SHRINK = 1 / (1 + NOISE**2)


def population(shift=0.0, draws=20, seed=1):
    """Normal truth, measured with noise; draws are exact where it is not shifted."""
    rng = Stream(seed, "coverage toy").at()
    truth = shift + rng.normal(size=(EVENTS, 1))
    seen = truth + NOISE * rng.normal(size=truth.shape)
    made = SHRINK * seen[:, None] + NOISE * np.sqrt(SHRINK) * rng.normal(size=(EVENTS, draws, 1))
    return PairEvents(truth, seen, made)


def alike(draws):
    """Weights of an event's draws that are all the same."""
    return np.full(draws.shape[:2], 1 / draws.shape[1])


def measured(events, **how):
    return repeated(events, alike(events.draws), 0, EDGES, **how)


EDGES = edges_of(Stream(2, "edges").at().normal(size=100_000))


@pytest.mark.statistical
def test_a_right_posterior_covers():
    found = covered(measured(population(), size=500, sets=100))
    error = coverage_error(found["posterior_share"])
    assert abs(np.mean(found["coverage"]) - 0.6827) < 5 * error < 0.25
    assert np.mean(found["coverage_bootstrap_alone"]) < np.mean(found["coverage"])
    # bias² is what the posterior leaves open, and variance what the bootstrap says: together one.
    assert np.mean(found["variance"]) == pytest.approx(1 - np.mean(found["posterior_share"]), abs=0.1)
    assert np.mean(found["bias2"]) < 5 * np.mean(found["posterior_share"])


@pytest.mark.statistical
def test_another_truth_is_not_covered():
    shifted = covered(measured(population(0.5), size=500, sets=100))
    right = covered(measured(population(), size=500, sets=100))
    assert np.mean(shifted["coverage"]) < 0.5 < np.mean(right["coverage"])
    assert np.mean(shifted["bias2"]) > 3 * np.mean(right["bias2"])


@pytest.mark.statistical
def test_the_posterior_variance_is_that_of_the_truth():
    """Many populations seen alike: their true contents scatter by it."""
    seen = population().detector
    rng = Stream(3, "many truths").at()
    mean, width = SHRINK * seen, NOISE * np.sqrt(SHRINK)
    counts = [np.histogram(mean + width * rng.normal(size=seen.shape), EDGES)[0] for _ in range(400)]
    draws = (mean + width * rng.normal(size=(EVENTS, 20))).reshape(EVENTS, 20)
    expected = posterior_variance(draws, alike(draws), EDGES)
    assert np.var(counts, axis=0, ddof=1) == pytest.approx(expected, rel=5 * np.sqrt(2 / 399))
    # control: what a few draws leave out if they are taken for the posterior itself
    few = posterior_variance(draws[:, :2], alike(draws[:, :2]), EDGES) / 2
    assert not np.allclose(few, expected, rtol=5 * np.sqrt(2 / 399))


@pytest.mark.statistical
def test_weights_of_draws_do_not_change_what_they_leave_open():
    """Draws from a wider distribution, with the weights that make them those of the right one."""
    rng = Stream(5, "weighed draws").at()
    right, wide = rng.normal(size=(EVENTS, 40)), 1.5 * rng.normal(size=(EVENTS, 40))
    shares = np.exp(-0.5 * wide**2 * (1 - 1 / 1.5**2))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = posterior_variance(right, alike(right), EDGES)
    assert posterior_variance(wide, shares, EDGES) == pytest.approx(expected, rel=0.03)
    assert not np.allclose(posterior_variance(wide, alike(wide), EDGES), expected, rtol=0.1)  # control


def test_edges_hold_everything():
    assert len(EDGES) == BINS + 1
    assert EDGES[0] < -30
    assert EDGES[-1] > 30


@pytest.mark.statistical
def test_the_error_of_a_mean_coverage():
    """Sets that share a shift in each bin, and the spread of their mean coverage."""
    shares = np.full(BINS, 0.3)
    rng = Stream(4, "shared shifts").at()
    shift = np.sqrt(0.3) * rng.normal(size=(300, 1, BINS))
    means = (np.abs(shift + np.sqrt(0.7) * rng.normal(size=(300, 400, BINS))) < 1).mean(axis=(1, 2))
    assert coverage_error(shares) == pytest.approx(means.std(), rel=5 / np.sqrt(2 * 300) + 0.05)
    assert coverage_error(np.zeros(BINS)) == pytest.approx(0, abs=1e-12)  # control


def test_goals_need_coverage_and_controls_without():
    def rows(coverage, control, halved):
        right = {"coverage": [coverage] * BINS, "posterior_share": [0.2] * BINS, "coverage_halved": [halved] * BINS}
        return {
            "unshifted": dict.fromkeys(SPECTRA, right),
            "heavier pair": {name: {"coverage": [control] * BINS} for name in SPECTRA},
        }

    def met(*numbers):
        return [goal.value <= goal.goal for goal in goals_of(rows(*numbers), 5.0)]

    assert met(0.66, 0.2, 0.38) == [True] * 5
    assert met(0.60, 0.6, 0.6) == [False] * 5
