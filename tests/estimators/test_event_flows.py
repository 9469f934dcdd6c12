"""Invertible networks and flow matching given an event: what the laws of the flows do not say."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Decays, Layout, Variable
from castalia.errors import ConfigError, ModelError
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.base import Batch
from castalia.estimators.event_flows import EventFlow
from castalia.estimators.flow_matching.paths import Path
from castalia.estimators.registry import build
from castalia.rng import Stream

LAYOUT = Layout((Variable("c"),), (Variable("x"),), {"hits": (Variable("e", transform="log"),)})
SMALL = {"encoder": {"width": 4, "heads": 2, "blocks": 1}}
MODELS = {
    "cinn": {**SMALL, "blocks": 2, "hidden": [8], "univariate": "affine_spline"},
    "event_flow_matching": {**SMALL, "hidden": [8], "affine_hidden": [8], "density_steps": 4},
}


def _events(count: int = 4000) -> Batch:
    rng = Stream(1, "event flows").at()
    c, hits = rng.standard_normal((count, 1)), rng.exponential(2, (count, 3, 1))
    mask = rng.random((count, 3)) < 0.6
    target = c + rng.standard_t(4, (count, 1))
    return batch_from_arrays(c, target, dtype=torch.float64, objects={"hits": ObjectArrays(hits, mask)})


def _model(name: str, **changes: object) -> EventFlow:
    model = build(name, {**MODELS[name], **changes}, LAYOUT).double()
    assert isinstance(model, EventFlow)
    model.prepare(_events().chunks(999))
    return model


@pytest.mark.parametrize("name", list(MODELS))
def test_with_gaussianised_marginals_the_density_integrates_to_one(name):
    model = _model(name, marginals="gaussianise")
    knots = model.targets.marginals.positions[0] * model.targets.deviation + model.targets.mean
    # Nodes between all knots, and tails as far as they matter.
    inner = torch.cat([torch.linspace(float(a), float(b), 20)[:-1] for a, b in itertools.pairwise(knots)])
    x = torch.cat([torch.linspace(-200, float(knots[0]), 5000), inner, torch.linspace(float(knots[-1]), 200, 5000)])
    x = x.double().unique()
    condition = _events().condition.map(lambda v: v[7:8].repeat_interleave(len(x), dim=0))
    grid = Batch(condition, events_from_array(x[:, None].numpy(), torch.float64), torch.ones(len(x)), torch.arange(1))
    with torch.no_grad():
        density = model.log_prob(grid).exp()
    assert float(torch.trapezoid(density, x)) == pytest.approx(1, abs=2e-3)
    plain = _model(name, marginals="standardise")
    with torch.no_grad():
        other = plain.log_prob(grid).exp()
    assert not torch.allclose(other, density, rtol=0.1)


def test_the_evaluations_are_four_in_each_step():
    for evaluations in (4, 20):
        model = _model("event_flow_matching", evaluations=evaluations)
        assert model.chain.blocks[1].sampling_steps == evaluations // 4
    with pytest.raises(ConfigError, match="evaluations"):
        _model("event_flow_matching", evaluations=10)
    with pytest.raises(ConfigError, match="path"):
        _model("event_flow_matching", path="curved")


def test_paths_go_from_noise_to_target_with_the_velocity_they_say():
    rng = Stream(2, "paths").at()
    noise, target = (torch.from_numpy(rng.standard_normal((20, 2))) for _ in range(2))
    for path in Path:
        for end, expected in ((0.0, noise), (1.0, target)):
            assert torch.allclose(path.at(noise, target, torch.full((20, 1), end).double())[0], expected)
        time, step = torch.from_numpy(rng.random((20, 1))), 1e-6
        place, along = path.at(noise, target, time)
        ahead, _ = path.at(noise, target, time + step)
        assert torch.allclose((ahead - place) / step, along, atol=1e-5)
        other = Path.STRAIGHT if path is Path.TRIGONOMETRIC else Path.TRIGONOMETRIC
        assert not torch.allclose(other.at(noise, target, time)[1], along, atol=0.1)
    straight = Path.STRAIGHT.at(noise, target, torch.full((20, 1), 0.25).double())[0]
    assert torch.allclose(straight, 0.75 * noise + 0.25 * target)


def test_the_path_is_the_configured_one():
    losses = {}
    for path in ("straight", "trigonometric"):
        model = _model("event_flow_matching", path=path)
        losses[path] = model.objectives()[0].loss(_events(), Stream(3, "loss").at()).terms["velocity"]
    assert not torch.allclose(losses["straight"], losses["trigonometric"])


@pytest.mark.statistical
def test_several_paths_of_an_event_are_spread_over_the_times_and_agree_on_average(monkeypatch):
    events, seen, found = _events(), [], {}
    for paths in (1, 4):
        model = _model("event_flow_matching", paths=paths)
        matching = model.chain.blocks[1].matching_loss
        monkeypatch.setattr(
            model.chain.blocks[1],
            "matching_loss",
            lambda target, given, noise, time, of=matching: seen.append(time) or of(target, given, noise, time),
        )
        with torch.no_grad():
            losses = model.objectives()[0].loss(events, Stream(2, "paths").at())
        velocity = losses.terms["velocity"]
        assert velocity.shape == (len(events),)
        found[paths] = float(velocity.mean()), float(velocity.std()) / math.sqrt(len(events))
    assert seen[1].shape == (4 * len(events), 1)
    of_one = seen[1].view(4, -1)[:, 5].sort().values
    assert torch.allclose(of_one.diff(), torch.full((3,), 0.25).double(), atol=1e-6)
    (one, error), (four, smaller) = found[1], found[4]
    assert four == pytest.approx(one, abs=5 * math.hypot(error, smaller))
    assert smaller < 0.8 * error


@pytest.mark.parametrize("name", list(MODELS))
def test_an_event_is_encoded_once_however_often_it_is_drawn(name, monkeypatch):
    model, encoded = _model(name), []
    forward = model.encoder.forward
    monkeypatch.setattr(model.encoder, "forward", lambda events: encoded.append(len(events)) or forward(events))
    few = _events(30).condition
    assert model.sample(few, 100, Stream(4, "sampling").at()).flat.shape == (3000, 1)
    assert encoded == [30]
    assert model.sample(few.map(lambda v: v[:0]), 3, Stream(4, "sampling").at()).flat.shape == (0, 1)


@pytest.mark.parametrize("name", list(MODELS))
def test_an_unprepared_model_says_so(name):
    model = build(name, MODELS[name], LAYOUT).double()
    for use in (lambda: model.log_prob(_events(3)), lambda: model.sample(_events(3).condition, 1, Stream(1, "").at())):
        with pytest.raises(ModelError, match="not been prepared"):
            use()


@pytest.mark.parametrize("name", list(MODELS))
def test_targets_outside_their_bounds_are_counted_and_train_nothing(name):
    layout = Layout(LAYOUT.condition, (Variable("x", bounds=(0.0, math.inf)),), LAYOUT.condition_objects)
    events = _events(200)
    inside = Batch(events.condition, events.target.map(lambda v: v.abs() + 0.1), events.weight, events.index)
    model = build(name, MODELS[name], layout).double()
    model.prepare([inside])
    values = inside.target.flat.clone()
    values[:5] = -1.0
    moved = Batch(inside.condition, events_from_array(values.numpy(), torch.float64), events.weight, events.index)
    losses = model.objectives()[0].loss(moved, Stream(5, "loss").at())
    assert np.flatnonzero(losses.terms["outside_support"]).tolist() == [0, 1, 2, 3, 4]
    assert bool((losses.total[:5] == 0).all())
    assert bool((losses.total[5:] != 0).all())
    assert bool((model.sample(inside.condition, 2, Stream(5, "sampling").at()).flat > 0).all())


NAMES = ("z_px", "z_py", "z_rapidity", "z_mass", "z_u", "z_v")
JET = (Variable("pt", transform="log"), Variable("eta"), Variable("phi", transform="angle"))
DECAYS = Layout(
    (Variable("met_pt", transform="log"), Variable("met_phi", transform="angle")),
    (*(Variable(name) for name in NAMES), Variable("plus_jet")),
    {"jet": JET},
    {"plus_jet": "jet"},
    Decays({"z": ("plus", "minus")}, {"plus": 0.1, "minus": 0.1}),
)


def _decays(count: int = 500) -> Batch:
    rng = Stream(3, "event flows").at()
    condition = np.column_stack([rng.exponential(30, count) + 1, rng.uniform(-3, 3, count)])
    jets = np.stack(
        [rng.exponential(40, (count, 2)) + 5, rng.normal(size=(count, 2)), rng.uniform(-3, 3, (count, 2))], 2
    )
    mask = np.column_stack([np.ones(count), rng.random(count) < 0.5]).astype(bool)
    target = np.column_stack([rng.normal(0, 20, (count, 2)), rng.normal(size=count), rng.normal(91, 3, count)])
    target = np.column_stack([target, rng.normal(size=(count, 2)), rng.integers(-1, 1, count)])
    return batch_from_arrays(condition, target, dtype=torch.float64, objects={"jet": ObjectArrays(jets, mask)})


def _with_decays(layout: Layout = DECAYS) -> EventFlow:
    model = build("event_flow_matching", {**SMALL, "hidden": [8, 8], "affine_hidden": [8]}, layout, seed=2).double()
    assert isinstance(model, EventFlow)
    model.prepare(_decays().chunks(99))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


def test_a_velocity_that_sees_momenta_is_one_of_places_with_a_density():
    model, events = _with_decays(), _decays(8)
    flow = model.chain.blocks[1]
    with torch.no_grad():
        vectors, _ = model.given(events)
    place = torch.from_numpy(Stream(4, "event flows").at().standard_normal((8, 6)))
    with torch.no_grad():
        end, log_determinant = flow(place, vectors)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda x, row=row: flow(x[None], vectors[row : row + 1])[0][0], place[row]
        )
        assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(float(log_determinant[row]), abs=1e-8)
    flow.sampling_steps = flow.density_steps = 40
    with torch.no_grad():
        end = flow(place, vectors)[0]
        assert torch.allclose(flow.inverse(end, vectors), place, atol=1e-3)
    # Negative control: what the network sees is no decoration.
    torch.nn.init.zeros_(flow.velocity.features.weight)
    with torch.no_grad():
        assert not torch.allclose(flow(place, vectors)[0], end, atol=1e-3)


def test_events_are_drawn_with_momenta_before_the_networks_eyes():
    model, events = _with_decays(), _decays(40)
    with torch.inference_mode():
        drawn = model.sample(events.condition, 3, Stream(5, "event flows").at()).flat
    assert drawn.shape == (120, 7)
    assert torch.isfinite(drawn).all()
    loss = model.objectives()[0].loss(events, Stream(6, "event flows").at()).total
    loss.sum().backward()
    assert float(model.chain.blocks[1].velocity.features.weight.grad.abs().sum()) > 0
    plain = build("event_flow_matching", {**SMALL, "hidden": [8]}, replace(DECAYS, decays=None))
    assert plain.chain.blocks[1].velocity.features is None
