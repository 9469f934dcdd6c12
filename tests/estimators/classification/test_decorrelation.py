"""Distance correlation: its definition by sums over pairs, its ends, and weights as duplicates."""

from __future__ import annotations

import numpy as np
import torch

from castalia.estimators.classification.decorrelation import distance_correlation
from castalia.rng import Stream

ONES = torch.ones(300, dtype=torch.float64)


def _drawn(counter: int = 0) -> torch.Tensor:
    return torch.from_numpy(Stream(1, "distance correlation").at(counter).standard_normal(300))


def test_it_is_what_its_definition_says():
    one, other = _drawn(), _drawn() ** 2 + _drawn(1)

    def centred(values):
        d = np.abs(values[:, None] - values)
        return d - d.mean(0) - d.mean(1)[:, None] + d.mean()

    a, b = centred(one.numpy()), centred(other.numpy())
    expected = (a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())
    assert np.isclose(float(distance_correlation(one, other, ONES)), expected)


def test_it_is_one_for_a_line_and_small_for_independent_variables_only():
    one = _drawn()
    assert np.isclose(float(distance_correlation(one, 3 - 2 * one, ONES)), 1)
    independent = float(distance_correlation(one, _drawn(1), ONES))
    assert 0 <= independent < 0.05  # of the order of 1 / events, times some units
    assert float(distance_correlation(one, one**2, ONES)) > 0.1  # where the linear correlation is zero


def test_a_constant_has_none_and_a_finite_gradient():
    constant = torch.zeros(300, dtype=torch.float64, requires_grad=True)
    found = distance_correlation(constant, _drawn(), ONES)
    (gradient,) = torch.autograd.grad(found, constant)
    assert float(found.detach()) == 0
    assert bool(torch.isfinite(gradient).all())


def test_a_weight_of_two_is_the_event_twice():
    one, other = _drawn(), _drawn() + _drawn(1)
    weight = torch.arange(300) % 3
    rows = torch.arange(300).repeat_interleave(weight)
    found = distance_correlation(one, other, weight.double())
    assert torch.allclose(found, distance_correlation(one[rows], other[rows], torch.ones(len(rows)).double()))
    assert not torch.allclose(found, distance_correlation(one, other, ONES))  # negative control
