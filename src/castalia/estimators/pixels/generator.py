"""The generator: noise to images of all sensors of an event."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.estimators.pixels.relational_reasoning import RelationalReasoning, SensorTokens
from castalia.nn.image_blocks import ConditionalNorm, UpBlock

__all__ = ["ImageGenerator", "ImageShape", "Noise"]


@final
@dataclass(frozen=True)
class ImageShape:
    """Size of the images and of the networks' steps to them.

    Attributes:
        channels: Channels of an image.
        rows: Rows of cells.
        columns: Columns of cells.
        patch: Cells that the finest step makes at once, along either side.
        features: Channels of the networks from the coarsest grid to the finest, which differ by factors of two.
    """

    channels: int
    rows: int
    columns: int
    patch: int
    features: tuple[int, ...]

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the grids, from the coarsest to the finest."""
        scales = [self.patch * 2**step for step in reversed(range(len(self.features)))]
        return tuple((self.rows // scale, self.columns // scale) for scale in scales)


@final
@dataclass(frozen=True)
class Noise:
    """All chance of some events; standard normal.

    Attributes:
        event: Shared by the sensors of an event, shape ``(events, E)``.
        sensor: Of each sensor, shape ``(events, sensors, N)``.
        maps: Of the cells of each grid but the coarsest, shapes ``(events, sensors, 1, rows, columns)``.
        texture: Of the cells of the images, shape ``(events, sensors, channels, rows, columns)``.
    """

    event: Tensor
    sensor: Tensor
    maps: tuple[Tensor, ...]
    texture: Tensor


@final
class ImageGenerator(nn.Module):
    """Residual network whose every block is conditioned by what relational reasoning tells a sensor.

    What chance may do is in the noise: a vector shared by the event's sensors (none for zero numbers), a vector of each
    sensor, and numbers of each cell. Without shared vector and relations, sensors are independent given the condition.

    Args:
        tokens: Makes the sensors' vectors.
        reasoning: Lets them attend to each other.
        shape: The images.
        event_noise: Random numbers that the sensors of an event share.
        sensor_noise: Random numbers of each sensor.
        texture: Whether an image is noise in every cell that is shaped, see ``ImageCoding``; else it ends in tanh.
    """

    def __init__(
        self,
        tokens: SensorTokens,
        reasoning: RelationalReasoning,
        shape: ImageShape,
        event_noise: int,
        sensor_noise: int,
        texture: bool,
    ) -> None:
        super().__init__()
        self.tokens, self.reasoning, self.shape = tokens, reasoning, shape
        self.numbers, self.texture = (event_noise, sensor_noise), texture
        width, features = tokens.embedding.shape[1], shape.features
        self.shared = nn.Linear(event_noise, width, bias=False) if event_noise else None
        (rows, columns), self.coarsest = shape.grids[0], features[0]
        self.start = nn.Linear(width, self.coarsest * rows * columns)
        steps = itertools.pairwise(features)
        self.blocks = nn.ModuleList(UpBlock(before, after, width) for before, after in steps)
        self.last_norm = ConditionalNorm(features[-1], width)
        self.last = nn.Conv2d(features[-1], shape.channels * shape.patch**2, 3, padding=1)
        self.offset = nn.Linear(width, shape.channels)
        self.log_scale = nn.Parameter(torch.zeros(shape.channels, 1, 1))
        with torch.no_grad():  # begins near noise, or near empty images
            self.last.weight.mul_(0.3)

    def draw_noise(self, events: int, rng: np.random.Generator, device: torch.device) -> Noise:
        """Draw the noise of some events."""

        def normal(*size: int) -> Tensor:
            return torch.from_numpy(rng.standard_normal((events, *size), dtype=np.float32)).to(device)

        shape, sensors = self.shape, len(self.tokens.positions)
        return Noise(
            normal(self.numbers[0]),
            normal(sensors, self.numbers[1]),
            tuple(normal(sensors, 1, *grid) for grid in shape.grids[1:]),
            normal(sensors, shape.channels if self.texture else 0, shape.rows, shape.columns),
        )

    def forward(self, condition: Tensor, noise: Noise, spread: Tensor) -> Tensor:
        """Make images.

        Args:
            condition: Standardised, shape ``(events, conditions)``.
            noise: From ``draw_noise``.
            spread: Deviation of the means of true images, by channel, shape ``(channels,)``: the unit in which an image
                is shifted as a whole.

        Returns:
            Shape ``(events, sensors, channels, rows, columns)``.
        """
        vectors = self.tokens(condition, noise.sensor)
        if self.shared is not None:
            vectors = vectors + self.shared(noise.event)[:, None]
        vectors = self.reasoning(vectors)
        events, sensors, _ = vectors.shape
        flat = vectors.flatten(0, 1)
        made = self._refined(flat, noise.maps)
        made = made + (self.offset(flat) * spread)[:, :, None, None]
        if self.texture:
            made = made + self.log_scale.exp() * noise.texture.flatten(0, 1)
        else:
            made = made.tanh()
        result: Tensor = made.view(events, sensors, *made.shape[1:])
        return result

    def _refined(self, vectors: Tensor, maps: Sequence[Tensor]) -> Tensor:
        images = self.start(vectors).view(len(vectors), self.coarsest, *self.shape.grids[0])
        for block, cells in zip(self.blocks, maps, strict=True):
            images = block(images, vectors, cells.flatten(0, 1))
        images = self.last(functional.relu(self.last_norm(images, vectors)))
        result: Tensor = functional.pixel_shuffle(images, self.shape.patch)
        return result
