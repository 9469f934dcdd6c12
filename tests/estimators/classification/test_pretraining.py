"""Pre-training: hidden is hidden, types are recovered where kinematics tell them, and every parameter learns."""

from __future__ import annotations

import math

import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Events, ObjectSet
from castalia.estimators.registry import build
from castalia.estimators.storage import load_model, save_model
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

from .conftest import OBJECTS, toy, with_objects

UNLABELLED = Layout((), (), {"objects": OBJECTS})
BACKBONES = {
    "transformer": {"width": 16, "heads": 2, "blocks": 2},
    "graph": {"kind": "graph", "width": 16, "heads": 2, "blocks": 1, "event_blocks": 1},
}


def _unlabelled(count: int, seed: int = 1) -> Batch:
    batch = toy(count, seed)
    flat = torch.zeros(count, 0)
    objects = batch.condition.map(lambda v: v.float() if v.is_floating_point() else v).objects
    return Batch(Events(flat, objects), Events(flat), batch.weight.float(), batch.index)


def _accuracy(estimator, batch: Batch) -> tuple[float, float, int]:
    """Return accuracy with all types hidden, the share of the most frequent type, and the number of objects."""
    objects = batch.condition.objects["objects"]
    with torch.no_grad():
        found = estimator.type_logits(batch.condition, torch.ones_like(objects.mask)).argmax(-1)
    true = objects.values[..., 4].long()[objects.mask]
    return float((found[objects.mask] == true).double().mean()), float((true == 1).double().mean()), len(true)


def test_types_are_recovered_where_the_kinematics_tell_them():
    train, test = _unlabelled(2000), _unlabelled(2000, seed=2)
    training = TrainingConfig(epochs=5, batch_size=256, learning_rate=5e-3)
    config = {
        "backbone": {**BACKBONES["transformer"], "relative": False}
    }  # nothing but the object's own features tells
    estimator = build("object_pretraining", config, UNLABELLED)
    fit(estimator, train, None, training)
    accuracy, majority, count = _accuracy(estimator, test)
    assert accuracy - majority > 5 * (0.25 / count) ** 0.5
    objects = train.condition.objects["objects"]
    values = objects.values.clone()
    values[..., 4] = torch.from_numpy(Stream(6, "random types").at().choice([0, 1, 1, 1, 2], objects.mask.shape))
    random = Batch(
        Events(train.condition.flat, {"objects": ObjectSet(values, objects.mask)}),
        train.target,
        train.weight,
        train.index,
    )
    control = build("object_pretraining", config, UNLABELLED)
    fit(control, random, None, training)  # negative control: types that mean nothing
    accuracy, majority, count = _accuracy(control, test)
    assert accuracy - majority < 5 * (0.25 / count) ** 0.5


@pytest.mark.parametrize("encoder", list(BACKBONES))
def test_what_is_hidden_is_not_seen(encoder):
    estimator = build("object_pretraining", {"backbone": BACKBONES[encoder]}, UNLABELLED)
    batch = _unlabelled(50)
    estimator.prepare([batch])
    objects = batch.condition.objects["objects"]
    hidden = torch.zeros_like(objects.mask)
    hidden[:, 2] = True
    values = objects.values.clone()
    values[:, 2, 4] = 2  # a type behind the first one, which alone decides what azimuths are relative to
    other = Events(batch.condition.flat, {"objects": ObjectSet(values, objects.mask)})
    there = objects.mask[:, 0]
    logits = estimator.type_logits(batch.condition, hidden)[there]
    assert torch.equal(estimator.type_logits(other, hidden)[there], logits)
    assert not torch.equal(estimator.type_logits(other, ~hidden)[there], logits)  # negative control


def test_padding_changes_no_type():
    estimator = build("object_pretraining", {"backbone": BACKBONES["transformer"]}, UNLABELLED)
    batch = _unlabelled(50)
    estimator.prepare([batch])
    objects = batch.condition.objects["objects"]
    mask, hidden = objects.mask.clone(), torch.zeros_like(objects.mask)
    mask[:, 3] = False
    logits = []
    for junk in (0.0, math.nan, 1e30):
        values = objects.values.clone()
        values[:, 3] = junk
        logits.append(estimator.type_logits(with_objects(batch.condition, values, mask), hidden)[mask])
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])
    there = estimator.type_logits(batch.condition, hidden)[mask]
    assert not torch.equal(there, logits[0])  # negative control: the object exists


@pytest.mark.parametrize("encoder", list(BACKBONES))
def test_gradients_reach_every_parameter_that_is_trained(encoder):
    estimator = build("object_pretraining", {"backbone": BACKBONES[encoder]}, UNLABELLED)
    batch = _unlabelled(300)
    estimator.prepare([batch])
    (objective,) = estimator.objectives()
    losses = objective.loss(batch, Stream(1, "loss").at())
    assert set(losses.terms) == {"type", "kinematics"}
    losses.total.mean().backward()
    trained = {id(p) for p in objective.parameters}
    for name, parameter in estimator.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached == (id(parameter) in trained), name
    assert (len(trained) < len(list(estimator.parameters()))) == (encoder == "graph")


def test_one_pretext_alone_has_no_head_for_the_other_and_both_zero_is_refused(tmp_path):
    batch = _unlabelled(50)
    for weights, term in (({"type_weight": 0.0}, "kinematics"), ({"kinematics_weight": 0.0}, "type")):
        estimator = build("object_pretraining", {"backbone": BACKBONES["transformer"], **weights}, UNLABELLED)
        estimator.prepare([batch])
        assert set(estimator.objectives()[0].loss(batch, Stream(1, "").at()).terms) == {term}
        save_model(tmp_path / term, estimator, UNLABELLED)
        loaded = load_model(tmp_path / term).estimator.state_dict()
        assert all(torch.equal(value, loaded[name]) for name, value in estimator.state_dict().items())
    with pytest.raises(ConfigError, match="tells no types"):
        build("object_pretraining", {"type_weight": 0.0}, UNLABELLED).type_logits(batch.condition, None)
    with pytest.raises(ConfigError, match="both 0"):
        build("object_pretraining", {"type_weight": 0.0, "kinematics_weight": 0.0}, UNLABELLED)
    one = Layout((), (), {"objects": (*OBJECTS[:-1], Variable("type", integer=True, bounds=(-0.5, 0.5)))})
    with pytest.raises(ConfigError, match="of one type, which cannot be hidden; set type_weight = 0"):
        build("object_pretraining", {}, one)
    assert build("object_pretraining", {"type_weight": 0.0}, one).types == 1
