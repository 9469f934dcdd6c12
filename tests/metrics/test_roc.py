"""The ROC curve, its band, rejections and improvement against two normal distributions."""

from __future__ import annotations

import numpy as np
import pytest
from binormal import binormal, true_background

from castalia.errors import DataError
from castalia.metrics.roc import RocBand, roc_band
from castalia.metrics.scored import scored_events
from castalia.rng import Stream

POINTS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])


def measured(counter: int, background: int = 1200, signal: int = 800) -> RocBand:
    return roc_band(binormal(background, signal, counter), Stream(82, "roc").at(counter), POINTS)


@pytest.mark.statistical
def test_efficiencies_and_band_against_the_closed_form() -> None:
    curves = [measured(counter) for counter in range(40)]
    found, truth = np.array([one.background for one in curves]), true_background(POINTS)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(curves))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - truth), 5.0 * error)
    assert np.any(np.abs(found.mean(axis=0) - true_background(POINTS, 1.1)) > 5.0 * error), "negative control"
    halves = np.array([0.5 * (one.band[1] - one.band[0]) for one in curves]).mean(axis=0)
    np.testing.assert_allclose(halves, found.std(axis=0, ddof=1), rtol=5.0 / np.sqrt(2.0 * len(curves)))
    inside = np.mean([(one.band[0] <= truth) & (truth <= one.band[1]) for one in curves])
    # The points of one curve are correlated: as if there were one a curve.
    assert abs(inside - 0.683) < 5.0 * np.sqrt(0.683 * 0.317 / len(curves))


@pytest.mark.statistical
def test_rejection_and_improvement_at_working_points() -> None:
    curve = measured(0, 12_000, 8_000)
    for signal, truth in zip(POINTS, true_background(POINTS), strict=True):
        point = curve.at(signal)
        assert abs(point.rejection - 1.0 / truth) < 5.0 * 0.5 * (point.high - point.low)
        assert point.low < point.rejection < point.high
        assert point.left == pytest.approx(12_000 * truth, abs=5.0 * np.sqrt(12_000 * truth) * 1.5)
    best = curve.best_improvement()
    assert best is not None
    truth = POINTS / np.sqrt(true_background(POINTS))
    assert abs(best.value - truth[list(POINTS).index(best.signal)]) < 5.0 * best.error
    assert best.value == pytest.approx(np.max(curve.improvement))
    low, high = curve.improvement_band
    assert np.all((low < curve.improvement) & (curve.improvement < high))


def test_fewer_replicas_are_the_first_of_more() -> None:
    events = binormal(300, 300)
    few, many = (roc_band(events, Stream(82, "few").at(), **words) for words in ({"replicas": 7}, {}))
    assert few.replicas.shape == (7, 100)
    np.testing.assert_array_equal(few.replicas, many.replicas[:7])


def test_a_maximum_is_not_sought_where_no_background_is_left() -> None:
    events = binormal(300, 300)
    curve = roc_band(events, Stream(82, "few").at())
    best = curve.best_improvement(fewest=100)
    assert best is not None
    assert best.left >= 100
    # Negative control: without the demand the maximum sits on a handful of events.
    anywhere = curve.best_improvement(fewest=1)
    assert anywhere is not None
    assert anywhere.left < 0.5 * best.left
    assert anywhere.value > best.value
    assert curve.best_improvement(fewest=301) is None
    perfect = scored_events(np.repeat([0.0, 1.0], 50), np.repeat([False, True], 50))
    assert roc_band(perfect, Stream(82, "few").at(), POINTS).at(0.5).rejection == np.inf


def test_equal_scores_are_a_straight_line_and_weights_equal_duplication() -> None:
    score = np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 20)
    kind = np.tile([True, False, False, True, True, False], 20)
    curve = roc_band(scored_events(score, kind), Stream(82, "ties").at(), [1 / 3, 2 / 3, 5 / 6, 1.0])
    np.testing.assert_allclose(curve.background, [1 / 6, 1 / 3, 2 / 3, 1.0])
    events, times = binormal(200, 100), Stream(82, "times").at().integers(1, 4, 300)
    weighted = scored_events(events.score, events.signal, times)
    doubled = scored_events(np.repeat(events.score, times), np.repeat(events.signal, times))
    rng = Stream(82, "any")
    np.testing.assert_allclose(
        roc_band(weighted, rng.at(), POINTS).background, roc_band(doubled, rng.at(), POINTS).background
    )
    widths = [np.subtract(*one.band[::-1]) for one in (roc_band(weighted, rng.at()), roc_band(doubled, rng.at()))]
    assert widths[0].mean() > 1.1 * widths[1].mean(), "copies are no events of their own"


def test_one_stream_pairs_the_replicas_of_two_classifiers() -> None:
    events = binormal(2000, 2000)
    other = events.rescored(events.score + 0.05 * Stream(82, "noise").at().normal(size=4000))
    same = [roc_band(one, Stream(82, "paired").at(), POINTS).replicas for one in (events, other)]
    apart = roc_band(other, Stream(82, "paired").at(1), POINTS).replicas
    assert np.all(np.std(same[0] - same[1], axis=0) < 0.6 * np.std(same[0] - apart, axis=0))


def test_refusals() -> None:
    events = binormal(20, 20)
    with pytest.raises(DataError, match="class of 19 events"):
        roc_band(binormal(19, 30), Stream(82, "any").at())
    for points in ([], [0.5, 0.4], [0.0, 0.5], [0.5, 1.1]):
        with pytest.raises(DataError, match="must increase within"):
            roc_band(events, Stream(82, "any").at(), points)
    with pytest.raises(DataError, match="no point at a signal efficiency"):
        roc_band(events, Stream(82, "any").at(), POINTS).at(0.4)
