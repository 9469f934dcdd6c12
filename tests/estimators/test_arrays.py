"""Arrays to batches and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays, events_from_array, to_numpy


def test_round_trip():
    condition, target = np.arange(6.0).reshape(3, 2), np.arange(3.0).reshape(3, 1)
    batch = batch_from_arrays(condition, target, np.array([1.0, 2.0, 3.0]))
    assert batch.condition.flat.dtype == torch.float32
    assert batch.index.tolist() == [0, 1, 2]
    assert np.array_equal(to_numpy(batch.condition.flat), condition)
    assert batch.weight.tolist() == [1, 2, 3]
    condition[0, 0] = 99  # the batch is a copy
    assert float(batch.condition.flat[0, 0]) == 0
    assert to_numpy(torch.ones(2, requires_grad=True, dtype=torch.float64)).dtype == np.float64


def test_a_target_and_weights_may_be_absent():
    batch = batch_from_arrays(np.ones((4, 2)), None, dtype=torch.float64)
    assert batch.target.flat.shape == (4, 0)
    assert batch.weight.tolist() == [1.0] * 4
    assert len(batch) == 4


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        events_from_array(np.ones(3))
    with pytest.raises(DataError, match="equal length"):
        batch_from_arrays(np.ones((3, 1)), np.ones((4, 1)))
    with pytest.raises(DataError, match="equal length"):
        batch_from_arrays(np.ones((3, 1)), np.ones((3, 1)), np.ones(2))
