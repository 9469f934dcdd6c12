"""The gap between two cumulative distributions, by hand and under any weights."""

from __future__ import annotations

import numpy as np

from castalia.metrics.cumulative import pool
from castalia.rng import Stream


def test_the_gap_of_four_values_by_hand() -> None:
    column = pool(np.array([2.0, 0.0]), np.array([1.0, 2.0]))
    gap = column.gap(np.ones(2), np.ones(2))
    # F_a − F_b after 0, 1 and 2; the first of the two values at 2 is no step of its own.
    np.testing.assert_allclose(gap[column.last], [0.5, 0.0, 0.0])
    assert column.wasserstein(gap) == 0.5
    assert column.energy(gap) == np.sqrt(0.5)
    assert column.kolmogorov_smirnov(gap) == 0.5


def test_a_weight_of_zero_leaves_an_event_out() -> None:
    rng = Stream(1, "test cumulative").at()
    a, b, kept = rng.normal(size=50), rng.normal(size=60), rng.random(50) < 0.5
    some, all_of_them = pool(a[kept], b), pool(a, b)
    gap, other = some.gap(np.ones(int(kept.sum())), np.ones(60)), all_of_them.gap(kept.astype(float), np.ones(60))
    for distance in ("wasserstein", "energy", "kolmogorov_smirnov"):
        np.testing.assert_allclose(getattr(some, distance)(gap), getattr(all_of_them, distance)(other), rtol=1e-12)
    assert all_of_them.wasserstein(all_of_them.gap(np.ones(50), np.ones(60))) != some.wasserstein(gap)
