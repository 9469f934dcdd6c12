"""The masked network: strictly autoregressive, all of the context, sorted units."""

from __future__ import annotations

import pytest
import torch

from castalia.errors import ConfigError
from castalia.nn.masked import MaskedMLP
from castalia.rng import Stream


def _network(hidden=(24, 17), variables=5, context=3, outputs=2) -> MaskedMLP:
    network = MaskedMLP(variables, context, outputs, hidden).double()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.copy_(torch.from_numpy(Stream(1, "masked").at(number).standard_normal(tuple(parameter.shape))))
        for layer in network.layers:
            layer.weight.abs_()  # ReLU units that no input can silence for good
    return network


def _jacobians(network: MaskedMLP) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum the absolute derivatives over many points, since ReLU hides some of them at each."""
    x = torch.sin(torch.arange(200.0 * network.variables).double() * 1.3).view(200, -1)
    c = torch.cos(torch.arange(200.0 * network.context).double() * 2.1).view(200, -1)
    derivatives = torch.func.vmap(torch.func.jacrev(lambda x, c: network(x[None], c[None])[0], (0, 1)))(x, c)
    return tuple(d.detach().abs().sum(0) for d in derivatives)


@pytest.mark.parametrize("hidden", [(24,), (24, 17), (8, 9, 10), (3, 3)])
def test_outputs_see_earlier_variables_only_and_all_of_the_context(hidden):
    network = _network(hidden)
    by_variable, by_context = _jacobians(network)
    for i in range(network.variables):
        assert float(by_variable[i, :, i:].abs().sum()) == 0
        assert bool((by_context[i].abs().sum(0) > 0).all())
    if min(hidden) >= network.variables:
        assert bool((by_variable[-1].abs().sum(0)[:-1] > 0).all())


def test_a_mask_without_holes_is_noticed():
    network = _network()
    network.layers[0].mask.fill_(1)  # negative control for the test above
    by_variable, _ = _jacobians(network)
    assert float(by_variable[0].abs().sum()) > 0


def test_units_are_sorted_by_degree():
    network = _network((24, 17))
    for layer in network.layers[:-1]:
        seen = layer.mask.sum(1)
        assert bool((seen.diff() >= 0).all())
    assert network.edges[0] == [0, 5, 10, 15, 20, 24]


def test_initial_weights_are_masked_and_scaled():
    network = MaskedMLP(4, 2, 2, (32,), final_gain=0.01)
    for layer in network.layers:
        assert torch.equal(layer.weight, layer.masked_weight())
    largest = [float(layer.weight.detach().abs().max()) for layer in network.layers]
    assert largest[-1] < 0.01 < largest[0]


def test_no_hidden_layer_is_refused():
    with pytest.raises(ConfigError, match="hidden layer"):
        MaskedMLP(2, 1, 2, ())
