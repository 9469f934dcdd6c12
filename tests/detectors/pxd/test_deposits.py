"""Charge in silicon: Landau's distribution, the most probable loss, segments that add up to their path."""

import numpy as np
import pytest
from scipy import stats

from castalia.detectors.pxd import deposits
from castalia.detectors.pxd.conditions import KNOBS, BeamConditions
from castalia.detectors.pxd.deposits import ionise, landau, most_probable, photons
from castalia.detectors.pxd.geometry import THICKNESS
from castalia.detectors.pxd.helix import Crossings
from castalia.rng import Stream

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.9])


def passages(count, slope=0.0):
    ones = np.ones(count)
    return Crossings(np.arange(count), np.zeros(count, dtype=np.int64), 100.5 * ones, 300.5 * ones, 0.06 * ones,
                     0.0 * ones, slope * ones, ones)  # fmt: skip


def fractions_below(values, quantiles):
    return np.array([np.mean(values < one) for one in quantiles])


def deviations(values, quantiles):
    """Return how many standard errors off the fractions below the true quantiles are."""
    return np.abs(fractions_below(values, quantiles) - LEVELS) / np.sqrt(LEVELS * (1.0 - LEVELS) / len(values))


# SciPy's has the scale 1 where the standard form of physics has pi / 2.
TRUE = 0.5 * np.pi * stats.landau.ppf(LEVELS) + np.log(0.5 * np.pi)


@pytest.mark.statistical
def test_landau_against_another_implementation():
    values = landau(40_000, Stream(1, "landau").at())
    assert deviations(values, TRUE).max() < 5.0
    normal = Stream(2, "moyal").at().standard_normal(40_000)
    assert deviations(-np.log(normal**2), TRUE).max() > 5.0, "the negative control: Moyal's distribution"


@pytest.mark.statistical
@pytest.mark.parametrize("slope", [0.0, 4.0])
def test_segments_add_up_to_the_whole_path(slope, monkeypatch):
    monkeypatch.setattr(deposits, "CONTAINED", 1e9)
    monkeypatch.setattr(deposits, "COLLECTED", 1.0)
    count, length = 20_000, np.array([THICKNESS * np.hypot(1.0, slope)])

    def summed():
        made = ionise(passages(count, slope), Stream(3, "segments").at())
        return np.bincount(made.row // 40, weights=made.electrons)

    width = 17_800.0 * length / 3.65
    quantiles = most_probable(length) + width * (TRUE + 0.22278)
    assert deviations(summed(), quantiles).max() < 5.0
    monkeypatch.setattr(deposits, "most_probable", lambda short: 70_000.0 * short)
    assert deviations(summed(), quantiles).max() > 5.0, "the negative control: a peak proportional to the length"


def test_the_most_probable_loss_in_the_sensor():
    # xi = 1.335 keV, times ln(2 m xi / (31.05 eV)^2) + 0.2 = 14.36, over 3.65 eV.
    assert most_probable(np.array([0.075]))[0] == pytest.approx(5253.0, rel=2e-3)


def test_a_segment_is_cut_where_its_electrons_leave():
    made = ionise(passages(20_000), Stream(1, "cut").at())
    ceiling = deposits.COLLECTED * (most_probable(np.array([THICKNESS / 3]))[0] + 1.5 * deposits.CONTAINED)
    assert 0.99 * ceiling < made.electrons.max() <= 1.0001 * ceiling
    assert made.electrons.min() >= 0.0
    assert len(made.row) == 3 * 20_000


@pytest.mark.statistical
def test_photons_reach_one_side_of_the_first_layer():
    events = 40
    conditions = BeamConditions(**{name: np.full(events, one) for name, one in KNOBS.items()})
    made = photons(conditions, np.ones(events), Stream(1, "photons").at())
    sensor = made.row % 40
    assert sensor.max() < 16
    number = np.bincount(sensor // 2, minlength=8)
    assert number[0] > number[1] > number[2] > number[4] == 0
    assert abs(number[1] - number[7]) < 5.0 * np.sqrt(number[1] + number[7])
    assert np.all((made.drift >= 0.0) & (made.drift <= 1.0))
    assert np.all((made.v >= 0.0) & (made.v <= 768.0))
