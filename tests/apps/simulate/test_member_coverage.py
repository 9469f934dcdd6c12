"""The band of real, small ensembles covers a known truth where the network can follow it."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays, events_from_array, to_numpy
from castalia.estimators.base import Batch
from castalia.estimators.registry import build
from castalia.metrics.bands import ONE_SIGMA, coverage, member_band
from castalia.rng import Stream
from castalia.runs.members import bootstrap
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

LAYOUT = Layout((Variable("c"),), (Variable("x"),))
AFFINE = {"blocks": 1, "hidden": [8], "conditional_affine": False}
EDGES = np.array([-4.0, -3.0, -2.0, 2.0, 3.0, 4.0])
EVENTS, MEMBERS, SAMPLES = 1500, 6, 12


def width(condition):
    return 0.8 + 0.2 * condition


def sample(number) -> Batch:
    rng = Stream(9, "coverage sample", str(number)).at()
    condition = rng.uniform(-1, 1, (EVENTS, 1))
    return batch_from_arrays(condition, 0.5 * condition + width(condition) * rng.standard_normal((EVENTS, 1)))


def yields(training, seed):
    """Train one model and return its yields over the true ones in bins of the pull, the core bin left out."""
    model = build("masked_autoregressive_flow", AFFINE, LAYOUT, seed)
    fit(model, training, None, TrainingConfig(epochs=25, batch_size=250, learning_rate=1e-2, seed=seed, ema=0.95))
    condition = np.linspace(-1, 1, 201)[:, None]
    # An affine map of one target is known from two of its values: location and width at each condition.
    given = events_from_array(condition)
    log_prob = [
        to_numpy(
            model.log_prob(Batch(given, events_from_array(0.5 * condition + shift), torch.ones(201), torch.arange(201)))
        )
        for shift in (-1.0, 0.0, 1.0)
    ]
    below, at, above = (values.astype(np.float64) for values in log_prob)
    sigma = 1 / np.sqrt(2 * at - below - above)
    location = 0.5 * (above - below) * sigma**2
    ends = (width(condition) * EDGES - location[:, None]) / sigma[:, None]
    found = np.diff(norm.cdf(ends), axis=1).mean(axis=0) / np.diff(norm.cdf(EDGES))
    return np.delete(found, 2)


@pytest.mark.slow
@pytest.mark.statistical
def test_the_band_covers_at_its_level_and_seeds_alone_do_not():
    inside, control = [], []
    for number in range(SAMPLES):
        training = sample(number)
        nominal = yields(training, 100 * number)
        resampled = [yields(bootstrap(training, number, m), 100 * number + m) for m in range(1, MEMBERS + 1)]
        inside.append(member_band([nominal, *resampled]).covers(np.ones(4)))
        # Negative control: members that share the training sample do not know its statistical error.
        repeated = [yields(training, 100 * number + m) for m in range(1, MEMBERS + 1)]
        control.append(member_band([nominal, *repeated]).covers(np.ones(4)))
    cluster = np.repeat(np.arange(SAMPLES), 4)
    covered, error = coverage(np.concatenate(inside), cluster)
    assert abs(covered - ONE_SIGMA) < 5 * error
    blind, blind_error = coverage(np.concatenate(control), cluster)
    assert blind + 3 * blind_error < covered
