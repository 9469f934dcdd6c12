"""The box of conditions: what lies outside, and how seldom a fair row is flagged."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.support import outside, ranges
from castalia.rng import Stream


def test_edges_are_inside_and_nan_is_outside() -> None:
    seen = ranges([[0.0, -1.0], [10.0, 1.0]])
    rows = [[0.0, 1.0], [10.0, -1.0], [10.1, 0.0], [5.0, -1.1], [np.nan, 0.0]]
    assert outside(rows, seen).tolist() == [False, False, True, True, True]
    assert outside(np.empty((0, 2)), seen).tolist() == []


def test_false_flags_are_below_one_per_cent() -> None:
    rng = Stream(9, "support").at()
    seen = ranges(rng.normal(size=(20_000, 5)))
    assert outside(rng.normal(size=(20_000, 5)), seen).mean() < 0.01
    assert outside(rng.normal(size=(1000, 5)) + 10.0, seen).all()


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(DataError, match="saw 2 columns"):
        outside(np.zeros((3, 3)), ranges(np.zeros((3, 2))))
