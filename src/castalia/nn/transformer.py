"""Transformer blocks over sets: no order, any number of elements, and padding that changes nothing."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.nn.mlp import MLP
from castalia.nn.packed_attention import packed_attention

__all__ = ["AttentionBlock", "SetTransformer", "biases_of"]


@final
class AttentionBlock(nn.Module):
    """Self-attention and a network on each element, both with a normalisation before and added to what there was.

    Args:
        width: Features of an element; a multiple of ``heads``.
        heads: Number of attention heads.
        expansion: Width of the network's hidden layer, in widths of an element.

    References:
        Vaswani et al., Attention is all you need (arXiv:1706.03762), section 3.2; Xiong et al., On layer
        normalization in the transformer architecture (arXiv:2002.04745), the pre-norm order.
    """

    def __init__(self, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        # A bias of the keys adds the same to all scores of a query, which the softmax does not see.
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.together = nn.Linear(width, width)
        self.before_network = nn.LayerNorm(width)
        self.network = MLP(width, width, (expansion * width,), activation="silu")

    def forward(self, elements: Tensor, mask: Tensor, wanted: int | None = None, bias: Tensor | None = None) -> Tensor:
        """Let elements attend to all that exist.

        Args:
            elements: Shape ``(sets, N, width)``.
            mask: True where an element exists, shape ``(sets, N)``; at least one in every set.
            wanted: Compute the first elements only, which then attend to all; ``None`` for all.
            bias: What is added to the score of each query (third axis) and key, shape ``(heads, sets, N, N)``; it takes
                the place of the mask, with minus infinity for a key that does not exist. ``None`` for nothing. Among
                some ten elements this is the faster way, and among more than some thirty the other one.

        Returns:
            Shape ``(sets, wanted or N, width)``; meaningless where ``mask`` is false.
        """
        normal = self.before_attention(elements)
        own = elements[:, :wanted]
        if bias is None:
            query = self._by_head(self.query(normal[:, :wanted]))
            key, value = self._by_head(self.key(normal)), self._by_head(self.value(normal))
            attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
            attended = attended.transpose(1, 2).flatten(2)
        else:
            attended = packed_attention(self._packed(normal), bias)[:, :wanted]
        own = own + self.together(attended)
        result: Tensor = own + self.network(self.before_network(own))
        return result

    def _packed(self, values: Tensor) -> Tensor:
        """Return queries, keys and values by one product."""
        weight = torch.cat([self.query.weight, self.key.weight, self.value.weight])
        bias = torch.cat([self.query.bias, torch.zeros_like(self.query.bias), self.value.bias])
        return functional.linear(values, weight, bias)

    def _by_head(self, values: Tensor) -> Tensor:
        sets, elements, width = values.shape
        return values.view(sets, elements, self.heads, width // self.heads).transpose(1, 2)


def biases_of(mask: Tensor, like: Tensor, heads: int, blocks: int, added: Tensor | None) -> list[Tensor]:
    """Return the bias of each block, minus infinity for keys that do not exist.

    Args:
        mask: True where an element exists, shape ``(sets, N)``.
        like: A tensor of the wanted precision.
        heads: Number of attention heads.
        blocks: Number of blocks.
        added: What is added for those that exist, finite, shape ``(blocks heads, sets, N, N)``; ``None`` for nothing.

    Returns:
        As ``AttentionBlock.forward`` takes them.
    """
    absent = torch.zeros_like(mask, dtype=like.dtype).masked_fill(~mask, -torch.inf)[:, None]
    if added is None:
        return [absent.expand(heads, -1, mask.shape[1], -1)] * blocks
    return list(torch.split(added + absent, heads))


@final
class SetTransformer(nn.Module):
    """Attention blocks after which the first element stands for the whole set.

    The last block computes that element only. What comes out does not depend on the order of the others.

    Args:
        width: Features of an element; a multiple of ``heads``.
        heads: Number of attention heads.
        blocks: Number of blocks, at least 1.
        expansion: Width of each block's hidden layer, in widths of an element.
    """

    def __init__(self, width: int, heads: int, blocks: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.blocks = nn.ModuleList(AttentionBlock(width, heads, expansion) for _ in range(blocks))
        self.normal = nn.LayerNorm(width)

    def forward(self, elements: Tensor, mask: Tensor, bias: Tensor | None = None) -> Tensor:
        """Sum up each set.

        Args:
            elements: Shape ``(sets, N, width)``; finite everywhere, whatever stands where ``mask`` is false.
            mask: True where an element exists, shape ``(sets, N)``; the first one always does.
            bias: What is added to the scores of query and key in each block, finite, shape
                ``(blocks heads, sets, N, N)``; ``None`` for nothing.

        Returns:
            Shape ``(sets, width)``, of mean zero and variance one over the features of each set but for a learned
            factor and offset.
        """
        return self.each(elements, mask, bias, wanted=1)[:, 0]

    def each(self, elements: Tensor, mask: Tensor, bias: Tensor | None = None, wanted: int | None = None) -> Tensor:
        """Return what becomes of the elements themselves, of all or of the ``wanted`` first; else as ``forward``.

        Returns:
            Shape ``(sets, wanted or N, width)``; meaningless where ``mask`` is false.
        """
        biases = biases_of(mask, elements, self.heads, len(self.blocks), bias)
        for block, one in zip(self.blocks[:-1], biases, strict=False):
            elements = block(elements, mask, bias=one)
        result: Tensor = self.normal(self.blocks[-1](elements, mask, wanted=wanted, bias=biases[-1]))
        return result
