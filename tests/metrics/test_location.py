"""Mean pulls: errors that count events, shifts and outliers seen, shared conditions dropped from the error."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.location import location_checks
from castalia.rng import Stream


def pulls(counter: int, events: int, draws: int = 1) -> np.ndarray:
    """Pulls whose means differ from event to event, as those of fitted centres do; whole replicas."""
    centre = Stream(13, "centres").at().normal(size=(events, 2))
    return np.tile(centre, (draws, 1)) + Stream(13, "pulls").at(counter).normal(size=(draws * events, 2))


def test_a_shift_and_rare_outliers_are_seen_and_a_fair_sample_is_not() -> None:
    true, fair = pulls(0, 20_000), pulls(1, 20_000, draws=5)
    for check in location_checks(("a", "b"), true, fair):
        assert abs(check.shift) < 5.0 * check.error
        assert check.error == pytest.approx(np.sqrt(1.2 / 20_000), rel=5.0 / np.sqrt(40_000))
    shifted, untouched = location_checks(("a", "b"), true, fair + np.array([0.1, 0.0]))
    assert shifted.shift > 5.0 * shifted.error
    assert abs(untouched.shift) < 5.0 * untouched.error
    soiled = fair.copy()
    soiled[::100, 0] += 50.0
    outliers = location_checks(("a", "b"), true, soiled)[0]
    assert outliers.shift == pytest.approx(0.5, abs=5.0 * outliers.error)
    assert outliers.shift > 5.0 * outliers.error


@pytest.mark.statistical
def test_errors_match_the_scatter_of_repeated_trials() -> None:
    trials, events = 300, 200
    scores = np.array(
        [
            check.shift / check.error
            for i in range(trials)
            for check in location_checks(("a", "b"), pulls(2 * i, events), pulls(2 * i + 1, events, draws=3))
        ]
    )
    assert abs(scores.mean()) < 5.0 / np.sqrt(len(scores))
    assert scores.std(ddof=1) == pytest.approx(1.0, rel=5.0 / np.sqrt(2.0 * len(scores)))


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="whole replicas"):
        location_checks(("a",), np.zeros((4, 1)), np.zeros((6, 1)))
    with pytest.raises(DataError, match="1 names"):
        location_checks(("a",), np.zeros((4, 2)), np.zeros((4, 2)))
