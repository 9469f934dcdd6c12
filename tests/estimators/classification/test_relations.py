"""Relations of pairs: the first that two objects share, which pairs are judged, and equal weight of all relations."""

from __future__ import annotations

import torch

from castalia.estimators.base import Events, ObjectSet
from castalia.estimators.classification.object_tensors import object_tensors
from castalia.estimators.classification.relations import RelationHead, judged_pairs, relation_classes

from .conftest import TYPES, toy


def test_the_first_shared_ancestor_counts_and_zero_is_none():
    numbers = torch.tensor([[[1, 5], [1, 5], [2, 5], [0, 0], [0, 0]]])
    found = relation_classes(ObjectSet(numbers, torch.ones(1, 5, dtype=torch.bool)))[0]
    assert found[0].tolist() == [0, 0, 1, 2, 2]
    assert found[3].tolist() == [2, 2, 2, 2, 2]  # that both have none is nothing in common
    assert torch.equal(found, found.t())


def test_pairs_of_one_object_of_padding_and_of_types_left_out_are_not_judged():
    objects = object_tensors(toy(50).condition, TYPES, torch.ones(1))
    judged = judged_pairs(objects, [(2, 0)])
    assert not bool(judged.diagonal(dim1=1, dim2=2).any())
    assert not bool(judged[~objects.mask].any())
    assert not bool(judged[:, 0, 4].any() or judged[:, 4, 0].any())  # lepton and missing momentum
    assert torch.equal(judged[:, 1, 2], objects.mask[:, 1] & objects.mask[:, 2])
    assert bool(judged_pairs(objects, [])[:, 0, 4].any())  # negative control


def test_every_relation_counts_alike():
    """The mean loss of a constant score is the mean over relations of what each costs, however many pairs have it."""
    batch = toy(400)
    objects = object_tensors(batch.condition, TYPES, torch.ones(1).double())
    head = RelationHead(4, 2, [(0, 2)]).double()
    head.update(batch.target, objects, batch.weight)
    head.finish()
    assert head.frequency[1] == 0  # only lepton and missing momentum share it, and they are left out
    constant = torch.tensor([1.0, 0.0, 2.5], dtype=torch.float64)
    loss = head.loss(constant.expand(400, 5, 5, 3), batch.target, objects).mean()
    each = -torch.log_softmax(constant, dim=0)[[0, 2]]
    assert torch.allclose(loss, each.mean())
    assert not torch.allclose(loss, (each * head.frequency[[0, 2]]).sum() / head.frequency.sum())  # unbalanced


def test_counts_are_those_of_all_chunks():
    batch = toy(400)
    counted = []
    for size in (400, 37):
        head = RelationHead(4, 2, ()).double()
        for piece in batch.chunks(size):
            head.update(piece.target, object_tensors(piece.condition, TYPES, torch.ones(1)), piece.weight)
        head.finish()
        counted.append(head.frequency)
    assert torch.allclose(*counted)
    mask = batch.condition.objects["objects"].mask
    assert torch.allclose(counted[0][0], 2 * (mask[:, 2] & mask[:, 3]).double().mean())


def test_ancestry_may_be_of_any_integer():
    numbers = torch.tensor([[[-3.0], [-3.0]]])
    target = Events(torch.zeros(1, 0), {"ancestry": ObjectSet(numbers, torch.ones(1, 2, dtype=torch.bool))})
    assert relation_classes(target.objects["ancestry"])[0, 0, 1] == 0
