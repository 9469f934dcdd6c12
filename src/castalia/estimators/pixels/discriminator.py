"""The discriminator: is this image of this sensor, in this event, a true one?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from castalia.estimators.pixels.generator import ImageShape
from castalia.estimators.pixels.relational_reasoning import RelationalReasoning, SensorTokens
from castalia.nn.image_blocks import DownBlock
from castalia.nn.mlp import MLP

__all__ = ["ImageDiscriminator", "Judged"]


@final
@dataclass(frozen=True)
class Judged:
    """What a discriminator says of events.

    Attributes:
        score: Larger for what looks true, shape ``(events, sensors)``.
        embedding: Unit vectors, shape ``(events, sensors, width)``.
        proxy: Unit vector of each sensor as a class, shape ``(sensors, width)``.
    """

    score: Tensor
    embedding: Tensor
    proxy: Tensor


@final
class ImageDiscriminator(nn.Module):
    """Residual network down to a vector an image, then relational reasoning between the sensors of an event.

    The means of the images go past the network, in units of their true spread: occupancies differ by a few per cent,
    which means of some thousand cells show and single cells do not.

    Args:
        tokens: Makes vectors of the sensors and the event, without noise.
        reasoning: Lets sensors attend to each other, or not.
        shape: The images.
    """

    def __init__(self, tokens: SensorTokens, reasoning: RelationalReasoning, shape: ImageShape) -> None:
        super().__init__()
        self.tokens, self.reasoning = tokens, reasoning
        width, features = tokens.embedding.shape[1], shape.features[::-1]
        kernel, padding = (shape.patch, 0) if shape.patch > 1 else (3, 1)
        self.first = spectral_norm(nn.Conv2d(shape.channels, features[0], kernel, shape.patch, padding))
        steps = itertools.pairwise(features)
        self.blocks = nn.ModuleList(DownBlock(before, after) for before, after in steps)
        self.deep = nn.Linear(2 * features[-1], width)
        self.means = MLP(shape.channels, width, (width,), activation="silu")
        self.score = MLP(width, 1, (width,), activation="silu")
        self.expected = nn.Linear(width, width, bias=False)
        self.embed = nn.Linear(width, width)
        self.proxy = nn.Parameter(torch.randn(tokens.embedding.shape))

    def forward(self, images: Tensor, condition: Tensor, centre: Tensor, spread: Tensor) -> Judged:
        """Judge events.

        Args:
            images: Shape ``(events, sensors, channels, rows, columns)``.
            condition: Standardised, shape ``(events, conditions)``.
            centre: Mean of true images by channel, shape ``(channels,)``.
            spread: Deviation of the means of true images, same shape.
        """
        events, sensors = images.shape[:2]
        seen = self._seen(images.flatten(0, 1), centre, spread).view(events, sensors, -1)
        known = self.tokens(condition, images.new_zeros(events, sensors, 0))
        related = self.reasoning(seen + known)
        # What is seen is compared with what is to be expected, as by a projection discriminator (arXiv:1802.05637).
        score = self.score(related)[..., 0] + (related * self.expected(known)).sum(dim=2) / related.shape[2] ** 0.5
        embedding = functional.normalize(self.embed(related), dim=2)
        return Judged(score, embedding, functional.normalize(self.proxy, dim=1))

    def _seen(self, images: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        means = (images.mean(dim=(2, 3)) - centre) / spread
        deep = self.first(images)
        for block in self.blocks:
            deep = block(deep)
        deep = functional.relu(deep)
        # The mean says how much there is of a feature, the largest value whether there is any.
        result: Tensor = self.deep(torch.cat([deep.mean(dim=(2, 3)), deep.amax(dim=(2, 3))], dim=1)) + self.means(means)
        return result
