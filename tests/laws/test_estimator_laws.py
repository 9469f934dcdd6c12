"""What must hold of every estimator: reproducible samples, faithful storage, weights as duplicates, live conditions."""

from __future__ import annotations

import math

import pytest
import torch

from castalia.estimators.base import Batch, Density, Estimator, Events, ObjectSet, Sampler
from castalia.estimators.classification.classifier import EventClassifier
from castalia.estimators.registry import BUILT_IN, PRESETS
from castalia.estimators.storage import load_model, model_hash, save_model
from castalia.rng import Stream


def test_every_estimator_that_samples_stands_under_the_laws(kinds):
    samplers = {name for name, known in BUILT_IN.items() if issubclass(known, Sampler)}
    # Samplers of pixels need an array of sensors; tests/estimators/pixels holds them to the same.
    pixels = {name for name in samplers if BUILT_IN[name].__module__.startswith("castalia.estimators.pixels.")}
    assert {name for name, _ in kinds.values()} == samplers - pixels
    others = {name for name, known in BUILT_IN.items() if issubclass(known, EventClassifier)}
    assert {name for name, _ in PRESETS.values()} <= samplers | others


def test_sampling_is_reproducible(make, kind, size):
    estimator, events = make(kind, size)
    condition = events.condition.map(lambda c: c[:50])
    stream = Stream(7, "sampling")
    first = estimator.sample(condition, 2, stream.at(3)).flat
    assert first.shape == (100, size)
    assert first.dtype == torch.float64
    assert not first.requires_grad
    assert torch.equal(first, estimator.sample(condition, 2, stream.at(3)).flat)
    assert not torch.equal(first, estimator.sample(condition, 2, stream.at(4)).flat)


def test_draws_of_one_event_are_neighbours(make, kind, undisturbed):
    estimator, events = make(kind, 1, scramble=0.0)
    undisturbed(estimator)
    condition = events.condition.map(lambda c: c[:2].clone())
    condition.flat[0] = torch.tensor([21.0, 20.5, 20.0])
    condition.flat[1] = torch.tensor([400.0, 20.5, 20.0])
    stream = Stream(8, "sampling")
    both = estimator.sample(condition, 3, stream.at()).flat
    alone = estimator.sample(condition.map(lambda c: c[:1]), 3, stream.at()).flat
    assert torch.allclose(both[:3], alone)
    assert not torch.allclose(both[3:], alone)


def test_saving_and_loading_changes_no_number(make, kind, size, tmp_path):
    estimator, events = make(kind, size)
    save_model(tmp_path / "model", estimator, estimator.layout, {"note": "ü"})
    loaded = load_model(tmp_path / "model")
    assert loaded.layout == estimator.layout
    assert loaded.extra == {"note": "ü"}
    assert type(loaded.estimator) is type(estimator)
    assert loaded.estimator.config == estimator.config
    before, after = estimator.state_dict(), loaded.estimator.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    stream = Stream(9, "sampling")
    if isinstance(estimator, Density):
        assert torch.equal(loaded.estimator.log_prob(events), estimator.log_prob(events))
    drawn = loaded.estimator.sample(events.condition, 1, stream.at()).flat
    assert torch.equal(drawn, estimator.sample(events.condition, 1, stream.at()).flat)
    again = model_hash(tmp_path / "model")
    estimator.targets.mean += 1e-6  # negative control: another number is another model
    save_model(tmp_path / "other", estimator, estimator.layout)
    assert model_hash(tmp_path / "other") != again


def test_a_weight_of_two_equals_the_event_twice(make, kind, size):
    estimator, events = make(kind, size)
    weight = 1.0 + (torch.arange(len(events)) % 2).double()
    twice = torch.arange(len(events)).repeat_interleave(weight.long())
    weighted = Batch(events.condition, events.target, weight, events.index)
    duplicated = events.take(twice)
    for objective in estimator.objectives():
        one, two = (objective.loss(batch, Stream(1, "").at()).total.detach() for batch in (weighted, duplicated))
        again = objective.loss(weighted, Stream(1, "").at(1)).total.detach()
        # Five standard errors of the two means' difference where the loss is drawn, and zero where it is not.
        noise = 5 * float((again - one).std()) / math.sqrt(len(one))
        mean = (weight * one).sum() / weight.sum()
        assert abs(float(mean - two.mean())) <= 1e-8 + 1e-5 * abs(float(mean)) + noise
    states = []
    for batch in (weighted, duplicated, events):
        estimator.prepare(batch.chunks(777))
        states.append({name: values.clone() for name, values in estimator.state_dict().items()})
        # How many edges are found depends on the evidence, and an event that is there twice is no new evidence.
        states[-1].pop("conditions.embedding.edges", None)
    same = [torch.allclose(a.double(), b.double(), rtol=1e-6, equal_nan=True) for a, b in _pairs(states[0], states[1])]
    other = [torch.allclose(a.double(), b.double(), rtol=1e-6, equal_nan=True) for a, b in _pairs(states[0], states[2])]
    assert all(same)
    assert not all(other)  # negative control: without the weights the statistics differ


def _pairs(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(one[name], two[name]) for name in one]


def test_conditions_matter(make, density, size):
    estimator, events = make(density, size)
    moved = Events(events.condition.flat * torch.tensor([3.0, 3.0, 0.2]), events.condition.objects)
    original = estimator.log_prob(events)
    assert not torch.allclose(estimator.log_prob(Batch(moved, events.target, events.weight, events.index)), original)
    # Negative control: the same condition gives the same density.
    same = events.condition.map(torch.clone)
    assert torch.equal(estimator.log_prob(Batch(same, events.target, events.weight, events.index)), original)


def test_objects_matter(make, event_density, size):
    estimator, events = make(event_density, size)
    original, condition = estimator.log_prob(events), events.condition
    one = condition.objects["clusters"]
    moved = Events(condition.flat, {"clusters": ObjectSet(3 * one.values, one.mask)})
    changed = estimator.log_prob(Batch(moved, events.target, events.weight, events.index)) - original
    there = one.mask.any(1)
    assert bool((changed[there].abs() > 1e-9).all())
    assert bool((changed[~there] == 0).all())  # negative control: nothing but padding moved
    assert 0 < int(there.sum()) < len(there)


def test_every_event_is_scored_by_itself(make, density, size):
    estimator, events = make(density, size)
    whole = estimator.log_prob(events)
    assert torch.allclose(torch.cat([estimator.log_prob(c) for c in events.chunks(333)]), whole)
    assert whole.shape == (len(events),)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_precision_follows_the_module(make, kind, densities, precision):
    estimator, events = make(kind, 2)
    estimator = estimator.to(precision)
    assert isinstance(estimator, Density) == (kind in densities)
    if isinstance(estimator, Density):
        assert estimator.log_prob(events).dtype == precision
    assert estimator.sample(events.condition, 1, Stream(1, "").at()).flat.dtype == precision
    assert isinstance(estimator, Estimator)
    assert isinstance(estimator, Sampler)
