"""Laws of the losses."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from castalia.estimators.pixels.gan_losses import (
    contrastive,
    energy_score,
    hinge_fake,
    hinge_real,
    intra_event_divergence,
    orthogonality,
    uniformity,
)


@pytest.fixture
def unit():
    generator = torch.Generator().manual_seed(1)
    return lambda *shape: functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_hinge_stops_at_the_margin():
    score = torch.tensor([[2.0, 0.0], [-2.0, -1.0]])
    assert hinge_real(score).tolist() == [0.5, 2.5]
    assert hinge_fake(score).tolist() == [2.0, 0.0]


def test_divergence_is_zero_for_equal_relations_only(unit):
    one, other = unit(3, 5, 8), unit(3, 5, 8)
    assert torch.allclose(intra_event_divergence(one, one, 0.1), torch.zeros(3), atol=1e-6)
    assert bool((intra_event_divergence(one, other, 0.1) > 0.01).all())
    # A rotation of the whole event changes no relation.
    turn = torch.linalg.qr(unit(8, 8)).Q
    assert torch.allclose(intra_event_divergence(one, one @ turn, 0.1), torch.zeros(3), atol=1e-5)
    # At a temperature of one all is almost even, which is why it is an option.
    assert bool((intra_event_divergence(one, other, 1.0) < 0.2 * intra_event_divergence(one, other, 0.1)).all())


def test_uniformity(unit):
    assert torch.allclose(uniformity(unit(1, 1, 8).expand(2, 5, 8)), torch.zeros(2), atol=1e-5)
    opposite = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    assert float(uniformity(opposite)) == pytest.approx(-8.0)
    assert bool((uniformity(unit(2, 5, 8)) < 0).all())


def test_contrastive_pulls_images_of_one_sensor_together(unit):
    proxy = torch.eye(4)
    right = proxy.expand(3, 4, 4)
    wrong = proxy.roll(1, 0).expand(3, 4, 4)
    assert bool((contrastive(right, proxy, 0.5) < contrastive(wrong, proxy, 0.5)).all())
    # By hand: of one event, the proxy with e^2 against three others with e^0.
    assert float(contrastive(right[:1], proxy, 0.5)) == pytest.approx(math.log((math.e**2 + 3) / math.e**2))
    assert bool((contrastive(unit(3, 4, 4), proxy, 0.5) >= 0).all())


def test_orthogonality_leaves_lengths_free():
    network = nn.Sequential(nn.Linear(4, 3), nn.GroupNorm(1, 3))
    with torch.no_grad():
        network[0].weight.copy_(3.0 * torch.eye(3, 4))
    assert float(orthogonality(network).detach()) == 0.0
    with torch.no_grad():
        network[0].weight[0, 1] = 1.0
    assert float(orthogonality(network).detach()) == pytest.approx(2 * 9.0)


def test_the_energy_score_is_lowest_for_the_true_distribution():
    generator = torch.Generator().manual_seed(2)
    truth, first, second = torch.randn(3, 20_000, 3, generator=generator)
    own = energy_score(first, second, truth)
    error = 5 * float(own.std()) / math.sqrt(len(own))
    changes = (
        lambda x: x * 1.5,
        lambda x: x * 0.5,
        lambda x: x + 0.5,
        lambda x: x.mean(1, keepdim=True).expand(-1, 3),
    )
    for changed in changes:
        assert float((energy_score(changed(first), changed(second), truth) - own).mean()) > error
