"""Learning curves that follow a known law: the data saved is found, with an interval that holds it."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.learning_curve import LearningCurve, data_saved, learning_curve
from castalia.rng import Stream

SIZES = np.array([1000.0, 4000.0, 16000.0, 64000.0])


def curve(counter: int, saved: float = 1.0, noise: float = 0.003, seeds: int = 6) -> LearningCurve:
    """Scores that grow with the logarithm of the size, as if there were ``saved`` times the data."""
    sizes = np.repeat(SIZES, seeds)
    noises = noise * Stream(85, "curves", str(saved)).at(counter).normal(size=len(sizes))
    return learning_curve(sizes, 0.5 + 0.03 * np.log(sizes * saved / 100.0) + noises)


def test_means_and_errors_over_seeds() -> None:
    found = learning_curve([4.0, 1.0, 4.0, 4.0], [0.8, 0.5, 0.9, 1.0])
    assert found.sizes.tolist() == [1.0, 4.0]
    np.testing.assert_allclose(found.value, [0.5, 0.9])
    assert found.seeds.tolist() == [1, 3]
    nearly = learning_curve([400.0, 100.0, 404.0, 396.0, 480.0], [0.8, 0.5, 0.9, 1.0, 1.1])
    assert nearly.sizes.tolist() == [100.0, 400.0, 480.0], "a split by hash makes sizes that differ by a few"
    np.testing.assert_allclose(nearly.value, [0.5, 0.9, 1.1])
    assert np.isnan(found.error[0])
    # Student's t of two degrees of freedom at 0.8413 is 1.321.
    assert found.error[1] == pytest.approx(1.321 * 0.1 / np.sqrt(3.0), rel=1e-3)


@pytest.mark.statistical
def test_the_data_saved_is_found_and_its_interval_holds_it() -> None:
    rng, truth = Stream(85, "saved"), 3.0
    factors, inside = [], []
    for counter in range(40):
        first, second, *_ = data_saved(curve(counter, truth), curve(counter + 1000), 200, rng.at(counter))
        factors.append(first.factor)
        inside.append([one.low <= truth <= one.high for one in (first, second)])
    scatter = np.std(np.log(factors), ddof=1)
    assert np.mean(np.log(factors)) == pytest.approx(np.log(truth), abs=5.0 * scatter / np.sqrt(40))
    covered = np.mean(inside)
    # The t quantile widens the interval of a mean of six; the two sizes are correlated, as if they were one.
    assert 0.683 - 5.0 * np.sqrt(0.683 * 0.317 / 40) < covered < 0.99
    # Negative control: equal recipes save nothing.
    same = [data_saved(curve(i), curve(i + 1000), 200, rng.at(i))[1].factor for i in range(40)]
    assert abs(np.nanmean(np.log(same))) < 5.0 * np.nanstd(np.log(same)) / np.sqrt(40)


def test_what_is_never_reached_is_a_bound() -> None:
    found = data_saved(curve(0, 8.0, noise=1e-6), curve(1, noise=1e-6), 200, Stream(85, "bound").at())
    assert np.isnan(found[-1].factor)
    assert found[-1].least == pytest.approx(1.0)
    assert found[-1].high == np.inf
    assert found[1].factor == pytest.approx(8.0, rel=1e-3)
    assert np.isnan(found[1].least)
    behind = data_saved(curve(1, noise=1e-6), curve(0, 8.0, noise=1e-6), 200, Stream(85, "bound").at())
    assert np.isnan(behind[0].factor), "the other curve begins above: its size is unknown"
    assert behind[2].factor == pytest.approx(1.0 / 8.0, rel=1e-3)


def test_refusals() -> None:
    with pytest.raises(DataError, match="one positive size"):
        learning_curve([0.0, 1.0], [0.5, 0.6])
    with pytest.raises(DataError, match="two sizes or more"):
        data_saved(curve(0), learning_curve([1.0], [0.5]), 200, Stream(85, "any").at())
