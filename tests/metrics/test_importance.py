"""Importances of a single feature, of two that matter only together, and of noise."""

from __future__ import annotations

import numpy as np
import pytest
from binormal import true_auc

from castalia.errors import DataError
from castalia.metrics.importance import exchanged_objects, exchanged_rows, permutation_importance
from castalia.metrics.scored import scored_events
from castalia.rng import Stream

EVENTS = 8000


def importances(features: np.ndarray, kind: np.ndarray, score):
    def exchange(column):
        def scored(group, rng):
            changed = features.copy()
            changed[:, column] = exchanged_rows(features[:, column], group, rng)
            return score(changed)

        return scored

    names = {str(column): exchange(column) for column in range(features.shape[1])}
    return permutation_importance(scored_events(score(features), kind), names, Stream(86, "exchange").at())


@pytest.mark.statistical
def test_a_feature_that_tells_by_itself_and_one_that_is_noise() -> None:
    rng, kind = Stream(86, "alone").at(), np.arange(EVENTS) % 2 == 0
    features = rng.normal(size=(EVENTS, 2)) + np.outer(kind, [1.2, 0.0])
    alone, noise = importances(features, kind, lambda values: values[:, 0])
    assert alone.total.value == pytest.approx(true_auc() - 0.5, abs=5.0 * alone.total.error)
    assert alone.relations.value == pytest.approx(0.0, abs=1e-12), "within a class its distribution stays"
    assert noise.total.value == noise.relations.value == 0.0, "what is not used gives nothing"


@pytest.mark.statistical
def test_features_that_tell_only_together() -> None:
    rng, kind = Stream(86, "together").at(), np.arange(EVENTS) % 2 == 0
    first = rng.normal(size=EVENTS)
    features = np.stack([first, np.where(kind, 1.0, -1.0) * first + 0.3 * rng.normal(size=EVENTS)], axis=1)
    found = importances(features, kind, lambda values: values[:, 0] * values[:, 1])
    for one in found:
        for loss in (one.total, one.relations):
            assert loss.value > 0.3
            assert loss.value == pytest.approx(found[0].total.value, abs=5.0 * np.hypot(loss.error, 0.01))


def test_objects_are_exchanged_with_objects_of_their_kind_and_place() -> None:
    rng = Stream(86, "objects").at()
    values = np.arange(200 * 4 * 3, dtype=np.float64).reshape(200, 4, 3)
    mask = rng.random((200, 4)) < 0.8
    kind, group = np.tile([0, 1, 1, 0], (200, 1)), np.arange(200) % 2
    found = exchanged_objects(values, mask, kind, slice(1, 2), group, rng)
    np.testing.assert_array_equal(found[:, [0, 3]], values[:, [0, 3]])
    np.testing.assert_array_equal(found[..., [0, 2]], values[..., [0, 2]])
    np.testing.assert_array_equal(found[~mask], values[~mask])
    first = np.where(mask[:, 1], 1, 2)
    has = mask[:, 1] | mask[:, 2]
    rows = np.flatnonzero(has)
    before, after = (table[rows, first[rows], 1] for table in (values, found))
    for one in (0, 1):
        own = group[rows] == one
        assert not np.array_equal(before[own], after[own])
        np.testing.assert_array_equal(np.sort(before[own]), np.sort(after[own]))
    with pytest.raises(DataError, match="one entry an object"):
        exchanged_objects(values, mask, kind[:, :2], slice(None), group, rng)
