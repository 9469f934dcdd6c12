"""Features get a standard normal distribution each, those that no increasing map can give one stay as they are."""

import numpy as np
import pytest
from scipy.special import ndtri

from castalia.apps.unfold.normal_scores import normal_scores
from castalia.data.layout import Variable
from castalia.rng import Stream

EVENTS = 50_000
VARIABLES = (
    Variable("mass", "GeV", transform="log"),
    Variable("phi", transform="angle"),
    Variable("jets", integer=True),
    Variable("eta"),
)


def sample(events=EVENTS, seed=1):
    rng = Stream(seed, "features").at()
    mass = 345.0 + rng.exponential(120.0, events)
    return np.column_stack([mass, rng.uniform(-np.pi, np.pi, events), rng.poisson(5, events), rng.normal(1, 2, events)])


def test_features_are_normal_afterwards():
    found = normal_scores(sample(), np.ones(EVENTS), VARIABLES)
    mapped = found(sample(seed=2))
    for column in (0, 3):
        levels = np.linspace(0.001, 0.999, 201)
        quantiles = np.quantile(mapped[:, column], levels)
        error = np.sqrt(2 * levels * (1 - levels) / EVENTS) * np.sqrt(2 * np.pi) * np.exp(ndtri(levels) ** 2 / 2)
        assert (np.abs(quantiles - ndtri(levels)) < 5 * error + 0.01).all()
    assert np.array_equal(mapped[:, 1:3], sample(seed=2)[:, 1:3])
    assert [v.transform for v in found.variables] == ["none", "angle", "none", "none"]
    assert [v.integer for v in found.variables] == [False, False, True, False]
    # Control: as they come, masses are far from normal.
    scaled = (sample()[:, 0] - sample()[:, 0].mean()) / sample()[:, 0].std()
    assert abs(np.quantile(scaled, 0.1) - ndtri(0.1)) > 0.3


def test_weights_count():
    features = sample()
    weights = np.where(features[:, 3] > 1.0, 3.0, 1.0)
    mapped = normal_scores(features, weights, VARIABLES)(features)[:, 3]
    assert np.average(mapped < 0.0, weights=weights) == pytest.approx(0.5, abs=0.01)
    assert np.mean(mapped < 0.0) > 0.6


def test_the_map_increases_far_beyond_the_sample():
    found = normal_scores(sample(), np.ones(EVENTS), VARIABLES)
    masses = np.linspace(-1e4, 1e5, 1_000)
    features = np.column_stack([masses, np.zeros((1_000, 3))])
    assert (np.diff(found(features)[:, 0]) > 0.0).all()
    assert np.isfinite(found(features)).all()


@pytest.mark.parametrize("value", [7.0, 0.1, 0.0])
def test_a_constant_stays_one(value):
    features = sample(1_000)
    features[:, 3] = value
    found = normal_scores(features, np.ones(1_000), VARIABLES)
    assert len(np.unique(found(features)[:, 3])) == 1
    assert np.abs(found(features)[:, 3]).max() < 4.0


def test_beyond_values_that_many_events_share_the_map_is_not_steep():
    """Counts that nobody declared to be integers, and an exponential with a third of all events at zero."""
    rng = Stream(3, "atoms").at()
    counts = rng.choice([0.0, 1.0, 2.0], p=[0.3, 0.3, 0.4], size=EVENTS)
    cut = np.maximum(rng.exponential(1.0, EVENTS) - 0.4, 0.0)
    features = np.column_stack([counts, cut])
    found = normal_scores(features, np.ones(EVENTS), (Variable("counts"), Variable("cut")))
    beyond = found(np.array([[3.0, -0.1], [4.0, -1.0]]))
    assert np.abs(beyond).max() < 12.0
