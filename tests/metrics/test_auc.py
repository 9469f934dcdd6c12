"""The AUC against its definition and the binormal closed form, its error against repeated trials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from castalia.errors import DataError
from castalia.metrics.auc import auc, cross_validated_auc
from castalia.rng import Stream


def test_agrees_with_counting_every_pair() -> None:
    rng = Stream(3, "test auc").at()
    true, generated = np.round(rng.normal(size=70), 1), np.round(rng.normal(size=50) + 0.4, 1)
    gaps = generated[:, None] - true[None, :]
    expected = np.mean((gaps > 0.0) + 0.5 * (gaps == 0.0))
    assert auc(true, generated).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("paired", [False, True])
def test_binormal_value_and_error(paired: bool) -> None:
    trials, size, shift, shared = 300, 400, 0.5, 0.6
    results = []
    for trial in range(trials):
        rng = Stream(3, "test binormal").at(trial)
        common = shared * rng.normal(size=(2, size)) if not paired else np.tile(shared * rng.normal(size=size), (2, 1))
        scores = common + np.sqrt(1.0 - shared**2) * rng.normal(size=(2, size))
        results.append(auc(scores[0], scores[1] + shift, paired=paired))
    values = np.array([result.value for result in results])
    errors = np.array([result.error for result in results])
    assert values.mean() == pytest.approx(norm.cdf(shift / np.sqrt(2.0)), abs=5.0 * values.std() / np.sqrt(trials))
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=5.0 / np.sqrt(2.0 * trials))


def test_ignoring_the_pairs_misstates_the_error() -> None:
    rng = Stream(3, "test pairs").at()
    common = rng.normal(size=2000)
    true, generated = common + 0.1 * rng.normal(size=2000), common + 0.1 * rng.normal(size=2000)
    assert auc(true, generated, paired=True).error < 0.3 * auc(true, generated).error


def test_infinite_scores_are_ranked_and_nan_refused() -> None:
    assert auc([-np.inf, 0.0], [1.0, np.inf]).value == 1.0
    with pytest.raises(DataError, match="NaN"):
        auc([0.0, np.nan], [1.0, 2.0])
    with pytest.raises(DataError, match="differ in number"):
        auc([0.0, 1.0], [1.0, 2.0, 3.0], paired=True)


def test_significance() -> None:
    rng = Stream(3, "test significance").at()
    equal = auc(rng.normal(size=3000), rng.normal(size=3000))
    assert abs(equal.significance) < 5.0
    assert auc(rng.normal(size=3000), rng.normal(size=3000) + 0.3).significance > 5.0


def test_cross_validation_averages_folds_that_keep_an_event_together() -> None:
    rng = Stream(3, "test folds").at()
    scores, fold = rng.normal(size=400) + np.repeat([0.0, 0.7], 200), np.arange(200) % 4
    seen: list[np.ndarray] = []

    def score(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        assert not np.any(train & test)
        assert np.array_equal(test[:200], test[200:]), "row i of both samples is in one fold"
        seen.append(test)
        # Other classifiers have other scales: areas are averaged, not scores.
        return 10.0 ** len(seen) * scores[test]

    found = cross_validated_auc(fold, score, overlap=1.5)
    assert np.sum(seen, axis=0).tolist() == [1] * 400
    alone = [auc(scores[:200][fold == i], scores[200:][fold == i], paired=True) for i in range(4)]
    assert found.value == pytest.approx(np.mean([one.value for one in alone]))
    assert found.error == pytest.approx(1.5 * np.sqrt(np.sum([one.error**2 for one in alone])) / 4)
    assert found.events == 200
