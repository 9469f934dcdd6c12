"""Classifiers with a backbone: relations are learned where there are any, and a backbone is adopted whole."""

from __future__ import annotations

import math

import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Batch, Events, ObjectSet
from castalia.estimators.classification.kinematics import Kinematics
from castalia.estimators.classification.relations import relation_classes
from castalia.estimators.registry import PRESETS, build
from castalia.metrics.auc import AucEstimate, auc
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

from .conftest import KINDS, LAYOUT, OBJECTS, TYPES, toy, with_objects

SMALL = {"width": 16, "heads": 2, "blocks": 2}
TRAINING = TrainingConfig(epochs=5, batch_size=125, learning_rate=1e-2)


def _single(batch: Batch) -> Batch:
    return batch.map(lambda v: v.float() if v.is_floating_point() else v)


def _trained(train: Batch, **options):
    config = {"backbone": SMALL, "relations": 2, "decay_weight": 1.0, "left_out": [[0, 2]], **options}
    estimator = build("transformer_classifier", config, LAYOUT, seed=1)
    fit(estimator, train, None, TRAINING)
    return estimator


def _relation_auc(estimator, batch: Batch) -> AucEstimate:
    """Return how well pairs of jets that share the first relation are told from those that share none."""
    with torch.no_grad():
        logits = estimator.relation_logits(batch.condition)[:, 1:4, 1:4]
    true = relation_classes(batch.target.objects["ancestry"])[:, 1:4, 1:4]
    mask = batch.condition.objects["objects"].mask[:, 1:4]
    there = (mask[:, :, None] & mask[:, None]).triu(1)
    score = logits[..., 0] - logits[..., 2]
    return auc(score[there & (true == 2)].numpy(), score[there & (true == 0)].numpy())


def _with_random_ancestry(batch: Batch, seed: int) -> Batch:
    mask = batch.condition.objects["objects"].mask
    numbers = Stream(seed, "random ancestry").at().integers(0, 3, (len(batch), 5, 2))
    target = Events(batch.target.flat, {"ancestry": ObjectSet(torch.from_numpy(numbers).float(), mask)})
    return Batch(batch.condition, target, batch.weight, batch.index)


def test_planted_relations_are_learned_and_random_ones_are_not():
    train, test = _single(toy(2500)), _single(toy(2500, seed=2))
    estimator = _trained(train)
    found = _relation_auc(estimator, test)
    assert found.value > 0.8  # jets of one particle are neighbours
    with torch.no_grad():
        scores = torch.softmax(estimator.logits(test.condition), dim=1)[:, 1].numpy()
    label = test.target.flat[:, 0].numpy()
    learned = auc(scores[label == 0], scores[label == 1])
    assert learned.value - 0.5 > 5 * learned.error  # and the class beside
    chance = _relation_auc(_trained(_with_random_ancestry(train, 3)), _with_random_ancestry(test, 4))
    assert abs(chance.value - 0.5) < 5 * chance.error


def test_relations_need_ancestors_and_a_weight(make):
    batch = toy(100)
    estimator = build(*KINDS["decay aware"], LAYOUT).double()
    for lists in ({}, {"ancestry": ObjectSet(torch.zeros(100, 5, 1), batch.condition.objects["objects"].mask)}):
        with pytest.raises(DataError, match="of 2 relations; declare as many"):
            estimator.prepare([Batch(batch.condition, Events(batch.target.flat, lists), batch.weight, batch.index)])
    with pytest.raises(ConfigError, match="needs decay relations"):
        build("graph_classifier", {"decay_weight": 1.0}, LAYOUT)
    classifier, _ = make("transformer")
    with pytest.raises(ConfigError, match="knows no relations"):
        classifier.relation_logits(batch.condition)


def test_relation_logits_have_one_row_for_each_ordered_pair(make):
    estimator, batch = make("decay aware")
    logits = estimator.relation_logits(batch.condition)
    assert logits.shape == (len(batch), 5, 5, 3)
    assert not torch.allclose(logits, logits.transpose(1, 2))
    assert bool(torch.isfinite(logits).all())


def test_padding_changes_no_relation(make):
    estimator, batch = make("decay aware")
    objects = batch.condition.objects["objects"]
    there = objects.mask[:, :, None] & objects.mask[:, None]
    logits = estimator.relation_logits(batch.condition)[there]
    for junk, equal in ((math.nan, True), (-1.0, True), (None, False)):  # the last one: what exists is changed
        values = torch.where(objects.mask[..., None], objects.values, torch.full_like(objects.values, junk or 0.0))
        values = values if equal else values * torch.tensor([3.0, 1.0, 1.0, 1.0, 1.0])
        found = estimator.relation_logits(with_objects(batch.condition, values, objects.mask))[there]
        assert torch.equal(found, logits) is equal


def test_the_best_epoch_is_that_of_the_classes(make):
    estimator, batch = make("decay aware")
    (objective,), rng = estimator.objectives(), Stream(1, "loss")
    validated = objective.loss(batch, rng.at())
    assert torch.equal(validated.total, validated.terms["class"])
    assert bool((validated.terms["relation"] > 0).any())
    trained = estimator.train().objectives()[0].loss(batch, rng.at())
    added = estimator.config.decay_weight * trained.terms["relation"]
    torch.testing.assert_close(trained.total, trained.terms["class"] + added)


