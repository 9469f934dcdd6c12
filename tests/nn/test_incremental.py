"""Networks evaluated step by step against full passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from castalia.nn.embeddings import PiecewiseLinear
from castalia.nn.incremental import BoundNetwork, frozen_masked, frozen_mlp
from castalia.nn.masked import MaskedMLP
from castalia.nn.mlp import MLP
from castalia.nn.workspace import Context, PlainContext, TabulatedContext, Workspace
from castalia.rng import Stream

FEATURES = 3
FOLDING = ([0.5, 2.0], [0.25, -1.0])


def _filled(network: MaskedMLP | MLP) -> MaskedMLP | MLP:
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            values = 0.3 * Stream(1, "incremental").at(number).standard_normal(tuple(parameter.shape))
            parameter.copy_(torch.from_numpy(values))
    return network.double()


def _contexts() -> dict[str, tuple[Context, int, PiecewiseLinear | None]]:
    embedding = PiecewiseLinear(FEATURES, 6).double()
    embedding.place(torch.linspace(-2, 2, 7).repeat(FEATURES, 1).double())
    return {
        "plain": (PlainContext(FEATURES), FEATURES, None),
        "tabulated": (TabulatedContext(embedding), embedding.width, embedding),
    }


def _scaled(events: int) -> Tensor:
    return torch.sin(torch.arange(1.0, events * FEATURES + 1).double()).view(events, FEATURES) * 2.5


def _inverse(network: BoundNetwork, workspace: Workspace, noise: Tensor) -> Tensor:
    """Find the variables by an arbitrary rule from the network's outputs."""
    network.start()
    for i in range(len(noise)):
        raw = network.step(i)
        workspace.values[i] = noise[i] * torch.tanh(raw[0]) + torch.cos(raw[1])
    return workspace.values.t().clone()


def _folded(raw: Tensor) -> Tensor:
    factor, offset = (torch.tensor(one).double() for one in FOLDING)
    return raw * factor + offset


def _full_passes(network: MaskedMLP, encoded: Tensor, noise: Tensor) -> Tensor:
    values = torch.zeros_like(noise.t())
    for _ in range(network.variables):  # the textbook inverse: as many full passes as variables
        raw = _folded(network(values, encoded))
        values = noise.t() * torch.tanh(raw[..., 0]) + torch.cos(raw[..., 1])
    return values


@pytest.mark.parametrize("variables", [1, 2, 5])
@pytest.mark.parametrize("hidden", [(24,), (24, 17), (8, 9, 10), (3, 3), (2, 7)])
@pytest.mark.parametrize(("kind", "activation"), [("plain", "relu"), ("tabulated", "relu"), ("plain", "silu")])
@torch.no_grad()
def test_steps_equal_full_passes(kind, activation, hidden, variables):
    context, width, _ = _contexts()[kind]
    network = _filled(MaskedMLP(variables, width, 2, hidden, activation=activation))
    frozen = frozen_masked(network, context, FOLDING)
    workspace = Workspace(context, variables, 10, torch.empty(0, dtype=torch.float64))
    bound = BoundNetwork(frozen, workspace)
    for turn in range(2):  # the second time over buffers that are no longer fresh
        noise = torch.cos(torch.arange(10.0 * variables).double() + turn).view(variables, 10)
        workspace.load(_scaled(20)[turn::2])
        found = _inverse(bound, workspace, noise)
        expected = _full_passes(network, workspace.encoded(), noise)
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    workspace.load(_scaled(20)[::2])  # negative control: other conditions
    assert not torch.allclose(_inverse(bound, workspace, noise), expected, rtol=1e-3)


@torch.no_grad()
def test_networks_share_a_workspace():
    context, width, _ = _contexts()["plain"]
    networks = [_filled(MaskedMLP(4, width, 2, hidden)) for hidden in [(9, 6), (30,), (5, 5, 5)]]
    workspace = Workspace(context, 4, 7, torch.empty(0, dtype=torch.float64))
    bound = [BoundNetwork(frozen_masked(network, context, FOLDING), workspace) for network in networks]
    workspace.load(_scaled(7))
    noise = torch.cos(torch.arange(28.0).double()).view(4, 7)
    for network, one in zip(networks * 2, bound * 2, strict=True):
        found = _inverse(one, workspace, noise)
        assert torch.allclose(found, _full_passes(network, _scaled(7), noise), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variables", [0, 2])
@pytest.mark.parametrize("events", [0, 1, 6])
@pytest.mark.parametrize("kind", ["plain", "tabulated"])
@torch.no_grad()
def test_a_plain_network_is_one_step(kind, events, variables):
    context, width, embedding = _contexts()[kind]
    network = _filled(MLP(variables + width, 4, (12, 5)))
    workspace = Workspace(context, 3, events, torch.empty(0, dtype=torch.float64))
    bound = BoundNetwork(frozen_mlp(network, context, FOLDING, variables), workspace)
    workspace.load(_scaled(events))
    workspace.values[:] = torch.cos(torch.arange(3.0 * events).double()).view(3, events)
    encoded = _scaled(events) if embedding is None else embedding(_scaled(events))
    expected = _folded(network(torch.cat([workspace.values[:variables].t(), encoded], dim=1)).view(-1, 2, 2)).flatten(1)
    bound.start()
    found = bound.step(0).t()
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    if events:
        assert not torch.allclose(found, expected + 1e-6, rtol=1e-9, atol=1e-9)
