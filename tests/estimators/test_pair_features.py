"""Features of pairs against their definitions; their scaling over those that exist."""

from __future__ import annotations

import math

import numpy as np
import torch

from castalia.estimators.pair_features import PairFeatures
from castalia.physics.angles import delta_r
from castalia.rng import Stream


def test_what_each_feature_is():
    rows = [(50, 0, 0, 0), (50, 0, math.pi, 0), (30, 1.0, 3.0, 4), (40, -0.5, -3.0, 5)]
    momenta = torch.tensor([rows], dtype=torch.float64)
    found = PairFeatures().double()(momenta, torch.ones(1, 4, dtype=torch.bool))[0]
    assert torch.allclose(found, found.transpose(0, 1))
    assert math.isclose(float(found[0, 1, 0]), math.log10(101), rel_tol=1e-9)  # two of 50 GeV have a mass of 100
    distance = float(delta_r(1.0, 3.0, -0.5, -3.0))
    assert math.isclose(float(found[2, 3, 2]), distance, rel_tol=1e-9)
    assert math.isclose(float(found[2, 3, 1]), math.log10(30 * distance + 1), rel_tol=1e-9)
    assert math.isclose(float(found[2, 3, 3]), math.cos(6.0), rel_tol=1e-9)


def test_a_mass_is_known_to_the_precision_of_the_momenta():
    rng = Stream(2, "pair features").at()
    columns = [20 + rng.exponential(50, (2000, 6)), rng.normal(0, 1, (2000, 6)), rng.uniform(-3, 3, (2000, 6))]
    momenta = torch.from_numpy(np.stack([*columns, rng.choice([0.0, 0.1, 5.0], (2000, 6))], axis=2)).float()
    momenta[:, 1, 1:3] = momenta[:, 0, 1:3] + 0.01  # collinear
    momenta[:, 2] = 0.0  # as where no object exists
    mask = torch.ones(2000, 6, dtype=torch.bool)
    found = 10 ** PairFeatures()(momenta, mask)[..., 0] - 1
    pt, eta, phi, mass = momenta.double().unbind(-1)
    momentum = torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()], dim=-1)
    energy = (momentum.square().sum(-1) + mass.square()).sqrt()
    total = momentum[:, :, None] + momentum[:, None]

    def masses(energy: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        summed = energy[:, :, None] + energy[:, None]
        return (summed.square() - total.square().sum(-1)).clamp(min=0).sqrt()

    exact = masses(energy, total).float()
    assert torch.allclose(found, exact, rtol=1e-5, atol=1e-3)
    # Negative control: from sums of four-momenta in float32, the mass of two collinear ones is noise.
    assert not torch.allclose(masses(energy.float(), total.float()), exact, rtol=1e-5, atol=0.1)


def test_scaled_over_the_pairs_that_exist_with_their_weights():
    rng = Stream(1, "pair features").at()
    values = [rng.exponential(50, (300, 5)), rng.normal(0, 1, (300, 5)), rng.uniform(-3, 3, (300, 5))]
    momenta = torch.from_numpy(np.stack([*values, np.full((300, 5), 3.0)], axis=2))
    mask = torch.from_numpy(rng.random((300, 5)) < 0.7)
    weight = torch.from_numpy(1.0 + rng.integers(0, 2, 300))
    features = PairFeatures().double()
    for rows in torch.arange(300).split(70):
        features.update(momenta[rows], mask[rows], weight[rows])
    features.finish()
    found = features(momenta, mask)
    both = mask[:, :, None] & mask[:, None]
    assert bool((found[~both] == 0).all())
    pairs = both & ~torch.eye(5, dtype=torch.bool)
    each = weight.repeat_interleave(pairs.sum((1, 2)))[:, None] / (weight * pairs.sum((1, 2))).sum()
    mean = (each * found[pairs]).sum(0)
    assert torch.allclose(mean, torch.zeros(4).double(), atol=1e-9)
    assert torch.allclose((each * found[pairs].square()).sum(0), torch.ones(4).double(), atol=1e-6)
    assert float(found[pairs].mean(0).abs().max()) > 1e-4  # negative control: weights count


def test_where_no_event_has_two_objects_nothing_is_scaled():
    features = PairFeatures().double()
    features.update(torch.ones(3, 2, 4, dtype=torch.float64), torch.tensor([[True, False]] * 3), torch.ones(3))
    features.finish()
    assert torch.equal(features.deviation, torch.ones(4, dtype=torch.float64))
