"""Reliability curves of probabilities that are right, and that are not; the calibration error beside its floor."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.reliability import calibration_error, reliability_curve
from castalia.rng import Stream

EVENTS = 20_000


def sample(counter: int, events: int = EVENTS, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return stated probabilities and classes; with a slope above one they are stated too confidently."""
    rng = Stream(84, "probabilities").at(counter)
    logit = rng.normal(size=events)
    happened = rng.random(events) < 1.0 / (1.0 + np.exp(-logit))
    return 1.0 / (1.0 + np.exp(-slope * logit)), happened


@pytest.mark.statistical
def test_right_probabilities_have_the_floor_and_wrong_ones_do_not() -> None:
    found = [calibration_error(reliability_curve(*sample(counter))) for counter in range(60)]
    for name, expected in (("value", "floor"), ("debiased", "debiased_floor")):
        values = np.array([getattr(one, name) for one in found])
        floor = np.mean([getattr(one, expected) for one in found])
        assert values.mean() == pytest.approx(floor, abs=5.0 * values.std() / np.sqrt(len(found))), name
    assert max(one.largest for one in found) < 5.0
    wrong = calibration_error(reliability_curve(*sample(0, slope=1.3)))
    assert wrong.value > wrong.floor + 5.0 * wrong.error, "negative control"
    assert wrong.largest > 5.0


@pytest.mark.statistical
def test_a_known_miscalibration_is_measured_and_the_bias_removed() -> None:
    rng = Stream(84, "shifted").at()
    stated = rng.uniform(0.2, 0.7, (60, 2_000))
    happened = rng.random(stated.shape) < stated + 0.03
    found = [calibration_error(reliability_curve(*one)) for one in zip(stated, happened, strict=True)]
    value, debiased = (np.array([getattr(one, name) for one in found]) for name in ("value", "debiased"))
    # Bins of 100 events have errors of 5 %: they bury a distance of 3 %.
    assert value.mean() > 0.03 + 5.0 * value.std() / np.sqrt(60)
    assert abs(debiased.mean() - 0.03) < 0.5 * (value.mean() - 0.03), "most of the bias is gone"
    large = calibration_error(
        reliability_curve(rng.uniform(0.2, 0.7, 400_000), rng.random(400_000) < 0.48)
    )  # what is stated does not tell at all: the mean distance of a uniform stated one from 0.48
    assert large.debiased == pytest.approx(np.mean(np.abs(np.linspace(0.2, 0.7, 10_001) - 0.48)), abs=5.0 * large.error)


def test_weights_equal_duplication_and_shift_the_prior() -> None:
    stated, happened = sample(1, 3000)
    times = Stream(84, "times").at().integers(1, 4, 3000)
    edges = np.quantile(stated, np.linspace(0.0, 1.0, 21))
    weighted = reliability_curve(stated, happened, times)
    np.testing.assert_allclose(weighted.edges, edges)
    place = np.clip(np.searchsorted(edges, stated, side="right") - 1, 0, 19)
    for one in range(20):
        own = np.repeat(place == one, times)
        assert weighted.counted[one] == pytest.approx(np.repeat(happened, times)[own].mean())
    assert weighted.share.sum() == pytest.approx(1.0)
    # Weights that double the class make stated probabilities wrong: they are those of another mixture.
    tilted = calibration_error(reliability_curve(stated, happened, np.where(happened, 2.0, 1.0)))
    assert tilted.value > tilted.floor + 5.0 * tilted.error


def test_equal_probabilities_share_a_bin() -> None:
    happened = np.arange(100) % 4 == 0
    curve = reliability_curve(np.full(100, 0.3), happened)
    found = calibration_error(curve)
    assert curve.counted.tolist() == [0.25]
    assert found.value == pytest.approx(0.05)
    two = reliability_curve(np.repeat([0.1, 0.9], 50), happened)
    np.testing.assert_allclose(two.counted, [0.26, 0.24])


def test_refusals() -> None:
    with pytest.raises(DataError, match="within \\[0, 1\\]"):
        reliability_curve(np.linspace(-0.1, 1.0, 100), np.ones(100, dtype=bool))
    with pytest.raises(DataError, match="two events or more"):
        reliability_curve(np.linspace(0.0, 1.0, 30), np.ones(30, dtype=bool))
