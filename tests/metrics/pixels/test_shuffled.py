"""Shuffled sensors: marginals stay, what sensors share goes, and the classifier sees that and nothing else."""

import numpy as np
import pytest
from pixel_samples import random_hits

from castalia.detectors.pxd.geometry import SENSOR_LAYER, SENSOR_PHI
from castalia.detectors.pxd.images import occupancy
from castalia.errors import DataError
from castalia.metrics.pixels.shared import variance_ratio
from castalia.metrics.pixels.shuffled import pair_sums, shuffle_hits, shuffle_sensors, shuffled_auc
from castalia.rng import Stream

EVENTS = 300


def test_shuffled_sensors_keep_their_values():
    values = Stream(1, "values").at().random((20, 40, 2))
    shuffled = shuffle_sensors(values, Stream(2, "orders").at())
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(values, axis=0))
    assert np.mean(shuffled != values) > 0.9
    same = np.all(shuffled == values[:, :, ::1], axis=2)
    assert not same.all(axis=1).any()


@pytest.mark.statistical
def test_shuffled_hits_are_whole_sensors_in_order():
    rate = 20.0 * Stream(1, "common").at().gamma(10.0, 0.1, (EVENTS, 1))
    hits = random_hits(EVENTS, rate)
    shuffled = shuffle_hits(hits, Stream(2, "orders").at())
    np.testing.assert_array_equal(np.sort(occupancy(shuffled), axis=0), np.sort(occupancy(hits), axis=0))
    number = ((shuffled.event.astype(np.int64) * 40 + shuffled.sensor) * 250 + shuffled.u) * 768 + shuffled.v
    assert np.all(np.diff(number) > 0)
    alone, together = variance_ratio(occupancy(shuffled)), variance_ratio(occupancy(hits))
    assert abs(alone.value - 1.0) < 5.0 * alone.error
    assert together.value - 1.0 > 5.0 * together.error, "the negative control"


def test_pairs_of_sensors_are_those_of_the_detector():
    counted = pair_sums(np.ones((1, 40, 1)))[0]
    # All pairs; 8 neighbours on either side in layer 1, 12 in layer 2; 20 ladders.
    assert counted[:4].tolist() == [780.0, 16.0, 24.0, 20.0]
    layer = np.repeat([0.0, 1.0], [16, 24])[None, :, None]
    assert pair_sums(layer)[0, 1] == pair_sums(layer)[0, 4] == 0.0
    near = np.abs(np.angle(np.exp(1j * (SENSOR_PHI[SENSOR_LAYER == 1][:, None] - SENSOR_PHI[SENSOR_LAYER == 2]))))
    assert counted[4] == np.sum(near <= np.pi / 12.0 + 1e-6) / 2.0


@pytest.mark.statistical
def test_the_classifier_sees_what_sensors_share_and_nothing_else():
    rng = Stream(1, "classifier").at()
    own = rng.standard_normal((EVENTS, 40, 2))
    independent = shuffled_auc(own, 1)
    assert abs(independent.significance) < 5.0
    shared = shuffled_auc(own + 0.5 * rng.standard_normal((EVENTS, 1, 2)), 1)
    assert shared.value > 0.7
    assert shared.significance > 5.0, "the negative control"
    control = shuffled_auc(own + 0.5 * rng.standard_normal((EVENTS, 1, 2)), 1, control=True)
    assert abs(control.significance) < 5.0
    # Only neighbours: what a sum over all sensors hardly has.
    near = np.where(np.arange(40) % 4 < 2, 1.0, 0.0)[:, None] * np.repeat(
        rng.standard_normal((EVENTS, 20, 2)), 2, axis=1
    )
    assert shuffled_auc(own + near, 1).significance > 5.0
    with pytest.raises(DataError, match="40 or more"):
        shuffled_auc(own[:30], 1)
