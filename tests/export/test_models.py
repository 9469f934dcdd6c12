"""The exported sampler and density compute what the model computes, for every kind of flow and target."""

import math
import sys

import numpy as np
import pytest
import torch
from exported_models import CONDITION, KINDS, SIX, doubled, drawn, events_of, in_double, make, opened

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, ModelError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Events
from castalia.estimators.efficiency import EfficiencyModel, EfficiencyModelConfig
from castalia.estimators.flow_matching.velocity import REACH
from castalia.estimators.registry import build, preset
from castalia.export.models import density_model, efficiency_model, sampler_model
from castalia.rng import Stream

MIXED = (
    Variable("hits", integer=True, bounds=(-1.0, math.inf)),
    Variable("energy", "GeV", bounds=(0.0, math.inf)),
    Variable("dip", bounds=(-math.inf, 3.0)),
    Variable("fraction", bounds=(0.0, 1.0)),
    Variable("free"),
)


def noise_for(events, targets=SIX, unit="noise"):
    return Stream(3, "export tests", unit).at().standard_normal((len(events), len(targets)), dtype="float32")


def close(found, expected):
    """Whether all events agree but the one in a thousand that float32 may put on the other side of a steep edge.

    How closely they agree is the matter of test_accuracy.py.
    """
    return np.mean(np.isclose(found, expected, rtol=1e-3, atol=1e-3)) > 0.999


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_any_number_of_events(exported, count):
    condition, noise = exported.events.condition.flat[:count].numpy(), noise_for(exported.events)[:count]
    target = exported.sample(condition, noise)
    assert target.shape == (count, 6)
    assert count == 0 or close(target, drawn(exported.flow, condition, noise))
    assert exported.log_prob(condition, target).shape == (count,)


def test_the_density_of_a_sample(exported):
    condition, noise = exported.events.condition.flat.numpy(), noise_for(exported.events)
    target = exported.sample(condition, noise)
    with torch.no_grad():
        expected = exported.double.log_prob(in_double(batch_from_arrays(condition, target))).numpy()
    found = exported.log_prob(condition, target)
    assert close(found, expected)
    # Negative control: the densities of other events differ.
    assert not close(found, np.roll(expected, 1))


def test_where_the_velocity_of_a_flow_is_no_longer_learned():
    one = make("matching", SIX)
    condition, noise = one.events.condition.flat.numpy(), 4 * noise_for(one.events)
    assert (np.abs(noise) > REACH).any(axis=1).mean() > 0.3
    target = one.sample(condition, noise)
    assert close(target, drawn(one.double, condition, noise))
    with torch.no_grad():
        expected = one.double.log_prob(in_double(batch_from_arrays(condition, target))).numpy()
    assert close(one.log_prob(condition, target), expected)


@pytest.mark.parametrize("kind", ["affine", "compact", "coupling"])
def test_one_target(kind):
    one = make(kind, SIX[:1])
    condition, noise = one.events.condition.flat.numpy(), noise_for(one.events, SIX[:1])
    target = one.sample(condition, noise)
    assert close(target, drawn(one.double, condition, noise))
    with torch.no_grad():
        expected = one.double.log_prob(in_double(batch_from_arrays(condition, target))).numpy()
    assert close(one.log_prob(condition, target), expected)


@pytest.fixture(scope="module", params=["compact", "paper"])
def bounded(request):
    return make(request.param, MIXED, scramble=0.1)


def test_bounds_and_integers_are_sampled(bounded):
    condition, noise = bounded.events.condition.flat.numpy(), noise_for(bounded.events, MIXED)
    target, expected = bounded.sample(condition, noise), drawn(bounded.double, condition, noise)
    # A whole number flips where the number before it was rounded lies on an edge: about 1e-5 of the events.
    same = target[:, 0] == expected[:, 0]
    assert np.mean(same) > 0.999
    assert np.array_equal(target[:, 0], np.round(target[:, 0]))
    assert close(target[same], expected[same])
    assert (target[:, 0] >= 0).all()
    assert (target[:, 1] > 0).all()
    assert (target[:, 2] < 3).all()
    assert ((target[:, 3] > 0) & (target[:, 3] < 1)).all()


def test_extreme_noise_stays_inside(bounded):
    condition = bounded.events.condition.flat.numpy()[:2]
    for size in (30.0, -30.0):
        target = bounded.sample(condition, np.full((2, 5), size, dtype=np.float32))
        assert not np.isnan(target).any()
        assert (target[:, 1] > 0).all()
        assert ((target[:, 3] > 0) & (target[:, 3] < 1)).all()


