import numpy as np
import pytest

from castalia.apps.unfold.settling import moment_change, settled_at
from castalia.rng import Stream


def test_a_shift_counts_in_standard_errors():
    values = Stream(1, "settling").at().normal(0, 2, (50_000, 2))
    values = 2.0 * (values - values.mean(axis=0)) / values.std(axis=0)
    ones = np.ones(len(values))
    shifted = values + np.array([0.0, 0.06])
    assert moment_change((values, ones), (shifted, ones), events=10_000) == pytest.approx(0.06 / 2 * 100)
    wider = values * np.array([1.01, 1.0])
    assert moment_change((values, ones), (wider, ones), 10_000) == pytest.approx(np.log(1.01) * np.sqrt(20_000))
    assert moment_change((values, ones), (values, 3 * ones), 10_000) == pytest.approx(0.0, abs=1e-9)


def test_the_first_small_change_settles():
    assert settled_at([7.0, 1.2, 0.8, 0.3]) == 4
    assert settled_at([7.0, 1.2, 0.8, 0.3], below=1.0) == 3
    assert settled_at([7.0, 1.2]) is None
    assert settled_at([np.nan, np.nan]) is None
