"""Streaming moments against the formulas on everything at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.data.layout import Variable
from castalia.errors import DataError
from castalia.estimators.moments import Moments, weighted_quantiles
from castalia.rng import Stream

VARIABLES = (Variable("a"), Variable("b"))


def test_any_chunking_gives_the_weighted_moments():
    rng = Stream(1, "moments").at()
    values, weight = rng.normal([1e4, -3], [1, 20], (1000, 2)), rng.exponential(1, 1000)
    moments = Moments(2)
    for part in np.split(np.arange(1000), [1, 10, 400, 999]):
        moments.update(torch.from_numpy(values[part]), torch.from_numpy(weight[part]))
    mean, deviation = moments.result(VARIABLES, "target")
    expected = np.average(values, axis=0, weights=weight)
    assert np.allclose(mean, expected, rtol=1e-12)
    assert np.allclose(deviation, np.sqrt(np.average((values - expected) ** 2, axis=0, weights=weight)), rtol=1e-9)
    assert not np.allclose(mean, values.mean(0), rtol=1e-9)  # negative control: the weights count


def test_a_constant_is_named():
    moments = Moments(2)
    values = torch.stack([torch.linspace(0, 1, 50), torch.full((50,), 0.1)], dim=1)
    moments.update(values, torch.ones(50))
    with pytest.raises(DataError, match="target 'b' has the same value"):
        moments.result(VARIABLES, "target")


def test_no_weight_is_no_sample():
    moments = Moments(2)
    moments.update(torch.ones(3, 2), torch.zeros(3))
    with pytest.raises(DataError, match="no training event"):
        moments.result(VARIABLES, "condition")


def test_weighted_quantiles_count_weights_as_duplicates():
    rng = Stream(2, "moments").at()
    values, copies = torch.from_numpy(rng.normal(0, 1, 999)), torch.from_numpy(rng.integers(0, 4, 999))
    levels = torch.linspace(0, 1, 33)
    found = weighted_quantiles(values, copies.double(), levels)
    duplicated = values.repeat_interleave(copies)
    assert torch.equal(found, weighted_quantiles(duplicated, torch.ones(len(duplicated)), levels))
    assert torch.allclose(found, torch.quantile(duplicated, levels.double()), atol=0.1)
    assert not torch.equal(found, weighted_quantiles(values, torch.ones(999), levels))
