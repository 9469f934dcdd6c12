"""Networks frozen for sampling: evaluated in steps as their variables become known, each unit once.

The weights are sliced by step once (``StepNetwork``), and the slices bound to the buffers of a workspace once
(``BoundNetwork``); what is left to do for every batch of events is products and functions.

Above the first layer there are two ways to sum: at each step what all known units give to the step's own units, or what
the step's new units give to *all* later units. With many new units the second uses the processor almost as well as a
large matrix product does, and better than the first; with few it is slowed by going over the later units every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, final

import torch
from torch import Tensor, nn

from castalia.nn.activation import IN_PLACE, Activation
from castalia.nn.masked import MaskedLinear, MaskedMLP
from castalia.nn.mlp import MLP
from castalia.nn.workspace import Context, Workspace

__all__ = ["BoundNetwork", "Folding", "StepNetwork", "frozen_masked", "frozen_mlp"]


Folding: TypeAlias = tuple[Sequence[float], Sequence[float]]
"""Factors and offsets that are to be applied to what a network puts out."""

_MANY = 16  # units of a step, from which on it pays to look ahead


class _Addition(NamedTuple):
    """Units that the activation completes, and a product of complete units, to be added above or to a bias there."""

    units: Tensor
    seen: Tensor
    weight: Tensor
    above: Tensor
    bias: Tensor | None


class _Step(NamedTuple):
    first: Tensor
    weight: Tensor
    seen: Tensor
    additions: list[_Addition]
    outputs: Tensor


@final
class StepNetwork:
    """A fully connected network whose units are evaluated in steps, as the variables it sees become known.

    Args:
        context: How its first layer reads the context.
        first: Weights of the first layer on the context, its bias, and its weights on the variables.
        later: Weights and bias of every other layer.
        edges: Of every layer, the first unit of each step, and the end.
        known: Number of variables seen at each step.
        activation: Function between its layers.
    """

    def __init__(
        self,
        context: Context,
        first: tuple[Tensor, Tensor, Tensor],
        later: Sequence[tuple[Tensor, Tensor]],
        edges: Sequence[Sequence[int]],
        known: Sequence[int],
        activation: Activation,
    ) -> None:
        self.activation = activation
        given, bias, seen = first
        self.edges, self.start = edges, context.start(given, bias)
        self.biases = [bias[:, None] for _, bias in later]
        columns = torch.cat([given, seen], dim=1)[:, given.shape[1] - context.rows :]
        self.seen = [context.rows + number for number in known]
        self.first = [columns[self.units(0, i), :number].contiguous() for i, number in enumerate(self.seen)]
        self.later = [[self._part(n, i, weight) for n, (weight, _) in enumerate(later)] for i in range(len(known))]

    def units(self, layer: int, step: int) -> slice:
        """Return which units of a layer belong to a step."""
        return slice(self.edges[layer][step], self.edges[layer][step + 1])

    def looks_ahead(self, layer: int) -> bool:
        """Return whether each step of a layer adds to all later units above, instead of summing up for its own."""
        edges = self.edges[layer]
        return edges[-1] >= _MANY * (len(edges) - 1)

    def part(self, layer: int, step: int) -> tuple[slice, slice]:
        """Return which units of a layer and of the one above a step's product connects."""
        own, above = self.units(layer, step), self.units(layer + 1, step)
        return (own, slice(above.start, None)) if self.looks_ahead(layer) else (slice(0, own.stop), above)

    def _part(self, layer: int, step: int, weight: Tensor) -> Tensor:
        seen, above = self.part(layer, step)
        return weight[above, seen].contiguous()


@final
class BoundNetwork:
    """A frozen network on the buffers of a workspace.

    Args:
        network: The network.
        workspace: The buffers; networks that take turns may share them.
    """

    def __init__(self, network: StepNetwork, workspace: Workspace) -> None:
        self._network, self._workspace, self._activate = network, workspace, IN_PLACE[network.activation]
        self._layers = [workspace.buffer(f"layer {n}", edges[-1]) for n, edges in enumerate(network.edges)]
        self._steps = [self._step(i) for i in range(len(network.seen))]

    def start(self) -> None:
        """Begin anew, with the context that is loaded."""
        self._network.start(self._workspace, self._layers[0])
        for n, bias in enumerate(self._network.biases):
            if self._network.looks_ahead(n):
                self._layers[n + 1].copy_(bias)

    def step(self, number: int) -> Tensor:
        """Return the outputs of a step, shape ``(outputs, B)``, from the variables in ``Workspace.values``.

        Steps must be taken in turn. The outputs hold until the next one, and may be overwritten.
        """
        step = self._steps[number]
        if len(step.seen):
            step.first.addmm_(step.weight, step.seen)
        for units, seen, weight, above, bias in step.additions:
            self._activate(units)
            if bias is None:
                above.addmm_(weight, seen)
            else:
                torch.addmm(bias, weight, seen, out=above)
        return step.outputs

    def _step(self, number: int) -> _Step:
        network, layers, additions = self._network, self._layers, []
        own = [layer[network.units(n, number)] for n, layer in enumerate(layers)]
        if len(layers) > 1 and not network.looks_ahead(len(layers) - 2):
            own[-1] = layers[-1][: len(own[-1])]  # one place for the outputs of all steps stays in the cache
        for n, weight in enumerate(network.later[number]):
            seen, above = network.part(n, number)
            if network.looks_ahead(n):
                additions.append(_Addition(own[n], layers[n][seen], weight, layers[n + 1][above], None))
            else:
                additions.append(_Addition(own[n], layers[n][seen], weight, own[n + 1], network.biases[n][above]))
        seen_rows = self._workspace.state[: network.seen[number]]
        return _Step(own[0], network.first[number], seen_rows, additions, own[-1])


def frozen_masked(network: MaskedMLP, context: Context, folding: Folding) -> StepNetwork:
    """Freeze a masked network: step ``i`` sees the first ``i`` variables and puts out what belongs to the next one.

    Args:
        network: The network.
        context: How its first layer reads the context.
        folding: A factor and an offset for each of a variable's ``P`` outputs.
    """
    layers: list[MaskedLinear] = list(network.layers)  # type: ignore[arg-type]
    (weight, bias), *later = _folded([(layer.masked_weight(), layer.bias) for layer in layers], folding)
    outputs = [network.outputs * i for i in range(network.variables + 1)]
    first = (weight[:, : network.context], bias, weight[:, network.context :])
    return StepNetwork(context, first, later, [*network.edges, outputs], range(network.variables), network.activation)


def frozen_mlp(network: MLP, context: Context, folding: Folding, variables: int = 0) -> StepNetwork:
    """Freeze a network whose inputs are some variables and then the context; it has one step, which sees them all.

    Args:
        network: The network.
        context: How its first layer reads the context.
        folding: Factors and offsets for consecutive outputs, of which there are a multiple.
        variables: Number of variables among the inputs.
    """
    layers: list[nn.Linear] = list(network.layers)  # type: ignore[arg-type]
    (weight, bias), *later = _folded([(layer.weight, layer.bias) for layer in layers], folding)
    edges = [[0, layer.out_features] for layer in layers]
    return StepNetwork(
        context, (weight[:, variables:], bias, weight[:, :variables]), later, edges, [variables], network.activation
    )


def _folded(layers: list[tuple[Tensor, Tensor]], folding: Folding) -> list[tuple[Tensor, Tensor]]:
    *hidden, (weight, bias) = layers
    factor, offset = (bias.new_tensor(one).repeat(len(bias) // len(one)) for one in folding)
    return [*hidden, (weight * factor[:, None], bias * factor + offset)]
