"""Orders of the targets."""

from __future__ import annotations

import torch

from castalia.estimators.flows.permutation import Permutation, half_swap, mixed, reverse


def test_half_swap_exchanges_the_objects():
    assert half_swap(6, 2) == [3, 4, 5, 0, 1, 2]
    assert half_swap(8, 4) == [4, 5, 6, 7, 0, 1, 2, 3]
    assert half_swap(3, 1) == reverse(3) == [2, 1, 0]
    assert half_swap(5, 2) == reverse(5)


def test_mixed_orders_are_fixed_and_different():
    assert mixed(6, 1) == mixed(6, 1)
    assert sorted(mixed(6, 1)) == list(range(6))
    assert len({tuple(mixed(6, n)) for n in range(5)}) > 1


def test_a_permutation_and_its_inverse():
    block, x = Permutation([2, 0, 1]), torch.arange(6.0).view(2, 3)
    z, log_determinant = block(x, torch.zeros(2, 0))
    assert z.tolist() == [[2, 0, 1], [5, 3, 4]]
    assert log_determinant.tolist() == [0, 0]
    assert torch.equal(block.inverse(z, torch.zeros(2, 0)), x)
    assert not torch.equal(block.inverse(x, x), x)
