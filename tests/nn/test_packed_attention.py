"""Packed attention: what torch's own operations give, and its derivatives."""

from __future__ import annotations

import torch
from torch import Tensor

from castalia.nn.packed_attention import packed_attention
from castalia.rng import Stream


def _normal(*shape: int, counter: int = 0) -> Tensor:
    return torch.from_numpy(Stream(1, "packed attention").at(counter).standard_normal(shape))


def _by_definition(packed: Tensor, bias: Tensor) -> Tensor:
    sets, count, width = packed.shape
    query, key, value = packed.view(sets, count, 3, len(bias), -1).permute(2, 0, 3, 1, 4)
    attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.transpose(0, 1))
    return attended.transpose(1, 2).reshape(sets, count, width // 3)


def test_it_is_scaled_dot_product_attention():
    packed, bias = _normal(3, 5, 24), _normal(2, 3, 5, 5, counter=1)
    bias[:, :, :, 3] = -torch.inf
    assert torch.allclose(packed_attention(packed, bias), _by_definition(packed, bias))
    assert not torch.allclose(packed_attention(packed, bias.mT), _by_definition(packed, bias))  # negative control


def test_its_derivatives_are_those_of_finite_differences():
    packed, bias = _normal(2, 4, 12).requires_grad_(), _normal(2, 2, 4, 4, counter=1).requires_grad_()
    assert torch.autograd.gradcheck(packed_attention, (packed, bias))


def test_a_key_kept_out_gets_no_gradient():
    packed, bias = _normal(2, 4, 12).requires_grad_(), torch.zeros(2, 2, 4, 4, dtype=torch.float64)
    bias[:, :, :, 1] = -torch.inf
    out = packed_attention(packed, bias)[:, [0, 2, 3]]
    (gradient,) = torch.autograd.grad(out.square().sum(), packed)
    assert bool((gradient[:, 1] == 0).all())
    assert bool((gradient[:, [0, 2, 3]].abs().sum(-1) > 0).all())


def test_no_sets_are_no_error():
    assert packed_attention(_normal(0, 5, 12), _normal(2, 0, 5, 5)).shape == (0, 5, 4)


def test_no_sets_have_no_derivatives():
    packed = torch.zeros(0, 5, 24, requires_grad=True)
    packed_attention(packed, torch.zeros(2, 0, 5, 5)).sum().backward()
    assert packed.grad.shape == packed.shape
