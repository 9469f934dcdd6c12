"""What must hold of every classifier of events: padding, order, turns, storage, weights, gradients, temperature."""

from __future__ import annotations

import math
import re

import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError, ModelError
from castalia.estimators.base import Batch, Events
from castalia.estimators.classification.classifier import EventClassifier
from castalia.estimators.registry import BUILT_IN, build
from castalia.estimators.storage import load_model, save_model
from castalia.rng import Stream

from .conftest import CLASS, KINDS, LAYOUT, OBJECTS, toy, with_objects


def test_every_classifier_stands_under_the_laws():
    known = {name for name, known in BUILT_IN.items() if issubclass(known, EventClassifier)}
    assert {name for name, _ in KINDS.values()} == known


def test_padding_changes_nothing(make, kind):
    estimator, batch = make(kind)
    events, objects = batch.condition, batch.condition.objects["objects"]
    logits = estimator.logits(events)
    for junk in (math.nan, -1.0, 1e30):
        filled = torch.where(objects.mask[..., None], objects.values, torch.full_like(objects.values, junk))
        assert torch.equal(estimator.logits(with_objects(events, filled, objects.mask)), logits)
    wider = torch.cat([objects.values, torch.zeros(len(batch), 2, 5)], dim=1)
    more = torch.cat([objects.mask, torch.zeros(len(batch), 2, dtype=torch.bool)], dim=1)
    assert torch.allclose(estimator.logits(with_objects(events, wider, more)), logits, atol=1e-10)
    changed = estimator.logits(with_objects(events, objects.values, objects.mask.roll(1, 0)))
    assert not torch.allclose(changed, logits)  # negative control: other objects exist


def test_the_order_of_objects_changes_nothing(make, kind):
    estimator, batch = make(kind)
    events, objects = batch.condition, batch.condition.objects["objects"]
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = with_objects(events, objects.values[:, order], objects.mask[:, order])
    assert torch.allclose(estimator.logits(shuffled), estimator.logits(events), atol=1e-10)
    wrong = objects.values.clone()  # negative control: two objects of different types change places but not types
    wrong[:, [0, 1], :4] = wrong[:, [1, 0], :4]
    assert not torch.allclose(estimator.logits(with_objects(events, wrong, objects.mask)), estimator.logits(events))


def test_turning_an_event_changes_nothing(make, kind):
    estimator, batch = make(kind)
    events, objects = batch.condition, batch.condition.objects["objects"]
    angle = torch.from_numpy(Stream(3, "turns").at().uniform(-9, 9, (len(batch), 1)))
    turned = objects.values.clone()
    turned[..., 2] += angle
    same = torch.allclose(
        estimator.logits(with_objects(events, turned, objects.mask)), estimator.logits(events), atol=1e-4
    )
    assert same == (kind != "paper")  # which sees azimuths of the detector, and is to learn that they mean nothing


@torch.no_grad()
def test_what_augmentation_draws_of_a_turned_and_mirrored_event_is_the_same_in_distribution(make):
    """The mean logit over many draws is the same for an event and its image, within five standard errors."""
    estimator, batch = make("paper")
    one = batch.condition.map(lambda v: v[:1].repeat_interleave(4000, 0))
    objects = estimator.object_tensors(one)
    image = estimator.object_tensors(
        with_objects(
            one, one.objects["objects"].values * torch.tensor([1, -1, -1, 1, 1.0]), one.objects["objects"].mask
        )
    )
    drawn = [
        estimator.scores(o.drawn(Stream(4, "draws").at(i)), one.flat)[:, 0] for i, o in enumerate((objects, image))
    ]
    error = math.hypot(*(float(d.std()) / len(d) ** 0.5 for d in drawn))
    assert error > 0
    assert abs(float(drawn[0].mean() - drawn[1].mean())) < 5 * error
    plain = [float(estimator.scores(o, one.flat)[0, 0]) for o in (objects, image)]
    assert abs(plain[0] - plain[1]) > 5 * error  # negative control: without drawing


