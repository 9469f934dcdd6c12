"""An exported classifier gives the probabilities of its model, for every kind, number of events and of objects."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from exported_classifiers import (
    CLASSES,
    KINDS,
    TYPES,
    WITH_FLAT,
    WITHOUT,
    Given,
    made,
    open_exported,
    some_events,
)
from exported_models import CONDITION, SIX

from castalia.data.layout import Layout
from castalia.errors import ConfigError
from castalia.estimators.classification.backbone import Backbone
from castalia.estimators.registry import build
from castalia.export.classifiers import classifier_model
from castalia.rng import Stream

CLOSE = 1e-5
"""What probabilities may differ by: float32 gives some 3e-7."""

EVENTS = [(1, 1), (1, 12), (7, 3), (64, 6), (500, 12)]
OF_PAIRS = [kind for kind in KINDS if "of pairs" in kind or kind in ("decay aware", "wider")]


@pytest.fixture(scope="module", params=[(kind, layout) for kind in KINDS for layout in (WITH_FLAT, WITHOUT)],
                ids=lambda one: f"{one[0]}{', flat' if one[1].condition else ''}")  # fmt: skip
def one(request):
    return open_exported(made(*request.param))


def padded(given: Given, places: int, filling: float) -> Given:
    """Put places without an object behind the others, and fill all those without one with a number."""
    objects = np.pad(given.objects, ((0, 0), (0, places), (0, 0)))
    mask = np.pad(given.mask, ((0, 0), (0, places)))
    return replace(given, objects=np.where(mask[..., None], objects, np.float32(filling)), mask=mask)


def shuffled(given: Given) -> Given:
    order = Stream(3, "exported classifiers").at().permuted(np.tile(np.arange(12), (len(given.mask), 1)), axis=1)
    return replace(
        given,
        objects=np.take_along_axis(given.objects, order[..., None], axis=1),
        mask=np.take_along_axis(given.mask, order, axis=1),
    )


@pytest.mark.parametrize(("count", "most"), EVENTS)
def test_the_probabilities_are_those_of_the_model(one, count, most):
    given = some_events(count, most)
    found, expected = one.exported(given), one.expected(given)
    assert found.shape == (count, CLASSES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=CLOSE, rtol=0)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=CLOSE)
    if count == 500:  # negative control: those of other events differ
        assert np.abs(found - np.roll(expected, 1, axis=0)).max() > 0.05


def test_events_without_objects_have_probabilities(one):
    given = some_events(40, 4)
    nothing = replace(given, mask=np.zeros_like(given.mask))
    expected = one.expected(nothing)
    np.testing.assert_allclose(one.exported(nothing), expected, atol=CLOSE, rtol=0)
    no_place = replace(given, objects=given.objects[:, :0], mask=given.mask[:, :0])
    np.testing.assert_allclose(one.exported(no_place), expected, atol=CLOSE, rtol=0)
    assert one.exported(given[:0]).shape == (0, CLASSES)
    assert np.abs(one.exported(given) - expected).max() > 0.01  # negative control: objects count


@pytest.mark.parametrize("filling", [0.0, np.nan, np.inf, -999.0, 1e30])
def test_padding_changes_nothing(one, filling):
    given = some_events(60, 6)
    np.testing.assert_allclose(one.exported(padded(given, 5, filling)), one.exported(given), atol=CLOSE, rtol=0)


def test_the_order_of_objects_changes_nothing(one):
    given = some_events(200, 12)
    np.testing.assert_allclose(one.exported(shuffled(given)), one.exported(given), atol=CLOSE, rtol=0)
    given.objects[:, 0, 4] = TYPES - 1 - given.objects[:, 0, 4]  # negative control: which type an object has counts
    assert np.abs(one.exported(shuffled(given)) - one.exported(some_events(200, 12))).max() > 0.01


WRONG = [(feature, value) for feature in range(5) for value in (np.nan, np.inf, -np.inf)] + [(4, -1.0), (4, TYPES)]


@pytest.mark.parametrize(("feature", "value"), WRONG)
def test_an_object_that_is_not_finite_or_of_no_known_type_gives_nan(one, feature, value):
    given = some_events(20, 5)
    given.mask[[3, 11], 2] = True
    given.objects[[3, 11], 2, feature] = value
    found = one.exported(given)
    assert np.isnan(found[[3, 11]]).all()
    assert np.isfinite(np.delete(found, [3, 11], axis=0)).all()


def test_a_condition_that_cannot_be_scaled_gives_nan(one):
    given = some_events(20, 5)
    wrong = {1: (0, 0.0), 4: (0, -2.0), 6: (0, np.inf), 9: (1, np.nan), 12: (1, np.inf), 15: (2, -np.inf)}
    for row, (column, value) in wrong.items():
        given.condition[row, column] = value
    rows = list(wrong) if one.model.layout.condition else []
    found = one.exported(given)
    assert np.isnan(found[rows]).all()
    assert np.isfinite(np.delete(found, rows, axis=0)).all()


@pytest.mark.parametrize("kind", OF_PAIRS)
def test_what_overflows_gives_nan_as_in_torch(kind):
    one, given = open_exported(made(kind, WITHOUT)), some_events(5, 3)
    given.mask[2], given.objects[2, 1, :2] = True, [1e30, 1.0]
    assert np.array_equal(np.isnan(one.exported(given)).any(axis=1), [False, False, True, False, False])
    assert np.isnan(one.expected(given)[2]).all()


@pytest.mark.parametrize("kind", ["transformer of pairs, relative", "graph", "few places"])
def test_another_temperature_or_weight_is_seen(kind):
    one, given = open_exported(made(kind, WITHOUT)), some_events(200, 6)
    expected = one.exported(given)
    one.model.temperature.fill_(1.5)
    assert np.abs(open_exported(one.model).exported(given) - expected).max() > 100 * CLOSE
    one.model.temperature.fill_(1.4)
    assert np.array_equal(open_exported(one.model).exported(given), expected)
    for name, parameter in one.model.named_parameters():
        if name.split(".")[-2] in ("query", "receiver", "pair", "embedding", "head") or name.endswith("0.weight"):
            with torch.no_grad():
                before = parameter.clone()
                parameter.flatten()[0] += 3.0
                changed = np.abs(one.expected(given) - expected).max()
                assert changed > 10 * CLOSE, name
                assert np.abs(open_exported(one.model).exported(given) - one.expected(given)).max() < CLOSE, name
                parameter.copy_(before)


def test_a_model_in_float64_is_exported_in_float32():
    single, double = (made("wider", WITH_FLAT, dtype) for dtype in (torch.float32, torch.float64))
    given = some_events(30, 4)
    found = open_exported(double).exported(given)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, open_exported(single).exported(given), atol=CLOSE, rtol=0)
    assert double.temperature.dtype == torch.float64  # and the model is left as it was


def test_the_file_declares_its_inputs():
    for layout in (WITH_FLAT, WITHOUT):
        session = open_exported(made("places", layout)).session
        found = {one.name: (one.type, one.shape) for one in session.get_inputs()}
        flat = {"condition": ("tensor(float)", ["events", 3])} if layout.condition else {}
        assert found == {
            "objects": ("tensor(float)", ["events", "objects", 5]),
            "mask": ("tensor(bool)", ["events", "objects"]),
            **flat,
        }
        (output,) = session.get_outputs()
        assert (output.name, output.type, output.shape) == ("probabilities", "tensor(float)", ["events", CLASSES])


class OddBackbone(Backbone):
    """One of which there is no graph."""

    def encode(self, elements, mask, pairs):
        return elements, elements


def test_refusals(monkeypatch):
    flow = build("masked_autoregressive_flow", {"blocks": 1, "hidden": [4]}, Layout(CONDITION, SIX))
    trees = build("boosted_trees", {}, WITHOUT)
    other = made("wider", WITHOUT)
    other.backbone = OddBackbone(other.backbone.config, TYPES)
    for model, name in ((flow, "MaskedAutoregressiveFlow"), (trees, "BoostedTrees"), (other, "OddBackbone")):
        with pytest.raises(ConfigError, match=f"A {name} cannot be exported; train a classifier of the preset"):
            classifier_model(model, {})
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"pip install castalia\[deploy\]"):
        classifier_model(made("wider", WITHOUT), {})
