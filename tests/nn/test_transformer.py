"""Set transformer: padding changes nothing, the order of the elements neither."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from castalia.nn.transformer import AttentionBlock, SetTransformer
from castalia.rng import Stream


def _normal(*shape: int, counter: int = 0) -> Tensor:
    return torch.from_numpy(Stream(1, "transformer").at(counter).standard_normal(shape))


@pytest.fixture
def transformer() -> SetTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(1)
        return SetTransformer(8, 2, 3, 2).double()


def _mask(*lengths: int, size: int = 5) -> Tensor:
    return torch.arange(size) < torch.tensor(lengths)[:, None]


def test_padded_values_change_nothing(transformer):
    elements, mask = _normal(4, 5, 8).requires_grad_(), _mask(1, 2, 4, 5)
    out = transformer(elements, mask)
    junk = torch.where(mask[..., None], elements, 1e6 * _normal(4, 5, 8, counter=1))
    assert torch.equal(transformer(junk, mask), out)
    (gradient,) = torch.autograd.grad(out.square().sum(), elements)
    assert bool((gradient[~mask] == 0).all())
    assert bool((gradient[mask].abs().sum(1) > 0).all())
    longer = torch.cat([elements, _normal(4, 3, 8)], dim=1)
    assert torch.allclose(transformer(longer, _mask(1, 2, 4, 5, size=8)), out)
    assert not torch.allclose(transformer(junk, mask.roll(1, 0)), out)  # negative control: another event's mask


def test_the_order_of_the_others_changes_nothing(transformer):
    elements, mask = _normal(4, 5, 8), _mask(5, 5, 3, 2)
    out, order = transformer(elements, mask), torch.tensor([0, 3, 1, 4, 2])
    assert torch.allclose(transformer(elements[:, order], mask[:, order]), out)
    first = torch.tensor([1, 0, 2, 3, 4])  # negative control: which one comes first matters
    assert not torch.allclose(transformer(elements[:, first], mask[:, first]), out)


def test_the_first_elements_can_be_computed_alone():
    block = AttentionBlock(6, 3, 2).double()
    elements, mask = _normal(3, 5, 6), _mask(5, 3, 1)
    assert torch.allclose(block(elements, mask, wanted=2), block(elements, mask)[:, :2])


def test_sets_do_not_see_each_other_and_repeat(transformer):
    elements, mask = _normal(4, 5, 8), _mask(5, 4, 3, 2)
    out = transformer(elements, mask)
    assert torch.equal(transformer(elements, mask), out)
    assert torch.allclose(torch.cat([transformer(elements[i : i + 1], mask[i : i + 1]) for i in range(4)]), out)
    assert transformer(elements[:0], mask[:0]).shape == (0, 8)


def test_a_bias_of_zero_is_none_and_one_of_minus_infinity_is_a_mask():
    block = AttentionBlock(8, 2, 2).double()
    elements, mask = _normal(4, 5, 8), _mask(5, 4, 3, 1)
    zero = torch.zeros(2, 4, 5, 5, dtype=torch.float64)
    assert torch.allclose(block(elements, mask, bias=zero), block(elements, torch.ones_like(mask)))
    hidden = zero.masked_fill(~mask[:, None, :], -torch.inf)
    assert torch.allclose(block(elements, mask, bias=hidden), block(elements, mask))
    drawn = _normal(2, 4, 5, 5, counter=2)
    assert not torch.allclose(block(elements, mask, bias=drawn)[0], block(elements, mask)[0])  # negative control
