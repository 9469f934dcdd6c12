"""Networks of sets as graphs, in plain products and sums: values have the shape ``(events, N, features)``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from castalia.export.graph import Value
from castalia.nn.graph_attention import SLOPE, GraphAttentionBlock
from castalia.nn.mlp import MLP
from castalia.nn.transformer import AttentionBlock

__all__ = ["attention_block", "graph_attention_block", "normalised", "on_each", "projected"]


def projected(weight: Tensor, values: Value, bias: Tensor | None = None) -> Value:
    """Return ``weight @ values + bias`` over the last axis; see ``torch.nn.functional.linear``."""
    product = values.op("MatMul", weight.t())
    return product if bias is None else product + bias


def normalised(layer: nn.LayerNorm, values: Value) -> Value:
    """Give the last axis zero mean and unit variance; see ``torch.nn.LayerNorm``."""
    return values.op("LayerNormalization", layer.weight, layer.bias, axis=-1, epsilon=layer.eps)


def _silu(values: Value) -> Value:
    """Return ``values`` times their logistic function."""
    return values * values.op("Sigmoid")


def on_each(network: MLP, values: Value) -> Value:
    """Evaluate a network of the last axis."""
    *hidden, last = _of(network.layers)
    for layer in hidden:
        values = projected(layer.weight, values, layer.bias)
        values = values.op("Relu") if network.activation == "relu" else _silu(values)
    return projected(last.weight, values, last.bias)


def attention_block(block: AttentionBlock, elements: Value, bias: Value) -> Value:
    """Let elements attend to one another; see ``AttentionBlock.forward``.

    Args:
        block: The block.
        elements: Shape ``(events, N, width)``.
        bias: Added to the scores of query and key, minus infinity for a key that does not exist; broadcast to
            ``(events, heads, N, N)``.
    """
    width, heads = block.query.in_features, block.heads
    share = (width // heads) ** -0.5
    weight = torch.cat([share * block.query.weight, block.key.weight, block.value.weight])
    offset = torch.cat([share * block.query.bias, torch.zeros(width), block.value.bias])
    packed = projected(weight, normalised(block.before_attention, elements), offset)
    by_head = packed.reshape(0, 0, 3 * heads, width // heads).op("Transpose", perm=[0, 2, 1, 3])
    query, key, value = by_head.split([heads] * 3, axis=1)
    scores = query.op("MatMul", key.op("Transpose", perm=[0, 1, 3, 2])) + bias
    attended = _joined(scores.op("Softmax", axis=-1).op("MatMul", value), width)
    own = elements + projected(block.together.weight, attended, block.together.bias)
    return own + on_each(block.network, normalised(block.before_network, own))


def graph_attention_block(block: GraphAttentionBlock, nodes: Value, absent: Value, pairs: Value | None) -> Value:
    """Let nodes receive from one another; see ``GraphAttentionBlock.forward``.

    Args:
        block: The layer.
        nodes: Shape ``(events, N, width)``.
        absent: Minus infinity for a node that does not exist and else zero, shape ``(events, 1, 1, N)``.
        pairs: Features of each pair, shape ``(events, N, N, features)``, where the layer has any.
    """
    width, heads = block.receiver.in_features, block.heads
    normal = normalised(block.normal, nodes)
    sent = projected(block.sender.weight, normal, block.sender.bias)
    received = projected(block.receiver.weight, normal, block.receiver.bias)
    together = received.op("Unsqueeze", np.array([2])) + sent.op("Unsqueeze", np.array([1]))
    if block.pair is not None and pairs is not None:
        together = together + projected(block.pair.weight, pairs)
    # The score of a head is a product with its own features: all heads are one matrix of blocks.
    own = torch.eye(heads).repeat_interleave(width // heads, dim=1)
    by_head = projected(own * block.score.flatten(), together.op("LeakyRelu", alpha=SLOPE))
    scores = by_head.op("Transpose", perm=[0, 3, 1, 2]) + absent
    messages = sent.reshape(0, 0, heads, width // heads).op("Transpose", perm=[0, 2, 1, 3])
    mean = _joined(scores.op("Softmax", axis=-1).op("MatMul", messages), width)
    return nodes + projected(block.together.weight, _silu(mean), block.together.bias)


def _joined(by_head: Value, width: int) -> Value:
    """Put heads, shape ``(events, heads, N, size)``, one after the other, shape ``(events, N, width)``."""
    return by_head.op("Transpose", perm=[0, 2, 1, 3]).reshape(0, 0, width)


def _of(layers: nn.ModuleList) -> list[Any]:
    return list(layers)
