"""Scores that know a mass, that do not, and that prefer the middle of its range."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.mass_dependence import mass_dependence
from castalia.rng import Stream

EVENTS = 6000


@pytest.mark.statistical
def test_an_independent_score_passes_as_often_as_it_should() -> None:
    found = []
    for counter in range(100):
        rng = Stream(87, "independent").at(counter)
        found.append(mass_dependence(rng.normal(size=1000), rng.normal(size=1000), bins=8))
    pulls = np.array([one.correlation / one.error for one in found])
    assert abs(pulls.mean()) < 5.0 / np.sqrt(100)
    assert pulls.std() == pytest.approx(1.0, abs=5.0 / np.sqrt(200))
    assert abs(np.mean([one.p_value < 0.3 for one in found]) - 0.3) < 5.0 * np.sqrt(0.21 / 100)


@pytest.mark.statistical
def test_a_known_correlation_is_measured() -> None:
    rng, rho = Stream(87, "correlated").at(), 0.4
    mass = rng.normal(size=EVENTS)
    score = rho * mass + np.sqrt(1.0 - rho**2) * rng.normal(size=EVENTS)
    found = mass_dependence(score, mass)
    # Of the ranks of two normal variables.
    assert found.correlation == pytest.approx(6.0 / np.pi * np.arcsin(rho / 2.0), abs=5.0 * found.error)
    assert found.p_value < 1e-6, "negative control: a cut shapes the mass"
    assert found.spread > 0.3
    assert found.share == pytest.approx(0.1, abs=1e-3)
    assert np.all(np.diff(found.score) > -5.0 * np.hypot(found.score_error[1:], found.score_error[:-1]))


def test_a_score_that_likes_the_middle_has_no_correlation_and_is_found() -> None:
    rng = Stream(87, "middle").at()
    mass = rng.normal(size=EVENTS)
    found = mass_dependence(rng.normal(size=EVENTS) - np.abs(mass), mass)
    assert abs(found.correlation) < 5.0 * found.error
    assert found.p_value < 1e-6


def test_weights_count() -> None:
    rng = Stream(87, "weights").at()
    mass, score = rng.normal(size=(2, EVENTS))
    tilted = mass_dependence(score, mass, np.exp(0.5 * mass * score - 0.5 * score**2))
    assert tilted.correlation > 5.0 * tilted.error
    assert tilted.share == pytest.approx(0.1, abs=5e-3)


def test_refusals() -> None:
    with pytest.raises(DataError, match="50 events a bin"):
        mass_dependence(np.arange(100.0), np.arange(100.0))
    with pytest.raises(DataError, match="the same for all events"):
        mass_dependence(np.ones(1000), np.arange(1000.0))
