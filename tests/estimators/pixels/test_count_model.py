"""Rates that are sums extrapolate, numbers have the mean and variance that they should, and common modes are found."""

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import DataError, ModelError
from castalia.estimators.pixels.count_model import CountModel, negative_binomial_log_prob
from castalia.estimators.pixels.hits import SensorArray
from castalia.estimators.pixels.rate_components import RateComponents
from castalia.rng import Stream

SENSORS = 4
ARRAY = SensorArray(SENSORS, 40, 60, 256)


def layout(names):
    return Layout(tuple(Variable(name) for name in names), ARRAY.variables)


def fitted(law="additive", common_mode=False, names=("luminosity", "current_ler"), noise=False):
    rng = Stream(1, "toy counts").at()
    condition = rng.uniform(0.5, 1.0, (4000 if noise else 400, len(names)))
    model = CountModel(layout(names), law, common_mode)
    counts = model.merged(truth(condition))
    if noise:
        factor = rng.gamma(100.0, size=(len(counts), 1)) / 100.0 if common_mode else 1.0
        counts = rng.poisson(rng.gamma(counts * factor / 3.0) * 3.0)
    model.update(torch.from_numpy(condition), torch.from_numpy(np.asarray(counts)), torch.ones(len(condition)))
    model.finish()
    return model


def truth(condition):
    scale = np.array([1.0, 2.0, 0.5, 0.0])
    return (40.0 + 60.0 * condition[:, :1] + 30.0 * condition[:, 1:] ** 2) * scale


def test_sums_extrapolate_and_powers_do_not():
    far = np.array([[2.0, 1.0], [3.0, 2.0]])
    expected = truth(far)[:, :3]
    assert np.abs(fitted().rate(far)[:, :3] / expected - 1.0).max() < 1e-3
    # Negative control: the affine law of the logarithms is off by more than a twentieth.
    power = fitted("log_affine").rate(far)[:, :3] / expected - 1.0
    assert np.abs(power).min() > 0.05


def test_a_sensor_without_hits_stays_empty():
    model = fitted()
    drawn = model.draw(np.ones((500, 2)), Stream(2, "x").at())
    assert model.rate(np.ones((1, 2)))[0, 3] == 0.0
    assert drawn[:, 3].max() == 0
    assert drawn[:, :3].min() > 0


def test_numbers_have_their_mean_and_variance():
    model, events = fitted(noise=True), 20_000
    drawn = model.draw(np.ones((events, 2)), Stream(2, "x").at())[:, :3].astype(float)
    mean = model.mean(np.ones((1, 2)))[0, :3]
    variance = mean * (1.0 + model.excess.numpy()[:3])
    # Normal to good approximation: the variance has a relative error of sqrt(2 / events), more for the tails.
    assert (np.abs(drawn.mean(0) - mean) < 5.0 * np.sqrt(variance / events)).all()
    tolerance = 5.0 * np.sqrt(3.0 / events)
    assert np.abs(drawn.var(0) / variance - 1.0).max() < tolerance
    # The training events had an excess of 3, known from 4000 events.
    assert np.abs(model.excess.numpy()[:3] / 3.0 - 1.0).max() < 5.0 * (4.0 / 3.0) * np.sqrt(3.0 / 4000)
    # Negative control: Poisson numbers.
    assert np.abs(Stream(2, "x").at().poisson(mean, drawn.shape).var(0) / variance - 1.0).min() > tolerance


def test_the_common_variance_is_found():
    common = float(fitted(noise=True, common_mode=True).common_variance)
    # A gamma distribution of variance 0.01, smeared by each sensor's own spread, from 4000 events.
    assert abs(common / 0.01 - 1.0) < 5.0 * 4.0 * np.sqrt(2.0 / 4000)
    # Negative control: with independent sensors there is none.
    model = CountModel(layout(("luminosity",)), "additive", common_mode=True)
    counts = torch.from_numpy(Stream(2, "x").at().poisson(100.0, (4000, SENSORS)))
    model.update(torch.ones(4000, 1), counts, torch.ones(4000))
    model.finish()
    assert float(model.common_variance) < 0.001


def test_the_log_probability_sums_to_one_and_has_the_moments():
    counts = torch.arange(2000, dtype=torch.float64)
    mean, excess = torch.tensor(80.0, dtype=torch.float64), torch.tensor(4.0, dtype=torch.float64)
    probability = negative_binomial_log_prob(counts, mean, excess).exp()
    assert float(probability.sum()) == pytest.approx(1.0, abs=1e-9)
    assert float(probability @ counts) == pytest.approx(80.0, abs=1e-6)
    assert float(probability @ (counts - 80.0).square()) == pytest.approx(400.0, rel=1e-6)


def test_names_choose_the_components():
    names = RateComponents.of(["luminosity", "current_her", "current_ler", "pressure", "synchrotron", "other"]).names
    assert names == (
        "constant",
        "current_her x current_her",
        "current_ler x current_ler",
        "current_her x pressure",
        "current_ler x pressure",
        "luminosity",
        "synchrotron x current_her",
        "other",
    )
    assert RateComponents.of([]).names == ("constant",)
    assert RateComponents.of(["current_her"]).names == ("constant", "current_her x current_her", "current_her")
    assert RateComponents.of(["pressure", "synchrotron"]).names == ("constant", "pressure", "synchrotron")
    assert RateComponents.of([])(np.zeros((3, 0))).tolist() == [[1.0]] * 3


def test_what_cannot_be_used_is_named():
    model = CountModel(layout(("luminosity",)), "additive", common_mode=False)
    with pytest.raises(ModelError, match="never prepared"):
        model.rate(np.ones((1, 1)))
    with pytest.raises(DataError, match="fewer than two"):
        model.finish()
    model.update(torch.full((2, 1), torch.nan), torch.ones(2, SENSORS), torch.ones(2))
    with pytest.raises(DataError, match="not finite"):
        model.finish()
    model.update(torch.ones(2, 3), torch.ones(2, SENSORS), torch.ones(2))
    with pytest.raises(DataError, match="1 conditions"):
        model.finish()
