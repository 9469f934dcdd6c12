"""The efficiency model: calibrated against a planted efficiency, and what it refuses."""

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import batch_from_arrays, events_from_array, to_numpy
from castalia.estimators.registry import build
from castalia.estimators.storage import load_model, save_model
from castalia.metrics.efficiency import closure_chi2, efficiency_checks, excess_log_loss
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

LAYOUT = Layout((Variable("pt", "GeV", transform="log"), Variable("eta")), (Variable("reconstructed", integer=True),))


def events(count, unit):
    """Return conditions, planted probabilities (a turn-on and a gap with sharp edges) and outcomes."""
    rng = Stream(4, "planted efficiency", unit).at()
    condition = np.column_stack([20 + rng.exponential(40, count), rng.uniform(-2.5, 2.5, count)])
    gap = (np.abs(condition[:, 1]) > 1.37) & (np.abs(condition[:, 1]) < 1.52)
    probability = np.where(gap, 0.5, 1.0) * 0.95 / (1 + np.exp(-(condition[:, 0] - 35) / 5))
    return condition, probability, rng.random(count) < probability


@pytest.fixture(scope="module")
def model():
    model = build("efficiency", {"hidden": [32, 32]}, LAYOUT, seed=3)
    condition, _, found = events(40_000, "training")
    config = TrainingConfig(epochs=8, batch_size=1024, learning_rate=5e-3, ema=0.98)
    fit(model, batch_from_arrays(condition, found[:, None]), None, config)
    return model


def test_a_planted_efficiency_is_found(model):
    condition, true, found = events(40_000, "test")
    predicted = to_numpy(model.probability(events_from_array(condition))).astype(np.float64)
    # Bias budget of a short training: 0.02 nat is a root-mean-square error of 0.08 at an efficiency of 0.8, all of it
    # at the edges of the crack. Away from them it is a tenth.
    edges = np.abs(np.abs(condition[:, 1]) - 1.445) < 0.3
    assert excess_log_loss(true, predicted) < 0.02
    assert excess_log_loss(true[~edges], predicted[~edges]) < 0.002
    here = slice(0, 5000)
    checks = efficiency_checks(["pt", "eta"], condition[here], predicted[here], found[here])
    for value, bins in closure_chi2(checks).values():
        # Bins of 500 events have errors near 0.018; a bias of 0.015 in each, of edges and of training, adds 0.7 a bin.
        assert value < bins + 5 * np.sqrt(2 * bins) + 0.7 * bins


def test_a_constant_efficiency_is_not_taken_for_it():
    condition, true, found = events(40_000, "test")
    constant = np.full(len(true), found.mean())
    assert excess_log_loss(true, constant) > 0.1
    checks = efficiency_checks(["pt", "eta"], condition, constant, found)
    assert closure_chi2(checks)["pt"][0] > 1000


def test_logits_are_those_of_the_probability(model):
    given = events_from_array(events(100, "few")[0])
    logits = model.logits(given)
    assert logits.shape == (100, 2)
    torch.testing.assert_close(torch.softmax(logits, dim=1)[:, 1], model.probability(given))


def test_saving_changes_no_number(model, tmp_path):
    save_model(tmp_path, model, LAYOUT)
    given = events_from_array(events(100, "few")[0])
    assert torch.equal(load_model(tmp_path).estimator.probability(given), model.probability(given))


def test_weights_are_duplicates():
    condition, _, found = events(500, "weights")
    model = build("efficiency", {"hidden": [8]}, LAYOUT)
    weight = np.arange(500) % 3
    weighted = batch_from_arrays(condition, found[:, None], weight)
    twice = np.repeat(np.arange(500), weight)
    model.prepare([weighted])
    (objective,) = model.objectives()
    rng = Stream(1, "none").at()
    one = (objective.loss(weighted, rng).total * weighted.weight).sum() / weighted.weight.sum()
    other = objective.loss(batch_from_arrays(condition[twice], found[twice, None]), rng).total.mean()
    torch.testing.assert_close(one, other)


def test_refusals():
    condition, _, found = events(100, "refused")
    model = build("efficiency", {}, LAYOUT)
    for value in (0, 1):
        with pytest.raises(DataError, match=f"'reconstructed' is {value} for all of 100 events"):
            model.prepare([batch_from_arrays(condition, np.full((100, 1), value))])
    with pytest.raises(DataError, match="one column of 0 or 1"):
        model.prepare([batch_from_arrays(condition, found[:, None] + 0.5)])
    with pytest.raises(ConfigError, match="one target"):
        build("efficiency", {}, Layout(LAYOUT.condition, (Variable("a"), Variable("b"))))