def test_an_event_without_objects_has_a_finite_score(make, kind, no_objects):
    estimator, batch = make(kind)
    logits = estimator.logits(no_objects)
    assert bool(torch.isfinite(logits).all())
    assert torch.allclose(logits, logits[:1].expand(3, 2))
    joined = Events(torch.cat([batch.condition.flat, no_objects.flat]), {"objects": batch.condition.objects["objects"]})
    empty = with_objects(joined, *(torch.cat(v) for v in zip(*_both(batch.condition, no_objects), strict=True)))
    assert torch.allclose(estimator.logits(empty)[-3:], logits)  # nor does it disturb its neighbours
    assert torch.allclose(estimator.logits(empty)[:-3], estimator.logits(batch.condition))


def _both(*events: Events):
    return [(e.objects["objects"].values, e.objects["objects"].mask) for e in events]


def test_saving_and_loading_changes_no_number(make, kind, tmp_path):
    estimator, batch = make(kind)
    estimator.calibrate(batch)
    save_model(tmp_path, estimator, LAYOUT)
    loaded = load_model(tmp_path).estimator
    assert loaded.config == estimator.config
    assert torch.equal(loaded.logits(batch.condition), estimator.logits(batch.condition))
    estimator.temperature += 1  # negative control
    assert not torch.equal(loaded.logits(batch.condition), estimator.logits(batch.condition))


def test_a_weight_of_two_equals_the_event_twice(make, network):
    estimator, batch = make(network, decorrelation=0.0)
    weight = 1.0 + (torch.arange(len(batch)) % 2).double()
    weighted = Batch(batch.condition, batch.target, weight, batch.index)
    twice = batch.take(torch.arange(len(batch)).repeat_interleave(weight.long()))
    states = []
    for events in (weighted, twice):
        estimator.prepare([events])
        states.append({name: value.clone() for name, value in estimator.state_dict().items()})
    assert all(torch.allclose(states[0][name], states[1][name]) for name in states[0])
    (objective,) = estimator.objectives()
    one, two = (objective.loss(events, Stream(1, "").at()).total for events in (weighted, twice))
    assert torch.allclose((weight * one).sum() / weight.sum(), two.mean())
    assert not torch.allclose(one.mean(), two.mean(), rtol=1e-9)  # negative control


def test_a_weight_of_two_equals_the_event_twice_for_trees_without_penalties(make):
    options = {"subsample": 1.0, "smallest_leaf": 0.0, "l2": 0.0, "depth": 2, "trees": 5}
    batch, weight = toy(200), 1.0 + (torch.arange(200) % 2).double()
    weighted = Batch(batch.condition, batch.target, weight, batch.index)
    found = []
    for events in (weighted, batch.take(torch.arange(200).repeat_interleave(weight.long())), batch):
        estimator, _ = make("trees", **options)
        estimator.prepare([events])
        found.append(estimator.logits(batch.condition))
    assert torch.allclose(found[0], found[1], atol=1e-4)
    assert not torch.allclose(found[0], found[2], atol=1e-4)  # negative control


def test_gradients_reach_what_is_trained(make, network):
    estimator, batch = make(network)
    (objective,) = estimator.objectives()
    assert {id(p) for p in objective.parameters} == {id(p) for p in estimator.parameters()}
    estimator.train()
    objective.loss(batch, Stream(4, "loss").at()).total.mean().backward()
    for name, parameter in estimator.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name


def test_a_frozen_backbone_is_not_trained(make, backbone):
    frozen, _ = make(backbone, freeze=True)
    (objective,) = frozen.objectives()
    inside = {id(p) for p in frozen.backbone.parameters()} - {id(p) for p in frozen.backbone.of_events_alone()}
    assert inside
    assert not inside & {id(p) for p in objective.parameters}  # layers that no pre-training trains are trained
    assert {id(p) for p in objective.parameters} | inside == {id(p) for p in frozen.parameters()}


def test_each_layer_learns_more_slowly_than_the_one_above(make, backbone):
    slow, _ = make(backbone, layer_rate=0.5)
    (objective,) = slow.objectives()
    rates = dict(zip(map(id, objective.parameters), objective.rates, strict=True))
    found = {name: rates[id(parameter)] for name, parameter in slow.named_parameters()}
    blocks = len(slow.backbone.blocks)
    for name, rate in found.items():
        block = re.fullmatch(r"backbone\.blocks\.(\d+)\..*", name)
        if not name.startswith("backbone.") or ".event_blocks." in name:
            expected = 1.0
        elif name.startswith("backbone.last."):
            expected = 0.5
        elif block is None:  # the embedding, and what is given of pairs
            expected = 0.5 ** (blocks + 1)
        else:
            expected = 0.5 ** (blocks - int(block[1]))
        assert rate == expected, name


