"""The paper's flow in other libraries: ten masked autoregressive blocks of 128-128, six targets, five conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.distributions import Transform, constraints

from castalia.estimators.flows.autoregressive import AutoregressiveBlock
from castalia.estimators.flows.chain import Chain
from castalia.estimators.flows.permutation import Permutation
from castalia.estimators.flows.univariate import UnivariateMap

__all__ = ["nflows_sampler", "zuko_flow"]

TARGETS, CONDITIONS, BLOCKS, HIDDEN = 6, 5, 10, 128


def zuko_flow(chain: Chain, *, our_map: bool = False) -> Any:
    """Return zuko's flow with the structure and the weights of a chain of affine autoregressive blocks.

    Args:
        chain: Its blocks are autoregressive ones and permutations.
        our_map: Confine the log-scales as ours do, so that both flows are the same function. Otherwise zuko's own
            affine map is used, the faster one here.
    """
    import zuko

    transforms = []
    for block in chain.blocks:
        if isinstance(block, Permutation):
            order = block.order
            transforms.append(
                zuko.flows.UnconditionalTransform(zuko.transforms.PermutationTransform, order, buffer=True)
            )
        elif isinstance(block, AutoregressiveBlock):
            transforms.append(_zuko_block(block, our_map))
        else:
            raise TypeError(f"{type(block).__name__} has no counterpart in zuko")
    base = zuko.flows.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(TARGETS), torch.ones(TARGETS), buffer=True
    )
    return zuko.flows.Flow(transforms, base).eval()


def _zuko_block(block: AutoregressiveBlock, our_map: bool) -> Any:
    import zuko

    network = block.network
    linear: list[Any] = list(network.layers)
    hidden = [len(layer.bias) for layer in linear[:-1]]
    # Ours puts out (log-scale, shift), zuko's own affine map takes (shift, scale).
    own: dict[str, Any] = {"shapes": [(), ()]}
    ours: dict[str, Any] = {"shapes": [(2,)], "univariate": lambda raw: _OurMap(block.univariate, raw)}
    theirs = zuko.flows.MaskedAutoregressiveTransform(
        network.variables, network.context, hidden_features=hidden, **(ours if our_map else own)
    )
    # zuko deals the degrees out in turn, we sort them; its inputs are (x, c), ours (c, x).
    context, variables = torch.arange(network.context), torch.arange(network.variables)
    last = torch.arange(2 * network.variables)
    orders = [torch.cat([context + network.variables, variables])]
    orders += [torch.argsort(torch.arange(width) % network.variables, stable=True) for width in hidden]
    orders += [last if our_map else last.view(-1, 2).flip(1).flatten()]
    layers = [layer for layer in theirs.hyper if hasattr(layer, "weight")]
    for mine, layer, before, after in zip(linear, layers, orders[:-1], orders[1:], strict=True):
        with torch.no_grad():
            layer.weight[after[:, None], before] = mine.weight
            layer.bias[after] = mine.bias
    return theirs


class _OurMap(Transform):
    """Our univariate map as zuko asks for it."""

    domain = constraints.real
    codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, univariate: UnivariateMap, raw: torch.Tensor) -> None:
        super().__init__()
        self.univariate, self.raw = univariate, raw

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        return self.univariate.forward(x, self.raw)[0]

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return self.univariate.inverse(y, self.raw)


def nflows_sampler() -> Callable[[torch.Tensor], object]:
    """Return the sampling of nflows' masked autoregressive flow of the same size, with weights of its own."""
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms.autoregressive import MaskedAffineAutoregressiveTransform
    from nflows.transforms.base import CompositeTransform
    from nflows.transforms.permutations import ReversePermutation

    # One block after the first layer: two hidden layers, as in the other two.
    options = {"context_features": CONDITIONS, "num_blocks": 1, "use_residual_blocks": False}
    blocks = []
    for _ in range(BLOCKS):
        blocks += [ReversePermutation(TARGETS), MaskedAffineAutoregressiveTransform(TARGETS, HIDDEN, **options)]
    flow = Flow(CompositeTransform(blocks), StandardNormal([TARGETS])).eval()
    return lambda condition: flow.sample(1, context=condition)
