"""Attention on a graph whose nodes are all joined: each node looks at each other one through a network of the two."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["SLOPE", "GraphAttentionBlock"]

SLOPE = 0.2
"""Slope below zero of the function between a pair and its score."""


@final
class GraphAttentionBlock(nn.Module):
    """One layer of attention with learned, dynamic scores, added to what there was.

    The score of a pair is a linear function, one for each head, of ``leaky_relu(receiver + sender + pair)``; what is
    received is the mean of the senders' features by these scores.

    Args:
        width: Features of a node; a multiple of ``heads``.
        heads: Number of attention heads.
        pair_features: Number of features of each ordered pair of nodes; 0 for none.

    References:
        Brody, Alon and Yahav, How attentive are graph attention networks? (arXiv:2105.14491), equation 7.
    """

    def __init__(self, width: int, heads: int, pair_features: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.normal = nn.LayerNorm(width)
        self.receiver = nn.Linear(width, width)
        self.sender = nn.Linear(width, width)
        self.pair = nn.Linear(pair_features, width, bias=False) if pair_features else None
        self.score = nn.Parameter(torch.randn(heads, width // heads) * (heads / width) ** 0.5)
        self.together = nn.Linear(width, width)

    def forward(self, nodes: Tensor, mask: Tensor, pairs: Tensor | None = None) -> Tensor:
        """Let nodes receive from all that exist, themselves included.

        Args:
            nodes: Shape ``(graphs, N, width)``.
            mask: True where a node exists, shape ``(graphs, N)``; at least one in every graph.
            pairs: Features of each pair of receiver and sender, shape ``(graphs, N, N, pair_features)``, where the
                layer has any.

        Returns:
            Shape ``(graphs, N, width)``; meaningless where ``mask`` is false.
        """
        normal = self.normal(nodes)
        sent = self.sender(normal)
        together = self.receiver(normal)[:, :, None] + sent[:, None]
        if self.pair is not None:
            together = together + self.pair(pairs)
        graphs, count, width = nodes.shape
        active = functional.leaky_relu(together, SLOPE).view(graphs, count, count, self.heads, width // self.heads)
        scores = (active * self.score).sum(-1).masked_fill(~mask[:, None, :, None], -torch.inf)
        messages = sent.view(graphs, count, self.heads, width // self.heads)
        received = torch.einsum("gnmh,gmhf->gnhf", scores.softmax(2), messages).flatten(2)
        result: Tensor = nodes + self.together(functional.silu(received))
        return result
