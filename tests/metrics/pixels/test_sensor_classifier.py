"""The sensor classifier: learns what tells sensors apart, the same again from the same seed, and nothing from noise."""

import numpy as np
import pytest
import torch

from castalia.errors import DataError
from castalia.metrics.pixels.sensor_classifier import learn_sensors
from castalia.rng import Stream


def images(events, seed, *, marked=True):
    """Make images of noise, with a bright row and column whose place tells the sensor."""
    found = Stream(seed, "images").at().poisson(10.0, (events, 40, 25, 32)).astype(np.uint16)
    if marked:
        for sensor in range(40):
            found[:, sensor, 3 * (sensor % 8) : 3 * (sensor % 8) + 2, 6 * (sensor // 8) : 6 * (sensor // 8) + 4] += 100
    return found


@pytest.mark.statistical
def test_sensors_that_differ_are_told_apart():
    before = torch.get_rng_state()
    network = learn_sensors(images(30, 1), 1)
    assert torch.equal(torch.get_rng_state(), before)
    fresh = images(20, 2)
    assert network.accuracy(fresh) > 0.9
    features = network.features(fresh)
    assert features.shape[:2] == (20, 40)
    np.testing.assert_array_equal(features, learn_sensors(images(30, 1), 1).features(fresh))
    # Negative control: 800 images without a mark, of which a guess names 1 in 40, 20 +- 4.4.
    assert learn_sensors(images(30, 1, marked=False), 1).accuracy(images(20, 2, marked=False)) < (20 + 5 * 4.4) / 800


def test_too_few_events_are_refused():
    with pytest.raises(DataError, match="8 or more"):
        learn_sensors(images(7, 1), 1)
