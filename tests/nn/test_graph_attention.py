"""Graph attention: padding changes nothing, nodes carry no order, scores are dynamic, pairs are directed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from castalia.nn.graph_attention import GraphAttentionBlock
from castalia.rng import Stream


def _normal(*shape: int, counter: int = 0) -> Tensor:
    return torch.from_numpy(Stream(1, "graph attention").at(counter).standard_normal(shape))


@pytest.fixture
def block() -> GraphAttentionBlock:
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(1)
        return GraphAttentionBlock(8, 2, 3).double()


def _mask(*lengths: int, size: int = 5) -> Tensor:
    return torch.arange(size) < torch.tensor(lengths)[:, None]


def test_padding_changes_nothing(block):
    nodes, pairs, mask = _normal(4, 5, 8), _normal(4, 5, 5, 3, counter=1), _mask(1, 2, 4, 5)
    out = block(nodes, mask, pairs)
    both = (mask[:, :, None] & mask[:, None])[..., None]
    junk = torch.where(mask[..., None], nodes, 1e6), torch.where(both, pairs, -1e6)
    assert torch.equal(block(junk[0], mask, junk[1])[mask], out[mask])
    assert not torch.allclose(block(junk[0], mask.roll(1, 0), junk[1])[mask], out[mask])  # negative control


def test_nodes_have_no_order_and_pairs_have_a_direction(block):
    nodes, pairs, mask = _normal(4, 5, 8), _normal(4, 5, 5, 3, counter=1), _mask(5, 5, 5, 5)
    out, order = block(nodes, mask, pairs), torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(block(nodes[:, order], mask, pairs[:, order][:, :, order]), out[:, order])
    assert not torch.allclose(block(nodes, mask, pairs.transpose(1, 2)), out)


def test_which_sender_counts_most_depends_on_the_receiver():
    """The claim of the paper: plain graph attention ranks senders alike for all receivers."""
    block = GraphAttentionBlock(2, 1).double()
    with torch.no_grad():
        block.normal = torch.nn.Identity()
        for layer in (block.receiver, block.sender, block.together):
            layer.weight.copy_(torch.eye(2))
            layer.bias.zero_()
        block.score.fill_(10.0)
        nodes = torch.tensor([[[3.0, -3.0], [-3.0, 3.0]]], dtype=torch.float64)
        received = torch.sign(block(nodes, _mask(2, size=2)) - nodes)
    assert received[0, 0].tolist() == [1, -1]  # each took from itself, whose sum with itself is large
    assert received[0, 1].tolist() == [-1, 1]


def test_gradients_reach_every_parameter(block):
    out = block(_normal(4, 5, 8), _mask(5, 4, 3, 2), _normal(4, 5, 5, 3, counter=1))
    out.square().mean().backward()
    assert all(bool(parameter.grad.abs().sum() > 0) for parameter in block.parameters())
