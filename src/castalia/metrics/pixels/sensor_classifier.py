"""A small network that tells which sensor a pooled image is of; its features judge images.

It learns on true events that are not judged with it, in a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from castalia.detectors.pxd.geometry import SENSORS
from castalia.errors import DataError
from castalia.metrics.pixels.summary import POOLED
from castalia.rng import Stream

__all__ = ["SensorClassifier", "learn_sensors"]

_CHANNELS, _FEATURES = 12, 48
_PASSES, _BATCH, _RATE = 6, 100, 3e-3
_MOST_EVENTS = 150  # to learn from: 6,000 images
_CHUNK = 4_000
_FEWEST = 8


@final
@dataclass(frozen=True)
class SensorClassifier:
    """A trained network; see ``learn_sensors``."""

    _network: nn.Sequential
    _scale: tuple[float, float]

    def features(self, images: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Return the values of the last hidden layer.

        Args:
            images: As of ``PixelSummary.images``, shape ``(events, 40, 25, 32)``.

        Returns:
            Shape ``(events, 40, features)``.
        """
        flat = torch.from_numpy(images.reshape(-1, *POOLED).astype(np.float32))
        with torch.no_grad():
            parts = [self._network[:-1](_scaled(part, self._scale)) for part in torch.split(flat, _CHUNK)]
        found: NDArray[np.float64] = torch.cat(parts).double().numpy()
        return found.reshape(len(images), SENSORS, _FEATURES)

    def accuracy(self, images: NDArray[np.uint16]) -> float:
        """Return the share of the images whose sensor it names; a guess has 1/40.

        Args:
            images: Shape ``(events, 40, 25, 32)``.
        """
        features = torch.from_numpy(self.features(images)).float()
        with torch.no_grad():
            named = self._network[-1](features).argmax(dim=2)
        return float((named == torch.arange(SENSORS)).float().mean())


def learn_sensors(images: NDArray[np.uint16], seed: int) -> SensorClassifier:
    """Train the network.

    Args:
        images: Of true events, shape ``(events, 40, 25, 32)``; at most 150 events are used.
        seed: Seed of the first weights and of the order.

    Raises:
        DataError: If there are fewer than eight events.
    """
    if len(images) < _FEWEST:
        raise DataError(f"{len(images)} events are too few to learn what sensors look like; use {_FEWEST} or more.")
    pictures = torch.from_numpy(images[:_MOST_EVENTS].reshape(-1, *POOLED).astype(np.float32))
    label = torch.arange(SENSORS).repeat(min(len(images), _MOST_EVENTS))
    logarithm = torch.log1p(pictures)
    scale = (float(logarithm.mean()), max(float(logarithm.std()), 1e-6))
    stream = Stream(seed, "sensor classifier")
    network = _network(torch.Generator().manual_seed(stream.integer(2**31)))
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    steps = _PASSES * -(-len(label) // _BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for number in range(_PASSES):
        order = torch.from_numpy(stream.at(1 + number).permutation(len(label)))
        for rows in torch.split(order, _BATCH):
            loss = nn.functional.cross_entropy(network(_scaled(pictures[rows], scale)), label[rows])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return SensorClassifier(network, scale)


def _scaled(images: Tensor, scale: tuple[float, float]) -> Tensor:
    return ((torch.log1p(images) - scale[0]) / scale[1]).unsqueeze(1)


def _network(generator: torch.Generator) -> nn.Sequential:
    """Three convolutions, a hidden layer, the sensors; weights are drawn from ``generator`` alone."""
    channels = _CHANNELS
    with torch.random.fork_rng(devices=[]):  # what layers draw for themselves is overwritten
        network = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, stride=2, padding=1), nn.SiLU(),
            nn.Flatten(), nn.Linear(2 * channels * 4 * 4, _FEATURES), nn.SiLU(),
            nn.Linear(_FEATURES, SENSORS),
        )  # fmt: skip
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, float(np.sqrt(2.0 / weight[0].numel())), generator=generator)
            else:
                weight.zero_()
    return network
