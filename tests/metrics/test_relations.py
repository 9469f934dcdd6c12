"""Recognition of relations beside the guess by types, and where a classifier knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.errors import DataError
from castalia.estimators.base import ObjectSet
from castalia.estimators.classification.relations import relation_classes
from castalia.metrics.relations import relation_accuracy
from castalia.rng import Stream

EVENTS, OBJECTS, RELATIONS = 600, 4, 3


def pairs(counter: int = 0):
    rng = Stream(88, "relations").at(counter)
    ancestry = rng.integers(0, 3, (EVENTS, OBJECTS, RELATIONS - 1))
    counted = np.broadcast_to(~np.eye(OBJECTS, dtype=bool), (EVENTS, OBJECTS, OBJECTS))
    true = relation_classes(ObjectSet(torch.from_numpy(ancestry), torch.ones((EVENTS, OBJECTS), dtype=torch.bool)))
    return true.numpy(), counted, np.zeros((EVENTS, OBJECTS, OBJECTS), dtype=np.int64)


def test_fractions_are_counted() -> None:
    true, counted, kind = pairs()
    weight = np.ones(EVENTS)
    perfect = relation_accuracy(true, true, counted, weight, kind, RELATIONS)
    np.testing.assert_allclose(perfect.recall, 1.0)
    assert perfect.accuracy == perfect.balanced == 1.0
    assert perfect.pairs.sum() == EVENTS * OBJECTS * (OBJECTS - 1)
    most = int(np.argmax(perfect.pairs))
    assert perfect.baseline_accuracy == pytest.approx(perfect.pairs[most] / perfect.pairs.sum())
    assert perfect.baseline.tolist() == [float(one == most) for one in range(RELATIONS)]
    assert perfect.balanced_baseline == pytest.approx(1.0 / RELATIONS)


@pytest.mark.statistical
def test_a_classifier_that_knows_nothing_has_the_share_that_it_names() -> None:
    true, counted, kind = pairs()
    rng = Stream(88, "nothing").at()
    named = rng.choice(RELATIONS, p=[0.5, 0.3, 0.2], size=true.shape)
    found = relation_accuracy(named, true, counted, np.ones(EVENTS), kind, RELATIONS)
    np.testing.assert_array_less(np.abs(found.recall - [0.5, 0.3, 0.2]), 5.0 * found.recall_error)
    better = relation_accuracy(np.where(rng.random(true.shape) < 0.2, true, named), true, counted, np.ones(EVENTS),
                               kind, RELATIONS)  # fmt: skip
    assert np.all(better.recall > found.recall + 5.0 * found.recall_error), "negative control"


@pytest.mark.statistical
def test_the_error_is_that_of_whole_events() -> None:
    values, errors = [], []
    for counter in range(120):
        true, counted, kind = pairs(counter)
        # All pairs of an event are recognised, or none.
        known = Stream(88, "whole").at(counter).random(EVENTS) < 0.6
        named = np.where(known[:, None, None], true, (true + 1) % RELATIONS)
        found = relation_accuracy(named, true, counted, np.ones(EVENTS), kind, RELATIONS)
        values.append(found.accuracy)
        errors.append(found.accuracy_error)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=5.0 / np.sqrt(240))
    independent = np.sqrt(0.24 / (EVENTS * OBJECTS * (OBJECTS - 1)))
    assert np.std(values) > 2.0 * independent, "negative control: pairs are not independent"


def test_types_alone_may_tell_the_relation() -> None:
    true, counted, _ = pairs()
    weight = np.ones(EVENTS)
    found = relation_accuracy(true, true, counted, weight, true.copy(), RELATIONS)
    assert found.baseline_accuracy == 1.0, "a guess by types is as good as a perfect classifier here"
    heavy = np.where(np.arange(EVENTS) < 300, 1.0, 0.0)
    half = relation_accuracy(np.where(heavy[:, None, None] > 0, true, 0), true, counted, heavy, true, RELATIONS)
    assert half.accuracy == 1.0, "events without weight do not count"


def test_refusals() -> None:
    true, counted, kind = pairs()
    with pytest.raises(DataError, match="one entry a pair"):
        relation_accuracy(true[1:], true, counted, np.ones(EVENTS), kind, RELATIONS)
    with pytest.raises(DataError, match="no pair"):
        relation_accuracy(true, true, np.zeros_like(counted), np.ones(EVENTS), kind, RELATIONS)
