"""The weighted AUC against pairs, duplication and the closed form; the paired difference against repeated trials."""

from __future__ import annotations

import numpy as np
import pytest
from binormal import SHIFT, binormal, true_auc

from castalia.errors import DataError
from castalia.metrics.auc import auc
from castalia.metrics.scored import scored_events
from castalia.metrics.weighted_auc import auc_difference, weighted_auc
from castalia.rng import Stream


def test_agrees_with_counting_every_weighted_pair() -> None:
    rng = Stream(81, "pairs").at()
    score, kind, weight = np.round(rng.normal(size=90), 1), np.arange(90) % 3 == 0, rng.uniform(-0.2, 2.0, 90)
    gaps = score[kind][:, None] - score[~kind][None, :]
    pairs = weight[kind][:, None] * weight[~kind][None, :]
    expected = np.sum(pairs * ((gaps > 0.0) + 0.5 * (gaps == 0.0))) / pairs.sum()
    assert weighted_auc(scored_events(score, kind, weight)).value == pytest.approx(expected, rel=1e-12)


def test_equal_weights_give_delong_and_duplication_equals_weight() -> None:
    events = binormal(700, 500)
    found, reference = weighted_auc(events), auc(events.score[~events.signal], events.score[events.signal])
    assert found.value == pytest.approx(reference.value, rel=1e-12)
    assert found.error == pytest.approx(reference.error, rel=2e-3)
    times = Stream(81, "times").at().integers(1, 4, 1200)
    weighted = scored_events(events.score, events.signal, times)
    doubled = scored_events(np.repeat(events.score, times), np.repeat(events.signal, times))
    assert weighted_auc(weighted).value == pytest.approx(weighted_auc(doubled).value, rel=1e-12)
    # What comes twice is no second event: the error of the copies is too small.
    assert weighted_auc(weighted).error > 1.2 * weighted_auc(doubled).error


@pytest.mark.statistical
def test_value_and_error_against_the_closed_form() -> None:
    trials = 200
    found = [weighted_auc(binormal(300, 200, counter)) for counter in range(trials)]
    values = np.array([one.value for one in found])
    assert values.mean() == pytest.approx(true_auc(), abs=5.0 * values.std() / np.sqrt(trials))
    errors = np.mean([one.error for one in found])
    assert errors == pytest.approx(values.std(ddof=1), rel=5.0 / np.sqrt(2.0 * trials))
    # Negative control: another distance between the classes is told apart.
    assert abs(values.mean() - true_auc(SHIFT + 0.1)) > 5.0 * values.std() / np.sqrt(trials)


@pytest.mark.statistical
def test_the_error_of_a_difference_knows_that_the_events_are_the_same() -> None:
    differences, errors, separate = [], [], []
    for counter in range(200):
        events = binormal(300, 200, counter)
        noise = Stream(81, "noise").at(counter).normal(size=(2, 500))
        first, second = (events.rescored(events.score + 0.4 * one) for one in noise)
        found = auc_difference(first, second)
        differences.append(found.value)
        errors.append(found.error)
        separate.append(np.hypot(weighted_auc(first).error, weighted_auc(second).error))
    scatter = np.std(differences, ddof=1)
    assert np.mean(differences) == pytest.approx(0.0, abs=5.0 * scatter / np.sqrt(200))
    assert np.mean(errors) == pytest.approx(scatter, rel=5.0 / np.sqrt(400.0))
    # Negative control: errors as of independent samples are far too large.
    assert np.mean(separate) > scatter * (1.0 + 5.0 / np.sqrt(400.0))


def test_refusals() -> None:
    events = binormal(20, 20)
    with pytest.raises(DataError, match="scored different events"):
        auc_difference(events, binormal(19, 21))
    with pytest.raises(DataError, match="two or more of each"):
        scored_events([1.0, 2.0, 3.0], np.array([True, False, False]))
    with pytest.raises(DataError, match="one boolean a score"):
        scored_events([1.0, 2.0], np.array([0, 1]))
    with pytest.raises(DataError, match="weights of the signal sum to"):
        scored_events(np.arange(4.0), np.arange(4) < 2, [-1.0, 0.5, 3.0, 3.0])
