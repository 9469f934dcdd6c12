"""The variational autoencoder: what each side sees, how latent variables are normalised, what widths mean."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from castalia.estimators.normal_divergence import normal_divergence
from castalia.estimators.vae import AutoencoderConfig, LatentNormalisation, VariationalAutoencoder
from castalia.rng import Stream


def _normal(*shape: int, counter: int = 0) -> Tensor:
    return torch.from_numpy(Stream(1, "vae").at(counter).standard_normal(shape))


def _autoencoder(variance: bool = False, normalise: bool = True, **options: object) -> VariationalAutoencoder:
    config = AutoencoderConfig.model_validate({"latent": 3, "hidden": [8], **options})
    return VariationalAutoencoder(4, 2, config, variance, normalise).double()


@pytest.mark.parametrize("encoder", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
def test_each_side_sees_the_event_or_not(encoder, decoder):
    model = _autoencoder(variance=True, encoder_sees_event=encoder, decoder_sees_event=decoder)
    target, latent, one, other = _normal(5, 4), _normal(5, 3), _normal(5, 2), _normal(5, 2, counter=1)
    assert torch.equal(model.encode(target, one)[0], model.encode(target, other)[0]) == (not encoder)
    assert torch.equal(model.decode(latent, one), model.decode(latent, other)) == (not decoder)
    assert not torch.equal(model.decode(latent, one), model.decode(latent.roll(1, 0), one))


def test_a_variance_is_given_where_no_diffusion_adds_the_noise():
    assert _autoencoder(variance=True).encode(_normal(5, 4), _normal(5, 2))[1].shape == (5, 3)
    assert _autoencoder(variance=False).encode(_normal(5, 4), _normal(5, 2))[1].shape == (5, 0)


def test_a_training_step_normalises_by_its_weighted_moments():
    normal, values = LatentNormalisation(3).double(), 2 + 5 * _normal(400, 3)
    weight = 1.0 + (torch.arange(400) % 2).double()
    out = normal(values, weight)
    share = (weight / weight.sum())[:, None]
    assert torch.allclose((share * out).sum(0), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose((share * out.square()).sum(0), torch.ones(3, dtype=torch.float64), atol=1e-4)
    twice = torch.arange(400).repeat_interleave(weight.long())
    assert torch.allclose(LatentNormalisation(3).double()(values[twice], torch.ones(600)), out[twice])
    assert not torch.allclose(LatentNormalisation(3).double()(values, torch.ones(400)), out)
    assert bool(torch.isfinite(normal(values, torch.zeros(400))).all())


def test_what_was_measured_is_applied_elsewhere():
    normal, values = LatentNormalisation(2).double(), 2 + 5 * _normal(1000, 2)
    for _ in range(400):
        normal(values, torch.ones(1000))
    before = {name: buffer.clone() for name, buffer in normal.state_dict().items()}
    assert torch.allclose(normal(values[:7], None), (values[:7] - values.mean(0)) / values.std(0), rtol=0.02, atol=0.02)
    assert all(torch.equal(before[name], buffer) for name, buffer in normal.state_dict().items())
    fresh = LatentNormalisation(2).double()  # negative control: nothing measured
    assert torch.allclose(fresh(values[:7], None), values[:7], rtol=1e-4)


def test_learned_widths_are_those_of_what_is_drawn():
    model, decoded, target = _autoencoder(), _normal(20_000, 4), _normal(20_000, 4, counter=1)
    with torch.no_grad():
        model.log_widths.copy_(torch.tensor([-3.0, -1.0, 0.0, 1.0]))
        residual = model.spread(decoded, _normal(20_000, 4, counter=2)) - decoded
        widths = residual.std(0)
        assert torch.allclose(widths, torch.tensor([-3.0, -1.0, 0.0, 1.0]).exp().double() + 0.003, rtol=0.03)
        loss = model.reconstruction_loss(target, decoded)
        exact = -torch.distributions.Normal(decoded, widths).log_prob(target).sum(1) - 2 * math.log(2 * math.pi)
        assert torch.allclose(loss.mean(), exact.mean(), rtol=0.06)
        model.log_widths.fill_(-100.0)
        assert float((model.spread(decoded, torch.ones_like(decoded)) - decoded).min()) == pytest.approx(0.003)


def test_with_fixed_widths_errors_count_alike_and_nothing_is_added():
    model, decoded, target = _autoencoder(learned_widths=False), _normal(50, 4), _normal(50, 4, counter=1)
    assert torch.equal(model.spread(decoded, torch.ones_like(decoded)), decoded)
    assert torch.allclose(model.reconstruction_loss(target, decoded), 0.5 * (target - decoded).square().sum(1))


def test_divergence_from_the_standard_normal():
    mean, log_variance = _normal(50, 3), _normal(50, 3, counter=1)
    one = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    two = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(one, two).sum(1)
    assert torch.allclose(normal_divergence(mean, log_variance), expected)
    assert not torch.allclose(normal_divergence(mean, 2 * log_variance), expected)
    assert float(normal_divergence(torch.zeros(1, 3), torch.zeros(1, 3))) == 0
