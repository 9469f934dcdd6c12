"""Events as images of their sensors and back: every pixel with the logarithm of its charge."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from castalia.estimators.base import Batch
from castalia.estimators.pixels.canvas import Canvas
from castalia.estimators.pixels.hits import Hits, hits_of

__all__ = ["ImageCoding", "PixelImages"]


class ImageCoding(nn.Module, ABC):
    """How hits become images that a network can make, and images hits.

    Args:
        canvas: The grid.
        channels: Channels of an image.

    Attributes:
        texture: Whether a generator makes normal scores, which are noise in every cell that it only has to shape; else
            it makes values within -1 and 1.
    """

    texture: bool

    def __init__(self, canvas: Canvas, channels: int) -> None:
        super().__init__()
        self.canvas, self.channels = canvas, channels

    @abstractmethod
    def fit(self, stream: Iterable[Batch]) -> None:
        """Measure in one pass over training batches what coding needs, and store it as buffers."""

    @abstractmethod
    def encode(self, hits: Hits, rng: np.random.Generator) -> Tensor:
        """Return images, shape ``(events, sensors, channels, rows, columns)``."""

    @abstractmethod
    def shown(self, made: Tensor) -> Tensor:
        """Return what a generator made as images like those of ``encode``, of the same shape, with gradients."""

    @abstractmethod
    def decode(self, made: Tensor) -> Hits:
        """Return the hits of what a generator made, ordered by event, sensor, u and v, at most one a pixel."""


@final
class PixelImages(ImageCoding):
    """One channel: the logarithm of one plus the charge, scaled from -1, no hit, to 1, the largest charge.

    Args:
        canvas: The grid, of cells of one pixel.
    """

    texture = False
    smallest: Tensor

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas, 1)
        self.register_buffer("smallest", torch.ones((), dtype=torch.int64))

    def fit(self, stream: Iterable[Batch]) -> None:
        """Note the smallest charge, see ``ImageCoding.fit``."""
        charges = [hits_of(batch.target).charge for batch in stream]
        self.smallest.fill_(min((int(one.min()) for one in charges if len(one)), default=1))

    def encode(self, hits: Hits, rng: np.random.Generator) -> Tensor:
        """Draw the hits, see ``ImageCoding.encode``."""
        del rng
        canvas = self.canvas
        shape = (hits.events, canvas.array.sensors, 1, canvas.rows, canvas.columns)
        images = torch.full(shape, -1.0, device=hits.charge.device)
        value = hits.charge.float().log1p() * (2.0 / math.log(canvas.array.charges)) - 1.0
        images[hits.event, hits.sensor, 0, hits.u + canvas.pad_u, hits.v + canvas.pad_v] = value
        return images

    def shown(self, made: Tensor) -> Tensor:
        """Return the same, see ``ImageCoding.shown``."""
        return made

    def decode(self, made: Tensor) -> Hits:
        """Read off the charges; those below the smallest seen are none, see ``ImageCoding.decode``."""
        canvas = self.canvas
        inside = made[
            :,
            :,
            0,
            canvas.pad_u : canvas.pad_u + canvas.array.u,
            canvas.pad_v : canvas.pad_v + canvas.array.v,
        ]
        charge = ((inside + 1.0) * (0.5 * math.log(canvas.array.charges))).expm1().round().long()
        event, sensor, u, v = (charge >= self.smallest).nonzero().unbind(1)
        return Hits(len(made), event, sensor, u, v, charge[event, sensor, u, v].clamp(max=canvas.array.charges - 1))
