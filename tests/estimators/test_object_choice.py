"""Which object a particle is: a distribution that adds up, is drawn from, forgets the order, and sharpens the rest."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Decays, Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.base import Batch, Events, ObjectSet
from castalia.estimators.event_encoder import EncodedEvents, EventEncoder, EventEncoderConfig
from castalia.estimators.event_flows import EventFlow
from castalia.estimators.object_choice import TYPICAL, ObjectChoice
from castalia.estimators.registry import build
from castalia.rng import Stream

MOMENTUM = (Variable("pt", "GeV", transform="log"), Variable("eta"), Variable("phi", "rad", transform="angle"))
PLACES = {"up": "jet", "down": "jet", "spark": "track"}
LAYOUT = Layout(
    (Variable("c"),),
    (Variable("x"), *(Variable(name) for name in PLACES)),
    {"jet": MOMENTUM, "track": (Variable("d0"),)},
    PLACES,
)
SMALL = {"encoder": {"width": 8, "heads": 2, "blocks": 1}}


def conditions(count: int, counter: int = 1) -> Events:
    rng = Stream(counter, "object choice").at()
    momenta = [rng.exponential(50, (count, 3)) + 1, rng.normal(size=(count, 3)), rng.uniform(-3, 3, (count, 3))]
    lists = {
        "jet": ObjectArrays(np.stack(momenta, axis=2), rng.random((count, 3)) < 0.6),
        "track": ObjectArrays(rng.normal(size=(count, 2, 1)), rng.random((count, 2)) < 0.6),
    }
    return events_from_array(rng.normal(size=(count, 1)), torch.float64, lists)


def made() -> tuple[EventEncoder, ObjectChoice]:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(3)
        encoder = EventEncoder(LAYOUT, EventEncoderConfig(width=8, heads=2, blocks=1))
        choice = ObjectChoice(LAYOUT, encoder).double()
        torch.nn.init.normal_(choice.again)
    encoder = encoder.double()
    encoder.update(conditions(500), torch.ones(500))
    encoder.finish()
    return encoder, choice


def possible(events: EncodedEvents, row: int) -> list[tuple[int, ...]]:
    """Return all choices of one event."""
    per_list = [[-1, *events.mask[row, events.lists == at].nonzero()[:, 0].tolist()] for at in (0, 1)]
    return list(itertools.product(per_list[0], per_list[0], per_list[1]))


def of_all(encoder: EventEncoder, choice: ObjectChoice, given: Events) -> dict[tuple[int, ...], float]:
    """Return the probabilities of all choices of a single event."""
    events = encoder.encode(given)
    every = possible(events, 0)
    _, log_prob = choice(events.repeated(len(every)), torch.tensor(every, dtype=torch.float64))
    return dict(zip(every, log_prob.exp().tolist(), strict=True))


def one(events: Events, row: int) -> Events:
    return events.map(lambda values: values[row : row + 1])


def test_the_probabilities_of_all_choices_add_up():
    encoder, choice = made()
    with torch.no_grad():
        found = [of_all(encoder, choice, one(conditions(30), row)) for row in range(30)]
    for every in found:
        assert sum(every.values()) == pytest.approx(1, abs=1e-12)
    assert {len(every) for every in found} >= {2, 3, 8, 12}  # one object, and several


def test_choices_are_drawn_with_their_probabilities():
    encoder, choice = made()
    given = one(conditions(30), 4)
    with torch.no_grad():
        expected = of_all(encoder, choice, given)
        vectors, places = choice.draw(encoder.encode(given).repeated(20_000), Stream(7, "draws").at())
        again, _ = choice(encoder.encode(given).repeated(20_000), places)
    assert torch.equal(vectors, again)  # what a model is trained on is what it draws from
    assert len(expected) > 8
    counts = dict.fromkeys(expected, 0)
    for row in places.tolist():
        counts[tuple(row)] += 1
    pulls = [(counts[key] - 20_000 * p) / math.sqrt(20_000 * p * (1 - p)) for key, p in expected.items()]
    assert np.square(pulls).sum() < 2.5 * len(pulls)
    assert max(map(abs, pulls)) < 4
    uniform = [(n - 20_000 / len(pulls)) / math.sqrt(20_000 / len(pulls)) for n in counts.values()]
    assert np.square(uniform).sum() > 20 * len(pulls)


def test_neither_order_nor_padding_matters():
    encoder, choice = made()
    given = conditions(40)
    order = torch.tensor([2, 0, 1])

    def changed(objects: ObjectSet) -> ObjectSet:
        padded = torch.cat([objects.values[:, order], torch.full_like(objects.values[:, :2], 7.0)], dim=1)
        return ObjectSet(padded, torch.cat([objects.mask[:, order], torch.zeros(40, 2, dtype=torch.bool)], dim=1))

    moved = Events(given.flat, {**given.objects, "jet": changed(given.objects["jet"])})
    with torch.no_grad():
        for row in range(40):
            before = of_all(encoder, choice, one(given, row))
            after = of_all(encoder, choice, one(moved, row))
            new = {-1: -1, **{int(old): at for at, old in enumerate(order)}}
            for (up, down, spark), probability in before.items():
                assert after[new[up], new[down], spark] == pytest.approx(probability, abs=1e-12)


@pytest.mark.parametrize("place", [3.0, 7.0, -2.0, 0.5, float("nan")])
def test_a_place_where_nothing_is_gets_a_sentence(place):
    target = np.zeros((20, 4))
    target[:, 0], target[:, 1:] = np.arange(20), -1
    given = conditions(20)
    model = build("event_flow_matching", {**SMALL, "hidden": [8]}, LAYOUT).double()

    def batch(values: np.ndarray) -> Batch:
        return Batch(given, events_from_array(values, torch.float64), torch.ones(20), torch.arange(20))

    model.prepare([batch(target)])
    target[11, 2] = place
    with pytest.raises(DataError, match=r"'down' is .* in row 11 .* 'jet' has \d objects"):
        model.prepare([batch(target)])


def test_a_list_that_is_not_there_gets_a_sentence():
    layout = Layout(LAYOUT.condition, LAYOUT.target, LAYOUT.condition_objects, {"up": "jets"})
    with pytest.raises(ConfigError, match="'up' is a place in 'jets', which is no list; choose from jet, track"):
        build("event_flow_matching", SMALL, layout)


def peaks(count: int) -> Batch:
    """Of two jets the first with probability 0.8; the target is its logarithm of pt, measured to 0.05."""
    rng = Stream(1, "peaks").at()
    pt = np.exp(rng.uniform(3, 6, (count, 2)))
    first = rng.random(count) < 0.8
    lists = {"jet": ObjectArrays(np.stack([pt, 0 * pt + [0.5, -0.5], 0 * pt], axis=2), np.ones((count, 2), bool))}
    x = np.log(np.where(first, pt[:, 0], pt[:, 1])) + 0.05 * rng.normal(size=count)
    return batch_from_arrays(rng.normal(size=(count, 1)), np.column_stack([x, ~first]), objects=lists)


@pytest.mark.parametrize("known", [True, False])
def test_a_distribution_of_two_peaks_becomes_one_with_one(known, train_briefly):
    places = {"own": "jet"} if known else {}
    layout = Layout((Variable("c"),), (Variable("x"), Variable("own")), {"jet": MOMENTUM}, places)
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(1)
        model = build("event_flow_matching", {**SMALL, "hidden": [32, 32], "affine_hidden": [64]}, layout)
    assert isinstance(model, EventFlow)
    events = peaks(20_000)
    train_briefly(model, events, 300, 4e-3, 256, Stream(2, "peaks").at())
    test = peaks(2_000)
    x, own = model.sample(test.condition, 1, Stream(3, "peaks").at()).flat.numpy().astype(float).T
    pt = test.condition.objects["jet"].values[:, :, 0].numpy().astype(float)
    own = np.clip(np.rint(own), 0, 1).astype(int)
    off = np.abs(x - np.log(pt[np.arange(len(pt)), own]))
    spread = float(np.quantile(off, 0.9))
    if known:
        assert own.mean() == pytest.approx(0.2, abs=0.03)
        assert spread < 0.12  # 0.082 if it were perfect
    else:
        assert spread > 0.3


def test_vectors_end_with_what_was_measured():
    flat = (Variable("met_pt", "GeV", transform="log"), Variable("met_phi", "rad", transform="angle"), Variable("c"))
    decays = Decays({}, {"up": 0.0}, {"up": ("track", "jet")})
    layout = replace(LAYOUT, condition=flat, decays=decays)
    encoder = EventEncoder(layout, EventEncoderConfig(width=8, heads=2, blocks=1)).double()
    choice = ObjectChoice(layout, encoder).double()
    given, rng = conditions(60), Stream(2, "object choice").at()
    met = np.column_stack([rng.exponential(30, 60) + 1, rng.uniform(-3, 3, 60), np.ones(60)])
    given = replace(given, flat=torch.from_numpy(met))
    encoder.update(replace(given, flat=torch.from_numpy(met + rng.random(met.shape))), torch.ones(60))
    encoder.finish()
    vectors, places = choice.draw(encoder.encode(given), Stream(1, "draw").at())
    assert vectors.shape == (60, choice.width)
    measured = choice.measured(vectors)
    expected = met[:, 0] * np.stack([np.cos(met[:, 1]), np.sin(met[:, 1])])
    assert measured.flat.shape == (60, choice.flat_momenta, 2) == (60, 1, 2)
    np.testing.assert_allclose(measured.flat[:, 0].detach(), expected.T, atol=1e-9)
    jets = given.objects["jet"]
    for row in range(60):
        for number, place in enumerate(places[row].long().tolist()):
            found = measured.objects[row, number].detach().numpy()
            if place < 0 or number == 2:  # a track has no momentum
                assert not found.any()
                continue
            pt, eta, phi = jets.values[row, place].tolist()
            np.testing.assert_allclose(found, [1, np.log(pt) - TYPICAL, eta, np.cos(phi), np.sin(phi)], atol=1e-9)
        # Where there is a track it leads, without a momentum; else the jet with the largest pt.
        found = measured.objects[row, 3].detach().numpy()
        if given.objects["track"].mask[row].any() or not jets.mask[row].any():
            assert not found.any()
        else:
            largest = torch.where(jets.mask[row], jets.values[row, :, 0], 0.0).max()
            assert found[1] == pytest.approx(float(largest.log()) - TYPICAL)