@pytest.mark.parametrize("pairwise", [False, True])
def test_features_of_pairs_are_computed_where_somebody_looks_at_them(make, monkeypatch, pairwise):
    asked, pairs = [], Kinematics.pairs
    monkeypatch.setattr(Kinematics, "pairs", lambda self, objects: (asked.append(1), pairs(self, objects))[1])
    for kind in ("transformer", "decay aware"):
        estimator, batch = make(kind, backbone={**KINDS[kind][1]["backbone"], "pairwise": pairwise})
        estimator.logits(batch.condition)
        assert bool(asked) is pairwise
        asked.clear()
    estimator.relation_logits(batch.condition)
    assert asked


def _pretrained(**backbone):
    estimator = build("object_pretraining", {"backbone": {**SMALL, **backbone}}, Layout((), (), {"objects": OBJECTS}))
    estimator.prepare([_single(toy(200, seed=5))])
    return estimator.eval()


def test_a_backbone_is_adopted_with_its_scaling():
    pretrained = _pretrained()
    classifier = build("transformer_classifier", {"backbone": SMALL, "freeze": True}, LAYOUT, seed=7)
    other = build("transformer_classifier", {"backbone": SMALL, "freeze": True}, LAYOUT, seed=7)
    classifier.adopt(pretrained, range(TYPES))
    batch = _single(toy(300))
    for one in (classifier, other):
        fit(one, batch, None, TrainingConfig(epochs=2))
    theirs, ours = pretrained.backbone.state_dict(), classifier.backbone.state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)  # frozen: to the bit after training as well
    assert not torch.equal(other.backbone.kinematics.mean, pretrained.backbone.kinematics.mean)  # negative control
    assert bool(classifier.flat.mean.abs() > 0)  # what the pre-training did not see is measured


def test_a_backbone_of_fewer_types_is_adopted_by_their_numbers():
    two = (*OBJECTS[:-1], Variable("type", integer=True, bounds=(-0.5, 1.5)))
    pretrained = build("object_pretraining", {"backbone": SMALL}, Layout((), (), {"objects": two}), seed=3)
    classifier, scratch = (build("transformer_classifier", {"backbone": SMALL}, LAYOUT, seed=7) for _ in range(2))
    before = classifier.backbone.embedding.weight.detach().clone()
    classifier.adopt(pretrained, [0, 2])
    theirs, ours = pretrained.backbone.state_dict(), classifier.backbone.state_dict()
    for name in set(theirs) - {"embedding.weight"}:
        assert torch.equal(ours[name], theirs[name]) or name.startswith("kinematics."), name
    found, other = ours["embedding.weight"], theirs["embedding.weight"]
    assert torch.equal(found[:, :5], other[:, :5])
    assert torch.equal(found[:, [5, 7]], other[:, 5:])
    assert torch.equal(found[:, 6], before[:, 6])  # ours alone, as it was
    # Of objects that it never saw its scaling says nothing: they are scaled as from scratch.
    pretrained.backbone.kinematics.mean.fill_(30.0)
    classifier.adopt(pretrained, [0, 2])
    for one in (classifier, scratch):
        one.prepare([_single(toy(300))])
    for name, value in scratch.backbone.kinematics.state_dict().items():
        assert torch.equal(classifier.backbone.kinematics.state_dict()[name], value), name
    for wrong in ([0], [0, 3], [0, 1, 2], [2, 0], [1, 1]):
        with pytest.raises(ConfigError, match="made for 2 types of objects, this one for 3"):
            classifier.adopt(pretrained, wrong)


def test_slow_layers_move_less():
    moved = []
    for rate in (1.0, 0.03):
        classifier = build("transformer_classifier", {"backbone": SMALL, "layer_rate": rate}, LAYOUT, seed=7)
        before = classifier.backbone.embedding.weight.detach().clone()
        fit(classifier, _single(toy(300)), None, TrainingConfig(epochs=2, batch_size=100))
        moved.append(float((classifier.backbone.embedding.weight.detach() - before).abs().max()))
    assert moved[1] < 0.01 * moved[0]
    assert moved[1] > 0


def test_what_cannot_be_adopted_is_refused():
    classifier = build("transformer_classifier", {"backbone": SMALL}, LAYOUT)
    with pytest.raises(ConfigError, match="has width = 8, this one 16"):
        classifier.adopt(_pretrained(width=8), range(TYPES))
    with pytest.raises(ConfigError, match="has pairwise = False, this one True"):
        classifier.adopt(_pretrained(pairwise=False), range(TYPES))
    four = (*OBJECTS[:-1], Variable("type", integer=True, bounds=(-0.5, 3.5)))
    wider = build("object_pretraining", {"backbone": SMALL}, Layout((), (), {"objects": four}))
    with pytest.raises(ConfigError, match="made for 4 types of objects, this one for 3"):
        classifier.adopt(wider, range(4))
    with pytest.raises(ConfigError, match="has no backbone"):
        classifier.adopt(build("mlp_classifier", {}, LAYOUT), range(TYPES))


@pytest.mark.parametrize("name", ["classify", "classify_paper", "decay_aware", "mlp", "boosted_trees"])
def test_presets_build_and_score(name):
    estimator, config = PRESETS[name]
    built = build(estimator, {**config, **({"relations": 2} if name == "decay_aware" else {})}, LAYOUT)
    batch = _single(toy(60))
    built.prepare([batch])
    assert built.eval().logits(batch.condition).shape == (60, 2)