def test_bounds_and_integers_are_scored(bounded):
    condition, target = bounded.events.condition.flat.numpy(), bounded.events.target.flat.numpy()
    with torch.no_grad():
        expected = bounded.double.log_prob(in_double(bounded.events)).numpy()
    assert np.isfinite(expected).mean() > 0.9
    assert close(bounded.log_prob(condition, target), expected)


def test_what_cannot_be_has_no_density(bounded):
    target = np.repeat(bounded.events.target.flat.numpy()[:1], 6, axis=0)
    target[0, 0], target[1, 0], target[2, 1], target[3, 2], target[4, 3] = 0.5, -1, 0, 3.5, 1
    condition = np.repeat(bounded.events.condition.flat.numpy()[:1], 6, axis=0)
    found = bounded.log_prob(condition, target)
    assert np.array_equal(found[:5], np.full(5, -np.inf))
    assert np.isfinite(found[5])
    target[5, 4] = np.nan
    assert np.isnan(bounded.log_prob(condition, target)[5])


@pytest.mark.parametrize(("column", "value"), [(0, 0.0), (0, -5.0), (1, np.nan), (2, np.nan), (2, np.inf)])
def test_a_condition_that_is_no_number_gives_none(exported, column, value):
    condition, noise = exported.events.condition.flat.numpy()[:3].copy(), noise_for(exported.events)[:3]
    condition[1, column] = value
    target = exported.sample(condition, noise)
    assert np.array_equal(np.isnan(target).all(axis=1), [False, True, False])
    assert np.array_equal(np.isnan(target).any(axis=1), [False, True, False])
    log_prob = exported.log_prob(condition, exported.events.target.flat.numpy()[:3])
    assert np.array_equal(np.isnan(log_prob), [False, True, False])


def test_each_hidden_unit_is_evaluated_once():
    flow = make("paper").flow
    model = sampler_model(flow, {})
    shapes = {one.name: one.dims for one in model.graph.initializer}
    products = sum(math.prod(shapes[node.input[0]]) for node in model.graph.node if node.op_type == "Gemm")
    assert products == sum(int(buffer.sum()) for name, buffer in flow.named_buffers() if name.endswith("mask"))


def test_an_efficiency():
    events = events_of(SIX, 4000)
    found = (Stream(5, "export tests").at().random(4000) < 0.7).astype(np.float32)[:, None]
    layout = Layout(CONDITION, (Variable("found", integer=True),))
    model = EfficiencyModel(EfficiencyModelConfig(hidden=(16,), embedding_bins=4), layout)
    model.prepare([batch_from_arrays(events.condition.flat.numpy(), found)])
    session = opened(efficiency_model(model, {}))
    condition = events.condition.flat.numpy().copy()
    expected = model.probability(Events(torch.from_numpy(condition))).numpy()
    assert close(session.run(["efficiency"], {"condition": condition})[0], expected)
    condition[0, 2] = np.nan
    (probability,) = session.run(["efficiency"], {"condition": condition})
    assert np.isnan(probability[0])
    assert not np.isnan(probability[1:]).any()


def test_a_model_in_float64_is_exported_in_float32(exported):
    session = opened(sampler_model(doubled(exported.flow), {}))
    condition, noise = exported.events.condition.flat.numpy(), noise_for(exported.events)
    assert np.array_equal(
        session.run(None, {"condition": condition, "noise": noise})[0], exported.sample(condition, noise)
    )
    assert exported.double.targets.mean.dtype == torch.float64  # and the model is left as it was


def test_refusals(monkeypatch):
    layout = Layout(CONDITION, SIX)
    events = events_of(SIX, 400)
    smearing = build("parametric_smearing", {"bins": 1, "shape": "gaussian"}, layout)
    smearing.prepare([events])
    with pytest.raises(ConfigError, match="ParametricSmearing cannot be exported; train a normalizing flow"):
        sampler_model(smearing, {})
    flow = build(*KINDS["affine"], layout)
    with pytest.raises(ModelError, match="has not been prepared"):
        density_model(flow, {})
    flow.prepare([events])
    other = type(flow)(flow.config, layout)
    other.prepare([events])
    other.chain.blocks[0] = torch.nn.Identity()
    for export in (sampler_model, density_model):
        with pytest.raises(ConfigError, match="Identity cannot be exported"):
            export(other, {})
    smooth = build(*preset("scan"), layout)  # the inverse of its maps is found by iteration
    smooth.prepare([events])
    for export in (sampler_model, density_model):
        with pytest.raises(ConfigError, match="SigmoidMap cannot be exported; train an affine or spline flow"):
            export(smooth, {})
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"pip install castalia\[deploy\]"):
        sampler_model(flow, {})
