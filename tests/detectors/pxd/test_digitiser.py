"""Readout: charges of a cell add up, noise and threshold, saturation, and hits of noise alone."""

import numpy as np
import pytest

from castalia.detectors.pxd import digitiser
from castalia.detectors.pxd.digitiser import GAIN, digitise
from castalia.detectors.pxd.drift import Shares
from castalia.rng import Stream


def shares(row, u, v, adu):
    columns = [np.asarray(values, dtype=np.int32) for values in (row, u, v)]
    return Shares(*columns, (np.asarray(adu) * GAIN).astype(np.float32))


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(digitiser, "NOISE", 0.0)
    monkeypatch.setattr(digitiser, "NOISE_FRACTION", 0.0)


@pytest.mark.usefixtures("quiet")
def test_charge_is_summed_by_cell_and_read_out_from_seven_adu():
    given = shares([79, 3, 3, 3, 3], [249, 5, 5, 5, 5], [767, 9, 8, 9, 7], [20.5, 4.0, 6.9, 3.5, 7.1])
    hits = digitise(given, 3, Stream(1, "read").at())
    found = list(zip(hits.event, hits.sensor, hits.u, hits.v, hits.charge, strict=True))
    assert found == [(0, 3, 5, 7, 7), (0, 3, 5, 9, 7), (1, 39, 249, 767, 20)]
    assert hits.events == 3


@pytest.mark.usefixtures("quiet")
@pytest.mark.statistical
def test_pixels_saturate_around_155_adu():
    count = 20_000
    place = np.arange(count)
    hits = digitise(shares(place // 768, 0 * place, place % 768, np.full(count, 5000.0)), 1, Stream(1, "full").at())
    assert len(hits.charge) == count
    assert abs(hits.charge.mean() + 0.5 - 155.0) < 5.0 * 30.0 / np.sqrt(count) + 0.05  # 255 cuts 0.04 % of a normal
    half = digitise(shares(place // 768, 0 * place, place % 768, np.full(count, 100.5)), 1, Stream(1, "half").at())
    assert np.mean(half.charge == 100) == pytest.approx(1.0 - 0.034, abs=0.01), "most are not there yet"


@pytest.mark.statistical
def test_noise_widens_and_makes_hits_of_its_own(monkeypatch):
    place = np.arange(20_000)
    charged = shares(place // 768, 0 * place, place % 768, np.full(len(place), 30.0))
    spread = digitise(charged, 1, Stream(1, "noise").at()).charge.std()
    # 150 electrons are 0.692 ADU, and rounding adds a twelfth to the variance.
    assert spread == pytest.approx(np.hypot(150.0 / GAIN, np.sqrt(1.0 / 12.0)), abs=5.0 * 0.75 / np.sqrt(40_000))
    monkeypatch.setattr(digitiser, "NOISE_FRACTION", 5e-6)
    empty = shares([], [], [], [])
    number = [len(digitise(empty, 4, Stream(seed, "noise").at()).u) for seed in range(10)]
    expected = 10 * 4 * 5e-6 * 7.68e6
    # The threshold is met by 7 ADU and an exponential, less where noise pulls below it.
    assert 0.7 * expected < sum(number) < expected + 5.0 * np.sqrt(expected)
