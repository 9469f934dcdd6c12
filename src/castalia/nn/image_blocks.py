"""Residual blocks of image networks, normalised within an image and conditioned by a vector."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["ConditionalNorm", "DownBlock", "UpBlock"]

_CHANNELS_PER_GROUP = 8


@final
class ConditionalNorm(nn.Module):
    """Group normalisation whose factor and offset of each channel are linear in a vector.

    It looks at one image only. Batch normalisation would let the images of a batch see each other, and with them the
    sensors of an event.

    Args:
        channels: Channels of the image.
        width: Features of the vector.

    References:
        Wu and He, Group normalization (arXiv:1803.08494); Perez et al., FiLM (arXiv:1709.07871).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        groups = math.gcd(channels, max(1, channels // _CHANNELS_PER_GROUP))
        self.normal = nn.GroupNorm(groups, channels, affine=False)
        self.modulation = nn.Linear(width, 2 * channels)

    def forward(self, images: Tensor, vectors: Tensor) -> Tensor:
        """Normalise images of shape ``(images, channels, rows, columns)`` given vectors ``(images, width)``."""
        factor, offset = self.modulation(vectors)[:, :, None, None].chunk(2, dim=1)
        result: Tensor = self.normal(images) * (1.0 + factor) + offset
        return result


@final
class UpBlock(nn.Module):
    """Residual block of a generator: twice the rows and columns, and noise of its own in every cell.

    Args:
        inputs: Channels before.
        outputs: Channels after.
        width: Features of the vector that conditions the block.

    References:
        Brock, Donahue and Simonyan, Large scale GAN training (arXiv:1809.11096), appendix B; Karras, Laine and Aila,
        A style-based generator architecture (arXiv:1812.04948), section 3.2, for the noise in every cell.
    """

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = ConditionalNorm(inputs, width), ConditionalNorm(outputs, width)
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.noise = nn.Parameter(torch.full((outputs, 1, 1), 0.1))

    def forward(self, images: Tensor, vectors: Tensor, noise: Tensor) -> Tensor:
        """Refine images.

        Args:
            images: Shape ``(images, inputs, rows, columns)``.
            vectors: Shape ``(images, width)``.
            noise: Standard normal, shape ``(images, 1, 2 rows, 2 columns)``.

        Returns:
            Shape ``(images, outputs, 2 rows, 2 columns)``.
        """
        inner = _twice(functional.relu(self.first_norm(images, vectors)))
        inner = self.first(inner) + self.noise * noise
        inner = self.second(functional.relu(self.second_norm(inner, vectors)))
        result: Tensor = inner + _twice(self.short(images))
        return result


@final
class DownBlock(nn.Module):
    """Residual block of a discriminator: half the rows and columns.

    Its weights are held by their largest singular value and nothing is normalised within an image: that would take away
    how much there is in it, which is what a discriminator has to see first.

    Args:
        inputs: Channels before.
        outputs: Channels after.

    References:
        Miyato et al., Spectral normalization for generative adversarial networks (arXiv:1802.05957).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.short = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        """Sum up ``(images, inputs, rows, columns)`` as ``(images, outputs, rows / 2, columns / 2)``."""
        inner = self.second(functional.relu(self.first(functional.relu(images))))
        result: Tensor = functional.avg_pool2d(inner, 2) + self.short(functional.avg_pool2d(images, 2))
        return result


def _twice(images: Tensor) -> Tensor:
    return functional.interpolate(images, scale_factor=2.0, mode="nearest")
