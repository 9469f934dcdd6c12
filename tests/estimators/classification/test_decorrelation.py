"""Distance correlation: its definition by sums over pairs, its ends, and weights as duplicates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.classification.decorrelation import distance_correlation
from castalia.estimators.registry import build
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

from .conftest import CLASS, OBJECTS

ONES = torch.ones(300, dtype=torch.float64)


def _drawn(counter: int = 0) -> torch.Tensor:
    return torch.from_numpy(Stream(1, "distance correlation").at(counter).standard_normal(300))


def test_it_is_what_its_definition_says():
    one, other = _drawn(), _drawn() ** 2 + _drawn(1)

    def centred(values):
        d = np.abs(values[:, None] - values)
        return d - d.mean(0) - d.mean(1)[:, None] + d.mean()

    a, b = centred(one.numpy()), centred(other.numpy())
    expected = (a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())
    assert np.isclose(float(distance_correlation(one, other, ONES)), expected)


def test_it_is_one_for_a_line_and_small_for_independent_variables_only():
    one = _drawn()
    assert np.isclose(float(distance_correlation(one, 3 - 2 * one, ONES)), 1)
    independent = float(distance_correlation(one, _drawn(1), ONES))
    assert 0 <= independent < 0.05  # of the order of 1 / events, times some units
    assert float(distance_correlation(one, one**2, ONES)) > 0.1  # where the linear correlation is zero


def test_a_constant_has_none_and_a_finite_gradient():
    constant = torch.zeros(300, dtype=torch.float64, requires_grad=True)
    found = distance_correlation(constant, _drawn(), ONES)
    (gradient,) = torch.autograd.grad(found, constant)
    assert float(found.detach()) == 0
    assert bool(torch.isfinite(gradient).all())


def test_a_weight_of_two_is_the_event_twice():
    one, other = _drawn(), _drawn() + _drawn(1)
    weight = torch.arange(300) % 3
    rows = torch.arange(300).repeat_interleave(weight)
    found = distance_correlation(one, other, weight.double())
    assert torch.allclose(found, distance_correlation(one[rows], other[rows], torch.ones(len(rows)).double()))
    assert not torch.allclose(found, distance_correlation(one, other, ONES))  # negative control


@pytest.mark.statistical
def test_a_classifier_that_is_trained_not_to_follow_a_mass_follows_it_less():
    """Of two features one follows the mass of the background; both tell the classes apart."""
    layout = Layout((Variable("a"), Variable("b")), (CLASS, Variable("mass", "GeV")), {"objects": OBJECTS})
    rng = Stream(2, "a mass to follow").at()

    def events(count):
        label, mass = rng.integers(0, 2, count), rng.exponential(50.0, count)
        given = np.column_stack([label + mass / 50.0 + 0.5 * rng.normal(size=count), label + rng.normal(size=count)])
        nothing = ObjectArrays(np.zeros((count, 1, len(OBJECTS))), np.ones((count, 1), dtype=np.bool_))
        return batch_from_arrays(given, np.column_stack([label, mass]), objects={"objects": nothing})

    training, validation = events(4_000), events(1_000)
    found = {}
    for weight in (0.0, 5.0):
        network = build("mlp_classifier", {"hidden": [16], "decorrelation": weight, "augment": False}, layout, 1)
        config = TrainingConfig(epochs=8, batch_size=256, learning_rate=1e-2, seed=1)
        fit(network, training, validation, config)
        background = validation.target.flat[:, 0] == 0
        score = torch.softmax(network.logits(validation.condition), dim=1)[:, 1].detach()
        mass, ones = validation.target.flat[background, 1], torch.ones(int(background.sum()))
        follows = float(distance_correlation(score[background], mass, ones))
        found[weight] = follows, float((score[~background][:, None] > score[background]).double().mean())
    assert found[5.0][0] < 0.25 * found[0.0][0]
    assert found[0.0][0] > 0.1
    assert found[5.0][1] > 0.65  # what the other feature tells
