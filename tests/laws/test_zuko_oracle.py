"""zuko as an oracle: the same weights must give the same density and the same samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.flows.autoregressive import AutoregressiveBlock
from castalia.estimators.flows.permutation import Permutation
from castalia.estimators.flows.univariate import (
    AffineMap,
    SplineMap,
    UnivariateMap,
    rational_quadratic,
    rational_quadratic_inverse,
)
from castalia.estimators.registry import build
from castalia.rng import Stream

zuko = pytest.importorskip("zuko")


class OurMap(torch.distributions.Transform):
    """Our univariate map in the form zuko asks for."""

    domain = constraints.real
    codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, univariate: UnivariateMap, raw: Tensor) -> None:
        super().__init__()
        self.univariate, self.raw = univariate, raw

    def _call(self, x: Tensor) -> Tensor:
        return self.univariate.forward(x, self.raw)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        return self.univariate.inverse(y, self.raw)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.univariate.forward(x, self.raw)[1]

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.univariate.forward(x, self.raw)


def _zuko_block(block: AutoregressiveBlock, hidden: list[int]) -> torch.nn.Module:
    """Build zuko's masked autoregressive transform and give our block its weights."""
    network, univariate = block.network, block.univariate
    theirs = zuko.flows.MaskedAutoregressiveTransform(
        features=network.variables,
        context=network.context,
        univariate=lambda raw: OurMap(univariate, raw),
        shapes=[(univariate.parameters,)],
        hidden_features=hidden,
    ).double()
    linear = [layer for layer in theirs.hyper if hasattr(layer, "weight")]
    # zuko deals the degrees out in turn, we sort them; its inputs are (x, c), ours (c, x).
    orders = [torch.cat([torch.arange(network.context) + network.variables, torch.arange(network.variables)])]
    orders += [torch.argsort(torch.arange(width) % network.variables, stable=True) for width in hidden]
    orders += [torch.arange(network.variables * univariate.parameters)]
    for ours, layer, before, after in zip(network.layers, linear, orders, orders[1:], strict=False):
        weight = layer.weight
        if hasattr(layer, "mask"):
            assert torch.equal(ours.mask.bool(), layer.mask[after][:, before])
        elif layer is linear[0]:  # for a single variable zuko has a plain network of the context alone
            weight = torch.cat([torch.zeros(hidden[0], 1), weight], dim=1)
        with torch.no_grad():
            ours.weight.copy_(weight[after][:, before])
            ours.bias.copy_(layer.bias[after])
    return theirs


@pytest.mark.parametrize("univariate", ["affine", "spline"])
def test_same_weights_same_density_and_samples(univariate, size):
    hidden = [32, 48]
    rng = Stream(1, "zuko").at()
    variables = tuple(Variable(f"x{i}", object_index=i // 3) for i in range(size))
    layout = Layout(tuple(Variable(f"c{i}") for i in range(5)), variables)
    config = {"blocks": 3, "hidden": hidden, "univariate": univariate, "conditional_affine": False, "bound": 2.0}
    estimator = build("masked_autoregressive_flow", config, layout).double()
    events = batch_from_arrays(rng.normal(3, 2, (2000, 5)), rng.normal(1, 0.1, (2000, size)), dtype=torch.float64)
    estimator.prepare([events])
    transforms = []
    for block in estimator.chain.blocks:
        if isinstance(block, Permutation):
            transforms.append(
                zuko.flows.UnconditionalTransform(zuko.transforms.PermutationTransform, block.order, buffer=True)
            )
        else:
            transforms.append(_zuko_block(block, hidden))
    flow = zuko.flows.Flow(
        transforms,
        zuko.flows.UnconditionalDistribution(
            zuko.distributions.DiagNormal, torch.zeros(size).double(), torch.ones(size).double(), buffer=True
        ),
    )
    condition = estimator.conditions(events.condition.flat)
    scaled, jacobian = estimator.targets(events.target.flat)
    with torch.no_grad():
        expected = flow(condition).log_prob(scaled) + jacobian
        assert torch.allclose(estimator.log_prob(events), expected, rtol=1e-5, atol=1e-5)
        stream = Stream(2, "zuko")
        drawn = estimator.sample(events.condition, 1, stream.at()).flat
        noise = torch.from_numpy(stream.at().standard_normal((2000, size), dtype="float32")).double()
        theirs = estimator.targets.inverse(flow(condition).transform.inv(noise))
        assert torch.allclose(drawn, theirs, rtol=1e-5, atol=1e-5)
        # Negative control: one weight changed by a tenth is seen.
        transforms[0].hyper[-1].bias[0] += 0.1
        assert not torch.allclose(estimator.log_prob(events), flow(condition).log_prob(scaled) + jacobian, atol=1e-3)


def test_spline_agrees_with_an_independent_one():
    rng = Stream(3, "zuko").at()
    widths, heights, slopes = (torch.from_numpy(rng.normal(0, 2, (3000, n))) for n in (8, 8, 7))
    theirs = zuko.transforms.MonotonicRQSTransform(widths, heights, slopes, bound=4.0)
    x = torch.from_numpy(rng.normal(0, 3, 3000))
    knots = (theirs.horizontal, theirs.vertical, theirs.derivatives)
    y, log_slope = rational_quadratic(x, *knots)
    expected, expected_slope = theirs.call_and_ladj(x)
    assert torch.allclose(y, expected, rtol=1e-9, atol=1e-9)
    assert torch.allclose(log_slope, expected_slope, rtol=1e-7, atol=1e-7)
    assert torch.allclose(rational_quadratic_inverse(y, *knots), theirs.inv(expected), rtol=1e-7, atol=1e-7)
    wrong, _ = rational_quadratic(x, theirs.horizontal, theirs.vertical, theirs.derivatives * 1.01)
    assert not torch.allclose(wrong, expected, rtol=1e-5, atol=1e-5)


def test_maps_start_at_the_identity():
    x = torch.linspace(-9, 9, 101, dtype=torch.float64)
    for univariate in (AffineMap(), SplineMap()):
        y, log_slope = univariate.forward(x, torch.zeros(101, univariate.parameters, dtype=torch.float64))
        assert torch.allclose(y, x)
        assert float(log_slope.abs().max()) < 1e-12
        y, _ = univariate.forward(x, torch.full((101, univariate.parameters), math.pi, dtype=torch.float64))
        assert not torch.allclose(y, x)
