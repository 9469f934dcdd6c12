"""Confusion matrices of weighted events, and of a classifier that guesses."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.confusion import confusion
from castalia.rng import Stream


def test_shares_of_weighted_events() -> None:
    label, chosen = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    found = confusion(label, np.eye(3)[chosen], np.array([3.0, 1.0, 1.0, 1.0, 2.0]))
    np.testing.assert_allclose(found.share, [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert found.accuracy == pytest.approx(1.75 / 3)


@pytest.mark.statistical
def test_a_guess_and_the_errors() -> None:
    values, errors = [], []
    for counter in range(100):
        rng = Stream(89, "guess").at(counter)
        found = confusion(np.arange(900) % 3, rng.random((900, 3)))
        values.append([found.accuracy, found.share[0, 1]])
        errors.append([found.accuracy_error, found.error[0, 1]])
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0, ddof=1), rtol=5.0 / np.sqrt(200))
    scatter = np.std(values, axis=0) / 10.0
    assert np.all(np.abs(np.mean(values, axis=0) - 1.0 / 3.0) < 5.0 * scatter)
    rng = Stream(89, "better").at()
    better = confusion(np.arange(900) % 3, rng.random((900, 3)) + 0.5 * np.eye(3)[np.arange(900) % 3])
    assert better.accuracy > 1.0 / 3.0 + 5.0 * better.accuracy_error, "negative control"


def test_refusals() -> None:
    with pytest.raises(DataError, match="one row an event"):
        confusion(np.zeros(3, dtype=np.int64), np.ones((2, 2)))
    with pytest.raises(DataError, match="some of each"):
        confusion(np.zeros(3, dtype=np.int64), np.ones((3, 2)))
