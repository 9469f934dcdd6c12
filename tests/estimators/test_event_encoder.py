"""Encoding of events with lists: what is padding, order, number and period of the condition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Events, ObjectSet
from castalia.estimators.event_encoder import EventEncoder, EventEncoderConfig
from castalia.rng import Stream

TARGET = (Variable("x"),)
JETS = (Variable("pt", "GeV", transform="log"), Variable("phi", "rad", transform="angle"))
LEPTONS = (Variable("pt", "GeV", transform="log"),)
LAYOUT = Layout((Variable("met", "GeV", transform="log"), Variable("met_phi", transform="angle")), TARGET, {})
WITH_LISTS = Layout(LAYOUT.condition, TARGET, {"jets": JETS, "leptons": LEPTONS})


def _events(count: int, seed: int = 1, jets: int = 4) -> Events:
    rng = Stream(seed, "events").at()
    flat = np.stack([rng.exponential(40, count), rng.uniform(-math.pi, math.pi, count)], axis=1)
    values = np.stack([rng.exponential(60, (count, jets)), rng.uniform(-math.pi, math.pi, (count, jets))], axis=2)
    objects = {
        "jets": ObjectArrays(values, rng.random((count, jets)) < 0.6),
        "leptons": ObjectArrays(rng.exponential(30, (count, 1, 1)), rng.random((count, 1)) < 0.5),
    }
    return events_from_array(flat, torch.float64, objects)


def _encoder(layout: Layout, seen: Events | None = None) -> EventEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(1)
        encoder = EventEncoder(layout, EventEncoderConfig(width=8, heads=2)).double()
    events = _events(500) if seen is None else seen
    encoder.update(events, torch.ones(len(events)))
    encoder.finish()
    return encoder


def _with(events: Events, name: str, values: Tensor, mask: Tensor) -> Events:
    return Events(events.flat, {**events.objects, name: ObjectSet(values, mask)})


def test_padding_changes_nothing():
    encoder, events = _encoder(WITH_LISTS), _events(40, 2)
    out, jets = encoder(events), events.objects["jets"]
    for junk in (math.nan, -1.0, 1e30):
        filled = torch.where(jets.mask[..., None], jets.values, torch.full_like(jets.values, junk))
        assert torch.equal(encoder(_with(events, "jets", filled, jets.mask)), out)
    wider = torch.cat([jets.values, torch.zeros(40, 3, 2)], dim=1)
    more = torch.cat([jets.mask, torch.zeros(40, 3, dtype=torch.bool)], dim=1)
    assert torch.equal(encoder(_with(events, "jets", wider, more)), out)
    # Negative control: the same values where there is an object.
    changed = encoder(_with(events, "jets", 2 * jets.values, jets.mask))
    assert bool(((changed - out).abs().amax(1) > 1e-6)[jets.mask.any(1)].all())


def test_the_order_of_objects_changes_nothing_and_the_list_does():
    encoder, events = _encoder(WITH_LISTS), _events(40, 2)
    out, jets = encoder(events), events.objects["jets"]
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(encoder(_with(events, "jets", jets.values[:, order], jets.mask[:, order])), out)
    both = Layout(LAYOUT.condition, TARGET, {"one": LEPTONS, "two": LEPTONS})
    lists = {"one": events.objects["leptons"], "two": ObjectSet(jets.values[..., :1], jets.mask)}
    swapped = {"one": lists["two"], "two": lists["one"]}
    told_apart = _encoder(both, Events(events.flat, lists))
    there = torch.cat([jets.mask, events.objects["leptons"].mask], dim=1).any(1)
    difference = told_apart(Events(events.flat, swapped)) - told_apart(Events(events.flat, lists))
    assert bool((difference.abs().amax(1) > 1e-6)[there].all())


def test_any_number_of_objects_is_taken():
    encoder = _encoder(WITH_LISTS)
    many = encoder(_events(30, 3, jets=11))
    assert bool(torch.isfinite(many).all())
    events = _events(30, 2)
    none = encoder(_with(events, "jets", torch.zeros(30, 0, 2), torch.zeros(30, 0, dtype=torch.bool)))
    masked = encoder(_with(events, "jets", events.objects["jets"].values, torch.zeros(30, 4, dtype=torch.bool)))
    assert torch.equal(none, masked)
    assert encoder(events.map(lambda v: v[:0])).shape == (0, 8)


def test_events_are_encoded_as_if_alone_however_many_there_are():
    encoder, events = _encoder(WITH_LISTS), _events(600, 4)
    vectors, encoded = encoder(events), encoder.encode(events)
    for row in (0, 299, 599):
        event = events.map(lambda values, at=row: values[at : at + 1])
        alone = encoder.encode(event)
        there, its = encoded.mask[row], alone.mask[0]
        assert torch.allclose(vectors[row], encoder(event)[0])
        assert torch.allclose(encoded.event[row], alone.event[0])
        assert torch.allclose(encoded.objects[row][there], alone.objects[0][its])
        assert torch.equal(encoded.momenta[row][there], alone.momenta[0][its])
        assert torch.equal(encoded.lists[there], alone.lists[its])
    assert not torch.allclose(vectors[0], vectors[299])  # negative control


def test_an_angle_has_no_ends_and_a_logarithm_takes_ratios():
    encoder, events = _encoder(WITH_LISTS), _events(40, 2)
    turned = events.map(lambda v: v + 2 * math.pi * torch.tensor([0.0, 1.0]) if v.shape[-1] == 2 else v)
    assert torch.allclose(encoder(turned), encoder(events))
    half = events.map(lambda v: v + math.pi * torch.tensor([0.0, 1.0]) if v.shape[-1] == 2 else v)
    assert not torch.allclose(encoder(half), encoder(events))  # negative control
    scaled = _events(500).map(lambda v: v * torch.tensor([1e3, 1.0]) if v.shape[-1] == 2 else v)
    in_mev = _encoder(WITH_LISTS, scaled)  # another unit of what has a logarithm is no other model
    assert torch.allclose(in_mev(scaled.map(lambda v: v[:40])), encoder(_events(500).map(lambda v: v[:40])))


def test_statistics_are_those_of_the_objects_that_exist():
    events = _events(500)
    jets, leptons = events.objects["jets"], events.objects["leptons"]
    weight = 1.0 + (torch.arange(500) % 3).double()
    encoder = EventEncoder(WITH_LISTS, EventEncoderConfig(width=8, heads=2)).double()
    for rows in torch.arange(500).split(70):
        encoder.update(events.map(lambda v, r=rows: v[r]), weight[rows])
    encoder.finish()
    by_hand = jets.values[jets.mask][:, 0].log()
    each = weight.repeat_interleave(jets.mask.sum(1))
    mean = (each * by_hand).sum() / each.sum()
    assert float(encoder.objects[0].mean[0]) == pytest.approx(float(mean), rel=1e-10)
    assert float(encoder.objects[0].mean[1]) == 0  # of an angle nothing is subtracted
    assert float(encoder.objects[0].mean[0]) != pytest.approx(float(by_hand.mean()), rel=1e-4)
    assert float(encoder.objects[1].mean[0]) == pytest.approx(
        float((weight[leptons.mask[:, 0]] * leptons.values[leptons.mask][:, 0].log()).sum())
        / float(weight[leptons.mask[:, 0]].sum())
    )


def test_flat_variables_alone_or_lists_alone_are_enough():
    events = _events(40, 2)
    flat = _encoder(LAYOUT)
    assert torch.equal(flat(Events(events.flat)), flat(events))  # lists that the layout does not name are not looked at
    assert not torch.allclose(flat(Events(events.flat.roll(1, 0))), flat(Events(events.flat)))
    lists = Layout((), TARGET, {"jets": JETS})
    bare = Events(torch.zeros(40, 0, dtype=torch.float64), {"jets": events.objects["jets"]})
    alone = _encoder(lists, bare)(bare)
    assert alone.shape == (40, 8)
    assert not torch.allclose(alone[0], alone[1])


def test_misuse_is_named():
    with pytest.raises(ConfigError, match="no condition"):
        EventEncoder(Layout((), TARGET), EventEncoderConfig())
    with pytest.raises(ValueError, match="heads = 3 does not divide width = 64"):
        EventEncoderConfig(heads=3)
    encoder, events = _encoder(WITH_LISTS), _events(5)
    with pytest.raises(DataError, match="no list 'leptons'.*jets, leptons"):
        encoder(Events(events.flat, {"jets": events.objects["jets"]}))
    jets = events.objects["jets"]
    with pytest.raises(DataError, match="'jets.pt' is -1"):
        encoder(_with(events, "jets", torch.full_like(jets.values, -1), torch.ones_like(jets.mask)))
    with pytest.raises(DataError, match="2 columns"):
        encoder(Events(events.flat[:, :1], events.objects))
    with pytest.raises(DataError, match=r"has shape .*jets.pt, jets.phi"):
        encoder(_with(events, "jets", jets.values[..., :1], jets.mask))
    empty = _with(events, "leptons", torch.ones(5, 1, 1), torch.zeros(5, 1, dtype=torch.bool))
    with pytest.raises(DataError, match="no training event"):
        _encoder(WITH_LISTS, empty)


FOUR = (*JETS, Variable("eta"), Variable("mass", "GeV"))
MOMENTA = Layout(LAYOUT.condition, TARGET, {"jets": FOUR, "leptons": LEPTONS})


def _with_momenta(count: int, seed: int) -> Events:
    events = _events(count, seed)
    events.objects["leptons"].mask[:3] = events.objects["jets"].mask[:3] = False
    jets, rng = events.objects["jets"], Stream(seed, "more of jets").at()
    more = torch.from_numpy(np.stack([rng.normal(0, 1.5, (count, 4)), rng.exponential(8, (count, 4))], axis=2))
    return _with(events, "jets", torch.cat([jets.values, more], dim=2), jets.mask)


def test_pairs_of_objects_steer_the_attention_whatever_the_padding_and_order():
    encoder, events = _encoder(MOMENTA, _with_momenta(500, 1)), _with_momenta(40, 2)
    assert _encoder(WITH_LISTS).pairs is None  # without pseudorapidities there are no masses
    out, jets = encoder(events), events.objects["jets"]
    filled = torch.where(jets.mask[..., None], jets.values, torch.full_like(jets.values, math.nan))
    assert torch.equal(encoder(_with(events, "jets", filled, jets.mask)), out)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(encoder(_with(events, "jets", jets.values[:, order], jets.mask[:, order])), out)
    none = encoder(_with(events, "jets", jets.values[:, :0], jets.mask[:, :0]))
    assert bool(torch.isfinite(none).all())
    # Negative control: another network of the pairs changes every event that has an object.
    with torch.no_grad():
        encoder.pair_bias.layers[-1].weight.mul_(3.0)
    changed = (encoder(events) - out).abs().amax(1) > 1e-9
    assert torch.equal(changed, jets.mask.any(1) | events.objects["leptons"].mask.any(1))


def test_without_pairs_the_encoder_sees_no_masses_of_them():
    config = EventEncoderConfig(width=8, heads=2, pairwise=False)
    encoder = EventEncoder(MOMENTA, config).double()
    events = _with_momenta(500, 1)
    encoder.update(events, torch.ones(500))
    encoder.finish()
    assert encoder.pairs is None
    assert encoder(events).shape == (500, 8)
