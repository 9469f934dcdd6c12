"""What a result is held against, where the truth of the data is known."""

import dataclasses

import numpy as np
import pytest
from known_problems import EDGES, NO_EVENTS, weak

from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.events import MeasuredEvents, simulated_events
from castalia.apps.unfold.measurement.observed import DataTruth, Observed
from castalia.apps.unfold.measurement.problem import Problem
from castalia.apps.unfold.measurement.repeated import Origin, RepeatSettings, repeated
from castalia.apps.unfold.measurement.verdicts import measured
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.metrics.chi_squared import chi_squared
from castalia.rng import Stream

REPLICAS = 20


def test_the_truth_of_data_is_bootstrapped_with_them():
    """An event that counts twice in a replica of the data does so in the truth beside it."""
    place, data = np.array([0, -1, 2, 3, -1]), MeasuredEvents(np.zeros((4, 1)), np.ones(4))
    truth = DataTruth(np.zeros((5, 1)), np.array([1.0, 1.0, 2.0, 1.0, 1.0]), place)
    problem, _ = weak(10)
    counts = []
    for number in range(400):
        settings = RepeatSettings(1, 2, RatioConfig(), 1)
        again = truth.bootstrapped(4, settings.bootstrap("data", number))
        numbers = dataclasses.replace(problem, data=data).other_data(settings.bootstrap("data", number)).data.weights
        np.testing.assert_array_equal(again[place >= 0], (truth.weights * numbers[place])[place >= 0])
        counts.append(again[place < 0])
    assert abs(np.mean(counts) - 1) < 5 / np.sqrt(800)  # missed events count as often, on their own
    assert abs(np.corrcoef(np.array(counts).T)[0, 1]) < 5 / np.sqrt(400)


def sharp(seed):
    """A measurement by a sharp detector that misses nothing, as it is observed."""
    rng = Stream(seed, "a sharp detector").at()
    truths = rng.normal(size=4_000), rng.normal(size=1_000)
    seen = [truth + rng.normal(0, 0.1, len(truth)) for truth in truths]
    data = MeasuredEvents(seen[1][:, None], np.ones(1_000))
    drawn = np.empty((1_000, 0, 1)), np.empty((0, 1)), np.empty(0)
    simulation = simulated_events(truths[0], seen[0])
    problem = Problem((TruthColumn("z"),), (EDGES,), simulation, data, NO_EVENTS, NO_EVENTS, *drawn)
    truth = DataTruth(truths[1][:, None], np.ones(1_000), np.arange(1_000))
    return Observed(problem, {}, (), ("z",), simulation.detector, data.detector, truth)


@pytest.mark.statistical
def test_the_truth_fluctuates_with_the_result():
    """A result that follows the truth of the same events is as far from it as their difference scatters."""
    fair, whole = [], []
    for seed in range(50):
        observed, settings = sharp(seed), RepeatSettings(2, REPLICAS, RatioConfig(), seed)
        result = repeated("iterative_bayes", observed.problem, {}, (), settings, origin=Origin({}, "", {}), tick=int)
        found = measured(observed, result, 0, settings)
        fair.append(found.against_truth.p_value)
        contents, covariance = found.spectrum.contents, found.covariances["total"]
        whole.append(chi_squared(contents, found.truth, covariance, replicas=REPLICAS).p_value)
    assert abs(np.mean(fair) - 0.5) < 5 / np.sqrt(12 * 50)
    assert np.mean(whole) - 0.5 > 5 / np.sqrt(12 * 50)  # control: as if the truth were exact
