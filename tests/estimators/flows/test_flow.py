"""Flows as estimators: what they refuse, events outside the support, integers, and that training learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError, ModelError
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.flows.flow import CouplingSplineConfig, MaskedAutoregressiveConfig, MaskedAutoregressiveFlow
from castalia.estimators.registry import build
from castalia.rng import Stream

LAYOUT = Layout((Variable("c"),), (Variable("x", scale=2.0), Variable("n", integer=True)))


def _events(count: int = 2000):
    rng = Stream(1, "flow").at()
    c = rng.uniform(0.5, 2, count)
    z = rng.standard_normal((count, 2))
    return batch_from_arrays(c[:, None], np.stack([c * z[:, 0], np.round(2 * z[:, 1])], axis=1))


def test_events_outside_a_truncated_range_are_counted_and_train_nothing():
    layout = Layout(LAYOUT.condition, LAYOUT.target[:1])
    events = _events().map(lambda v: v[:, :1] if v.ndim == 2 else v)
    estimator = build("masked_autoregressive_flow", {"truncate": True}, layout)
    estimator.prepare([events])
    (objective,) = estimator.objectives()
    losses = objective.loss(events, Stream(1, "loss").at())
    outside = events.target.flat[:, 0].abs() >= 2
    assert 0 < int(outside.sum()) < len(events)
    assert torch.equal(losses.terms["outside_support"], outside.float())
    assert torch.equal(losses.total == 0, outside)
    low, high = estimator.support()
    assert low.tolist() == [-2.0]
    assert high.tolist() == [2.0]
    untruncated = build("masked_autoregressive_flow", {}, layout)
    untruncated.prepare([events])
    assert not untruncated.objectives()[0].loss(events, Stream(1, "loss").at()).terms


def test_a_nan_reaches_the_loss():
    estimator = build("masked_autoregressive_flow", {"truncate": True}, LAYOUT)
    events = _events()
    estimator.prepare([events])
    events.target.flat[3, 0] = torch.nan
    total = estimator.objectives()[0].loss(events, Stream(1, "loss").at()).total
    assert torch.isnan(total).nonzero().tolist() == [[3]]


def test_dequantisation_noise_comes_from_the_sequence():
    estimator, events = build("coupling_spline_flow", {}, LAYOUT), _events()
    estimator.prepare([events])
    loss = estimator.objectives()[0].loss
    one, same, other = (loss(events, Stream(1, "loss").at(n)).total for n in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    # Jensen: on average the noisy loss is above the negative log-probability of the integer.
    mean = torch.stack([loss(events, Stream(1, "loss").at(n)).total for n in range(20)]).mean()
    assert float((mean + estimator.log_prob(events).mean()).detach()) > 0
    drawn = estimator.sample(events.condition, 1, Stream(2, "").at()).flat
    assert torch.equal(drawn[:, 1], drawn[:, 1].round())
    assert not torch.equal(drawn[:, 0], drawn[:, 0].round())


def test_misuse_is_named():
    estimator, events = build("masked_autoregressive_flow", {}, LAYOUT), _events(50)
    with pytest.raises(ModelError, match="not been prepared"):
        estimator.log_prob(events)
    with pytest.raises(ModelError, match="not been prepared"):
        estimator.sample(events.condition, 1, Stream(1, "").at())
    with pytest.raises(ConfigError, match="takes a MaskedAutoregressiveConfig"):
        MaskedAutoregressiveFlow(CouplingSplineConfig(), LAYOUT)
    with pytest.raises(ConfigError, match="no target"):
        MaskedAutoregressiveFlow(MaskedAutoregressiveConfig(), Layout(LAYOUT.condition, ()))
    with pytest.raises(DataError, match="needs 2 columns: x, n"):
        estimator.prepare([batch_from_arrays(np.ones((3, 1)), np.ones((3, 1)))])
    estimator.prepare([events])
    with pytest.raises(DataError, match="needs 1 columns: c"):
        estimator.sample(events_from_array(np.ones((3, 2))), 1, Stream(1, "").at())


def test_no_events_no_samples():
    estimator = build("masked_autoregressive_flow", {}, LAYOUT)
    estimator.prepare([_events()])
    assert estimator.sample(events_from_array(np.ones((0, 1))), 3, Stream(1, "").at()).flat.shape == (0, 2)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("masked_autoregressive_flow", {"hidden": [24]}),
        ("masked_autoregressive_flow", {"hidden": [24], "univariate": "spline", "blocks": 1}),
        ("coupling_spline_flow", {"hidden": [24], "blocks": 2}),
    ],
)
def test_training_learns_widths_and_correlation(name, config):
    rng = Stream(4, "flow").at()
    c = rng.uniform(0.5, 2, 20_000)
    z = rng.standard_normal((20_000, 2))
    x = np.stack([c * z[:, 0], 0.6 * z[:, 0] + 0.8 * z[:, 1]], axis=1)
    truth = -0.5 * (z**2).sum(1) - np.log(c) - math.log(0.8) - math.log(2 * math.pi)
    events = batch_from_arrays(c[:, None], x)
    train, test = events.take(events.index < 15_000), events.take(events.index >= 15_000)
    estimator = build(name, config, Layout(LAYOUT.condition, (Variable("x"), Variable("y"))), seed=1)
    estimator.prepare([train])
    (objective,) = estimator.objectives()

    def divergence() -> tuple[float, float]:
        with torch.no_grad():
            gap = truth[15_000:] - estimator.log_prob(test).double().numpy()
        return float(gap.mean()), float(gap.std() / math.sqrt(len(gap)))

    untrained, error = divergence()
    assert untrained > 0.1 + 5 * error  # negative control: the check below fails an untrained flow
    optimiser = torch.optim.Adam(objective.parameters, 1e-2)
    for step in range(150):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 150)
        optimiser.zero_grad()
        batch = train.take(torch.from_numpy(rng.integers(0, 15_000, 512)))
        objective.loss(batch, rng).total.mean().backward()
        optimiser.step()
    kl, error = divergence()
    assert -5 * error < kl < 0.03 + 5 * error


def test_without_a_condition_the_distribution_of_all_events_is_learned():
    layout = Layout((), LAYOUT.target)
    events = _events()
    unconditional = batch_from_arrays(np.empty((len(events), 0)), events.target.flat.numpy())
    for options in ({}, {"embedding_bins": 4, "univariate": "spline"}):
        estimator = build("masked_autoregressive_flow", options, layout)
        estimator.prepare([unconditional])
        assert estimator.log_prob(unconditional).shape == (len(events),)
        drawn = estimator.sample(unconditional.condition, 2, Stream(1, "").at()).flat
        assert drawn.shape == (2 * len(events), 2)
    for name in ("flow_matching", "efficiency", "parametric_smearing"):
        with pytest.raises(ConfigError, match="no condition"):
            build(name, {}, Layout((), LAYOUT.target[:1]))
