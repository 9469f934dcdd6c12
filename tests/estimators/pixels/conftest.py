"""Small events for models of pixel hits: sensors with short clusters, more of them where the condition is larger."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.estimators.base import Batch, Events
from castalia.estimators.pixels.hits import Hits, SensorArray, padded
from castalia.rng import Stream

ARRAY = SensorArray(6, 30, 45, 256)


def _hits(events: int, rate: np.ndarray, rng: np.random.Generator) -> Hits:
    """Return clusters of one to four pixels along v; ``rate`` is their mean number by event and sensor."""
    number = rng.poisson(rate)
    sensor = np.repeat(np.arange(number.size), number.ravel())
    length = rng.integers(1, 5, len(sensor))
    u, v = rng.integers(0, ARRAY.u, len(sensor)), rng.integers(0, ARRAY.v - 3, len(sensor))
    step = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    rows = np.repeat(sensor * ARRAY.u + u, length)
    pixel = np.unique(rows * ARRAY.v + np.repeat(v, length) + step)
    sensor = pixel // (ARRAY.u * ARRAY.v)
    charge = np.minimum(7 + rng.exponential(20, len(pixel)).astype(np.int64), 255)
    columns = (sensor // 6, sensor % 6, pixel // ARRAY.v % ARRAY.u, pixel % ARRAY.v, charge)
    return Hits(events, *(torch.from_numpy(one) for one in columns))


@pytest.fixture
def array() -> SensorArray:
    """Return six sensors of 30 x 45 pixels."""
    return ARRAY


@pytest.fixture
def layout() -> Layout:
    """Return their layout with two conditions."""
    return Layout((Variable("luminosity"), Variable("constant")), ARRAY.variables)


@pytest.fixture
def pixel_events() -> Callable[..., Batch]:
    """Return ``pixel_events(count, purpose="train", common=0.3)``: events that share a factor of that spread."""

    def make(count: int, purpose: str = "train", common: float = 0.3) -> Batch:
        rng = Stream(1, "pixel tests", purpose).at()
        luminosity = rng.uniform(0.5, 1.0, count)
        shared = rng.gamma(1.0 / common**2, common**2, count) if common else np.ones(count)
        rate = (luminosity * shared)[:, None] * np.linspace(6.0, 12.0, 6)
        condition = torch.from_numpy(np.stack([luminosity, np.ones(count)], axis=1))
        target = padded(_hits(count, rate, rng))
        return Batch(Events(condition), target, torch.ones(count), torch.arange(count))

    return make
