"""What sensors share: nothing where they are independent, what was planted where they are not."""

import numpy as np
import pytest

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.geometry import SENSOR_PHI, cell_positions
from castalia.errors import DataError
from castalia.metrics.pixels.shared import matched_hit_excess, variance_ratio
from castalia.rng import Stream

EVENTS = 400


@pytest.mark.statistical
def test_the_variance_of_the_total_shows_what_is_shared():
    rng = Stream(1, "variances").at()
    independent = rng.poisson(50.0, (EVENTS, 40))
    found = variance_ratio(independent)
    assert abs(found.value - 1.0) < 5.0 * found.error
    # The ratio's spread is that of a variance of so many events.
    assert found.error == pytest.approx(np.sqrt(2.0 / EVENTS), rel=0.3)
    common = variance_ratio(rng.poisson(50.0 * rng.gamma(100.0, 0.01, (EVENTS, 1)), (EVENTS, 40)))
    # A spread of 0.1: 50 + 40 * 25 over 50 + 25, for each sensor.
    expected = (50.0 + 40.0 * 25.0) / 75.0
    assert abs(common.value - expected) < 5.0 * common.error
    assert abs(common.value - 1.0) > 5.0 * common.error, "the negative control"


def planted(straight, common_mode=0.0):
    """Make events of hits at random, of which four in five go straight through both layers."""
    rng = Stream(1, "matched").at()
    event = np.repeat(np.arange(EVENTS), rng.poisson(30.0 * np.exp(common_mode * rng.standard_normal(EVENTS))))
    first = rng.integers(0, 16, len(event)), rng.integers(0, 250, len(event)), rng.integers(0, 768, len(event))
    second = rng.integers(16, 40, len(event)), rng.integers(0, 250, len(event)), rng.integers(0, 768, len(event))
    if straight:
        mine = np.arange(len(event)) % 5 > 0
        # In the direction of the hit in layer 1, near enough: the same ladder angle and place along the beam.
        phi, z = cell_positions(*first)
        choice = (
            rng.integers(16, 40, (60, len(event))),
            rng.integers(0, 250, (60, len(event))),
            rng.integers(0, 768, (60, len(event))),
        )
        other_phi, other_z = cell_positions(*choice)
        off = np.hypot(np.angle(np.exp(1j * (other_phi - phi))), (other_z * 14.21 / 21.79 - z) / 14.21)
        best = off.argmin(axis=0)
        nearest = (one[best, np.arange(len(event))] for one in choice)
        second = tuple(np.where(mine, one, two) for one, two in zip(nearest, second, strict=True))
    sensor, u, v = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    both = np.concatenate([event, event])
    order = np.lexsort((v, u, sensor, both))
    return PixelHits(EVENTS, both[order].astype(np.int32), sensor[order].astype(np.uint8), u[order].astype(np.uint8),
                     v[order].astype(np.uint16), np.full(len(both), 20, dtype=np.uint8))  # fmt: skip


@pytest.mark.statistical
def test_matched_hits_are_those_of_tracks_through_both_layers():
    through = matched_hit_excess(planted(True))
    for common_mode in (0.0, 0.7):
        chance = matched_hit_excess(planted(False, common_mode))
        assert abs(chance.value) < 5.0 * chance.error, "the negative control"
    assert through.value > 5.0 * through.error


def test_cells_lie_where_their_ladder_is():
    phi, z = cell_positions(np.array([0, 1]), np.array([54, 54]), np.array([767, 767]))
    # The middles of the innermost cells are half of the gap and half of a cell from the ladder's: 0.425 + 0.0275 mm.
    assert phi == pytest.approx(SENSOR_PHI[:2] + np.arctan2(3.5 - 6.25 + 54.5 * 0.05, 14.21))
    assert z == pytest.approx([10.9 + 0.4525, 10.9 - 0.4525])


def test_too_few_events_are_refused():
    with pytest.raises(DataError, match="at least three"):
        variance_ratio(np.ones((2, 40)))
    with pytest.raises(DataError, match="events that differ"):
        variance_ratio(np.ones((5, 40)))
