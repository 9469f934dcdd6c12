"""The plain network."""

from __future__ import annotations

import torch

from castalia.nn.mlp import MLP
from castalia.rng import Stream


def test_it_is_its_formula():
    network = MLP(2, 3, (4,)).double()
    x = torch.linspace(-2, 2, 10, dtype=torch.float64).view(5, 2)
    first, second = network.layers
    expected = torch.relu(x @ first.weight.t() + first.bias) @ second.weight.t() + second.bias
    assert torch.allclose(network(x), expected)
    assert not torch.allclose(network(x), x @ torch.ones(2, 3).double())


def test_the_last_layer_can_start_small():
    torch.manual_seed(1)
    small, large = MLP(3, 4, (8, 8), final_gain=0.01), MLP(3, 4, (8, 8))
    x = torch.ones(1, 3)
    assert float(small(x).abs().max().detach()) < 0.02 < float(large(x).abs().max().detach())


def test_silu_is_smooth_where_relu_has_kinks():
    x = torch.linspace(-3, 3, 2001, dtype=torch.float64)[:, None]
    steps = {}
    for activation in ("relu", "silu"):
        torch.manual_seed(1)
        network = MLP(1, 1, (16, 16), activation=activation).double()
        slope = network(x).detach()[:, 0].diff() / 0.003
        steps[activation] = float(slope.diff().abs().max() / slope.abs().max())
    # Between neighbours 0.003 apart a smooth slope of order one changes by about that much; at a kink it jumps.
    assert steps["silu"] < 0.01
    assert steps["relu"] > 0.02


def test_outputs_first_are_the_outputs_also_of_nothing():
    network = MLP(3, 5, (4,), activation="silu")
    values = torch.from_numpy(Stream(2, "mlp").at().standard_normal((2, 6, 3))).float()
    assert torch.allclose(network.outputs_first(values), network(values).permute(2, 0, 1), atol=1e-6)
    assert not torch.allclose(network.outputs_first(values.flip(0)), network(values).permute(2, 0, 1), atol=1e-6)
    assert network.outputs_first(values[:, :0]).shape == (5, 2, 0)
