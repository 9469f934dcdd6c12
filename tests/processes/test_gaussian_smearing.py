"""The known measurement: its events, posteriors and passes are what linear algebra says."""

import numpy as np
import pytest

from castalia.errors import ConfigError
from castalia.processes.gaussian_smearing import Normal, known_measurement
from castalia.rng import Stream


def pulls(values, normal):
    """Pulls of mean and covariance of a sample of a normal distribution; Anderson (2003), section 3.4."""
    events, spread = len(values), np.sqrt(np.diag(normal.covariance))
    mean = (values.mean(axis=0) - normal.mean) / spread * np.sqrt(events)
    outer = np.square(normal.covariance) + np.outer(spread, spread) ** 2
    covariance = (np.atleast_2d(np.cov(values.T)) - normal.covariance) / np.sqrt(outer / events)
    return np.abs(np.concatenate([mean, covariance.ravel()])).max()


@pytest.mark.statistical
@pytest.mark.parametrize("columns", [1, 2])
def test_events_and_draws_follow_their_distributions(columns):
    known, rng, events = known_measurement(columns), Stream(1, "smearing").at(), 40_000
    truth = known.true.sample(events, rng)
    measured = known.detector.detect(truth, rng)
    assert pulls(truth, known.true) < 5
    assert pulls(measured, known.detector.detected(known.true)) < 5
    draws = known.detector.draws(measured, known.simulated, 1, rng)[:, 0]
    assert pulls(draws, known.unfolded(1)) < 5
    # controls: neither the truth nor the simulation, and not what the second pass gives
    assert min(pulls(draws, other) for other in (known.true, known.simulated, known.unfolded(2))) > 5


@pytest.mark.statistical
def test_the_right_prior_gives_a_calibrated_posterior():
    known, rng = known_measurement(2), Stream(2, "smearing").at()
    truth = known.true.sample(40_000, rng)
    means, covariance = known.detector.posterior(known.detector.detect(truth, rng), known.true)
    assert pulls(truth - means, Normal(np.zeros(2), covariance)) < 5
    assert pulls(truth - means, Normal(np.zeros(2), 1.05 * covariance)) > 5


@pytest.mark.parametrize("columns", [1, 2])
def test_passes_lead_from_the_simulation_to_the_truth(columns):
    known = known_measurement(columns)
    assert np.array_equal(known.unfolded(0).covariance, known.simulated.covariance)
    distance = [float(np.abs(known.unfolded(k).covariance - known.true.covariance).max()) for k in (0, 1, 2, 6, 200)]
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 1e-6
    assert known.detector.unfolded(known.true, known.true, 3).covariance == pytest.approx(known.true.covariance)


def test_other_numbers_of_columns_are_refused():
    with pytest.raises(ConfigError, match="of 1 and of 2 columns, not of 3"):
        known_measurement(3)