def test_temperature_mends_a_planted_overconfidence(make, kind):
    """Classes are drawn from the scores at a temperature of 3, which is found again within five standard errors."""
    estimator, batch = make(kind)
    batch = batch.take(torch.arange(len(batch)).repeat(10))
    with torch.no_grad():
        scores = estimator.logits(batch.condition)
    true = torch.softmax(scores / 3, dim=1)
    drawn = (torch.from_numpy(Stream(5, "labels").at().random(len(batch))) > true[:, 0]).double()[:, None]
    planted = Batch(batch.condition, Events(drawn), batch.weight, batch.index)
    found = estimator.calibrate(planted)
    # Of the inverse of the temperature, by the information that the scores have on it.
    error = float((true.prod(1) * (scores[:, 1] - scores[:, 0]).square()).sum()) ** -0.5
    assert abs(1 / found - 1 / 3) < 5 * error
    assert abs(1 - 1 / 3) > 5 * error  # negative control: the scores as they were
    with torch.no_grad():
        assert torch.allclose(estimator.logits(batch.condition), scores / found)


def test_decorrelation_enters_the_loss_of_the_first_class(make):
    two = Layout(LAYOUT.condition, (CLASS, Variable("mass", "GeV")), {"objects": OBJECTS})
    estimator = build("mlp_classifier", {"hidden": [8], "decorrelation": 2.0}, two).double().eval()
    batch = toy(200)
    mass = batch.condition.flat
    target = Events(torch.cat([batch.target.flat, mass], dim=1))
    batch = Batch(batch.condition, target, batch.weight, batch.index)
    estimator.prepare([batch])
    losses = estimator.objectives()[0].loss(batch, Stream(1, "").at())
    assert torch.allclose(losses.total, losses.terms["class"] + 2 * losses.terms["decorrelation"])
    other = target.flat.clone()
    other[target.flat[:, 0] == 1, 1] = 7.0  # of the second class the mass does not matter
    same = estimator.objectives()[0].loss(Batch(batch.condition, Events(other), batch.weight, batch.index), None)
    assert torch.equal(same.terms["decorrelation"], losses.terms["decorrelation"])
    with pytest.raises(ConfigError, match="second target"):
        build("mlp_classifier", {"decorrelation": 1.0}, LAYOUT)


def test_refusals(make, kind):
    estimator, batch = make(kind)
    objects = batch.condition.objects["objects"]
    with pytest.raises(DataError, match="no list 'objects'"):
        estimator.logits(Events(batch.condition.flat))
    wrong = objects.values.clone()
    wrong[..., 4] += 1
    with pytest.raises(DataError, match="has type 3; this model knows the types 0 to 2"):
        estimator.logits(with_objects(batch.condition, wrong, objects.mask))
    wrong[..., 4] = math.nan
    with pytest.raises(DataError, match="not finite"):
        estimator.logits(with_objects(batch.condition, wrong, objects.mask))
    for value, sentence in ((2.0, "has class 2"), (0.5, "has class 0.5"), (0.0, "no training event of class 1")):
        flat = torch.full_like(batch.target.flat, value)
        with pytest.raises(DataError, match=sentence):
            estimator.prepare([Batch(batch.condition, Events(flat, batch.target.objects), batch.weight, batch.index)])
    with pytest.raises(DataError, match="target has 0 columns"):
        estimator.prepare([Batch(batch.condition, Events(batch.target.flat[:, :0]), batch.weight, batch.index)])
    name, config = KINDS[kind]
    for layout, sentence in (
        (Layout(LAYOUT.condition, (CLASS,), {}), "one list 'objects'"),
        (Layout((), (Variable("class", integer=True),), {"objects": OBJECTS}), "'class' must be an integer"),
        (Layout((), (), {"objects": OBJECTS}), "two classes or more"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            build(name, config, layout)


def test_trees_that_have_not_grown_are_refused():
    with pytest.raises(ModelError, match="have not been grown"):
        build("boosted_trees", {}, LAYOUT).logits(toy(5).condition)
