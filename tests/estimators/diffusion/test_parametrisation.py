"""Predictions of noise, data and velocity say the same in three ways."""

from __future__ import annotations

import pytest
import torch

from castalia.estimators.diffusion.parametrisation import Prediction
from castalia.estimators.diffusion.schedule import signal_and_noise
from castalia.rng import Stream

rng = Stream(1, "parametrisation").at()
DATA, NOISE, ERROR = (torch.from_numpy(rng.standard_normal((50, 3))) for _ in range(3))
GAMMA = torch.from_numpy(rng.uniform(-8, 5, (50, 1)))
ALPHA, SIGMA = signal_and_noise(GAMMA)
Z = ALPHA * DATA + SIGMA * NOISE


@pytest.mark.parametrize("prediction", list(Prediction))
def test_the_right_answer_means_the_data_and_the_noise(prediction):
    answer = prediction.wanted(DATA, NOISE, GAMMA)
    assert torch.allclose(prediction.data(answer, Z, GAMMA), DATA)
    assert torch.allclose(prediction.noise(answer, Z, GAMMA), NOISE)
    wrong = prediction.wanted(DATA + ERROR, NOISE, GAMMA) + prediction.wanted(DATA, NOISE + ERROR, GAMMA) - answer
    assert not torch.allclose(prediction.data(wrong, Z, GAMMA), DATA)  # negative control


@pytest.mark.parametrize("prediction", list(Prediction))
def test_any_answer_is_consistent_with_what_was_asked_about(prediction):
    answer = prediction.wanted(DATA, NOISE, GAMMA) + ERROR
    data, noise = prediction.data(answer, Z, GAMMA), prediction.noise(answer, Z, GAMMA)
    assert torch.allclose(ALPHA * data + SIGMA * noise, Z)
    assert torch.allclose(prediction.wanted(data, noise, GAMMA), answer)


def test_the_weights_make_one_likelihood_of_all_three():
    """An error of the data is one of the noise alpha / sigma times as large, and so on."""
    slope = torch.from_numpy(rng.uniform(1, 3, 50))

    def loss(prediction: Prediction) -> torch.Tensor:
        data = DATA + 0.1 * ERROR
        noise = (Z - ALPHA * data) / SIGMA
        error = (prediction.wanted(data, noise, GAMMA) - prediction.wanted(DATA, NOISE, GAMMA)).square().sum(1)
        return error * prediction.likelihood_weight(GAMMA[:, 0], slope)

    expected = 0.5 * slope * (SIGMA.square() / ALPHA.square()).reciprocal()[:, 0] * (0.1 * ERROR).square().sum(1)
    for prediction in Prediction:
        assert torch.allclose(loss(prediction), expected)
        assert not torch.allclose(loss(prediction), expected.roll(1))
