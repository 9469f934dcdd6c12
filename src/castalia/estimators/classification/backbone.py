"""From typed objects to one vector of each object and one of the event: a transformer, or attention on a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, final

import torch
from pydantic import Discriminator, Field, Tag, model_validator
from torch import Tensor, nn
from torch.nn import functional

from castalia.data.strict import StrictModel
from castalia.estimators.classification.kinematics import KINEMATICS, Kinematics
from castalia.estimators.classification.object_tensors import ObjectTensors
from castalia.estimators.pair_features import PAIRS
from castalia.nn.graph_attention import GraphAttentionBlock
from castalia.nn.mlp import MLP
from castalia.nn.transformer import AttentionBlock, biases_of

__all__ = [
    "Backbone",
    "BackboneConfig",
    "Encoding",
    "GraphBackbone",
    "GraphBackboneConfig",
    "Seen",
    "TransformerBackbone",
    "TransformerBackboneConfig",
    "backbone_of",
]

_PAIR_HIDDEN = 16


@dataclass(frozen=True)
class Seen:
    """What a backbone is given of some events.

    Attributes:
        objects: Scaled features and, one-hot, type of each object, shape ``(events, N, 5 + types)``.
        pairs: Scaled features of each pair, shape ``(events, N, N, 4)``, or ``(events, N, N, 0)`` where nobody looks
            at them.
        mask: True where an object exists, shape ``(events, N)``.
    """

    objects: Tensor
    pairs: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Encoding:
    """What a backbone makes of them.

    Attributes:
        objects: Vector of each object, shape ``(events, N, width)``; meaningless where none exists.
        event: Mean vector over the objects of each event, shape ``(events, width)``; zero for an event without any.
    """

    objects: Tensor
    event: Tensor


class _BackboneConfig(StrictModel):
    """What all backbones can be told.

    Attributes:
        width: Features of an object; a multiple of ``heads``.
        heads: Attention heads.
        pairwise: Whether masses and distances of pairs of objects steer the attention.
        relative: Whether azimuths are relative to the leading object, so that turning an event changes nothing.
    """

    width: int = Field(default=64, ge=1)
    heads: int = Field(default=4, ge=1)
    pairwise: bool = True
    relative: bool = True

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide width = {self.width}; change one of them")
        return self


@final
class TransformerBackboneConfig(_BackboneConfig):
    """Configuration of a transformer.

    Attributes:
        blocks: Transformer blocks.
        expansion: Width of the hidden layer of each block, in units of ``width``.
    """

    kind: Literal["transformer"] = "transformer"
    blocks: int = Field(default=6, ge=1)
    expansion: int = Field(default=2, ge=1)


@final
class GraphBackboneConfig(_BackboneConfig):
    """Configuration of attention on the graph in which all objects are joined.

    Attributes:
        blocks: Layers before the vectors of the objects are read off.
        event_blocks: Layers after that, before that of the event is.
    """

    kind: Literal["graph"] = "graph"
    width: int = Field(default=256, ge=1)
    heads: int = Field(default=2, ge=1)
    blocks: int = Field(default=4, ge=1)
    event_blocks: int = Field(default=2, ge=1)


def _kind(values: Any) -> str:
    return str(values.get("kind", "transformer") if isinstance(values, dict) else values.kind)


BackboneConfig: TypeAlias = Annotated[
    Annotated[TransformerBackboneConfig, Tag("transformer")] | Annotated[GraphBackboneConfig, Tag("graph")],
    Discriminator(_kind),
]
"""Configuration of either, told apart by ``kind``; without one it is a transformer's."""


class Backbone(nn.Module, ABC):
    """Embedding and encoder; a subclass is the encoder.

    Objects are embedded by a linear layer and normalised. What stands where there is no object changes nothing, and
    the order of the objects neither.

    Args:
        config: Configuration.
        types: Number of types of objects.

    Attributes:
        FOR_EVENTS: Names of the layers that the vectors of objects do not depend on.
        kinematics: Scaling of what is seen.
        last: Normalisation of what comes out.
        blocks: The layers that objects go through.
    """

    FOR_EVENTS: ClassVar[frozenset[str]] = frozenset()

    blocks: nn.ModuleList

    def __init__(self, config: TransformerBackboneConfig | GraphBackboneConfig, types: int) -> None:
        super().__init__()
        self.config, self.types = config, types
        self.kinematics = Kinematics()
        self.embedding = nn.Linear(len(KINEMATICS) + types, config.width)
        self.normal = nn.LayerNorm(config.width)
        self.last = nn.LayerNorm(config.width)

    def update(self, objects: ObjectTensors, weight: Tensor) -> None:
        """Take events into the statistics of the scaling, see ``Kinematics.update``."""
        self.kinematics.update(self._in_frame(objects), weight)

    def seen(self, objects: ObjectTensors, related: bool = False) -> Seen:
        """Scale the objects of some events.

        Args:
            objects: The objects.
            related: Whether features of pairs are looked at even if they do not steer the attention.
        """
        objects = self._in_frame(objects)
        kinds = functional.one_hot(objects.types, self.types).to(objects.pt) * objects.mask[..., None]
        features = torch.cat([self.kinematics.objects(objects), kinds], dim=-1)
        if self.config.pairwise or related:
            return Seen(features, self.kinematics.pairs(objects), objects.mask)
        return Seen(features, features.new_zeros(*objects.mask.shape, objects.mask.shape[1], 0), objects.mask)

    def forward(self, seen: Seen, hidden: Tensor | None = None, extra: Tensor | None = None) -> Encoding:
        """Encode events.

        Args:
            seen: What is seen of the objects.
            hidden: Vectors added to those of embedded objects, shape ``(events, N, width)``, or ``None``.
            extra: One more element of each event, shape ``(events, 1, width)``, or ``None``.
        """
        elements = self.embedding(seen.objects)
        elements = self.normal(elements if hidden is None else elements + hidden)
        mask, pairs, count = seen.mask, seen.pairs, seen.mask.shape[1]
        if extra is not None:
            elements = torch.cat([elements, extra], dim=1)
            mask = functional.pad(mask, (0, 1), value=True)
            pairs = functional.pad(pairs, (0, 0, 0, 1, 0, 1))
        # An event without objects attends to one that is not there, so that nothing is divided by zero.
        present = torch.cat([mask[:, :1] | ~mask.any(1, keepdim=True), mask[:, 1:]], dim=1)
        objects, elements = self.encode(elements, present, pairs)
        share = mask.to(elements)[..., None] / mask.sum(1).clamp(min=1)[:, None, None]
        return Encoding(objects[:, :count], (share * elements).sum(1))

    def _in_frame(self, objects: ObjectTensors) -> ObjectTensors:
        return objects.relative() if self.config.relative else objects

    def of_events_alone(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that the vectors of objects do not depend on, if there are any."""
        for name, module in self.named_children():
            if name in self.FOR_EVENTS:
                yield from module.parameters()

    def adopt(self, other: Backbone, types: Sequence[int]) -> None:
        """Take over what another backbone of the same configuration learned; types that it does not know keep theirs.

        The scaling is taken over where it knows all types: of other objects it says nothing.

        Args:
            other: The other backbone.
            types: Number here of each type there.
        """
        features, whole = len(KINEMATICS), len(types) == self.types
        theirs, embedding = other.embedding.weight.detach(), self.embedding.weight.detach().clone()
        embedding[:, :features] = theirs[:, :features]
        embedding[:, [features + number for number in types]] = theirs[:, features:]
        learned = {
            name: value for name, value in other.state_dict().items() if whole or not name.startswith("kinematics.")
        }
        self.load_state_dict({**self.state_dict(), **learned, "embedding.weight": embedding})

    def by_depth(self) -> Iterator[tuple[int, nn.Parameter]]:
        """Yield every parameter after the number of its layer, from 1 for the last block to the embedding's.

        What reads off vectors goes with the last block, and what all blocks are given of pairs with the embedding;
        what the vectors of objects do not depend on is above all, at 0.
        """
        depth = {id(p): number for number, block in enumerate(reversed(self.blocks), 1) for p in block.parameters()}
        depth |= {id(p): 1 for p in self.last.parameters()} | {id(p): 0 for p in self.of_events_alone()}
        for parameter in self.parameters():
            yield depth.get(id(parameter), len(self.blocks) + 1), parameter

    @abstractmethod
    def encode(self, elements: Tensor, mask: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Let elements see one another.

        Args:
            elements: Shape ``(events, N, width)``.
            mask: True where an element exists, shape ``(events, N)``; at least one in every event.
            pairs: Features of each pair, as in ``Seen``.

        Returns:
            The elements' own vectors, and those whose mean stands for the event, shape ``(events, N, width)`` each.
        """


@final
class TransformerBackbone(Backbone):
    """Transformer blocks, to whose attention a network of the pairs' features adds a bias."""

    def __init__(self, config: TransformerBackboneConfig, types: int) -> None:
        super().__init__(config, types)
        self.heads = config.heads
        biases = config.blocks * config.heads
        self.bias = MLP(len(PAIRS), biases, (_PAIR_HIDDEN,), activation="silu") if config.pairwise else None
        self.blocks = nn.ModuleList(
            AttentionBlock(config.width, config.heads, config.expansion) for _ in range(config.blocks)
        )

    def encode(self, elements: Tensor, mask: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Let elements see one another; see ``Backbone.encode``."""
        added = None if self.bias is None else self.bias.outputs_first(pairs)
        biases = biases_of(mask, elements, self.heads, len(self.blocks), added)
        for block, bias in zip(self.blocks, biases, strict=True):
            elements = block(elements, mask, bias=bias)
        elements = self.last(elements)
        return elements, elements


@final
class GraphBackbone(Backbone):
    """Graph attention; the vectors of objects come out before the last layers, as their relations are to be seen."""

    FOR_EVENTS = frozenset({"event_blocks"})

    def __init__(self, config: GraphBackboneConfig, types: int) -> None:
        super().__init__(config, types)
        features = len(PAIRS) if config.pairwise else 0
        self.blocks, self.event_blocks = (
            nn.ModuleList(GraphAttentionBlock(config.width, config.heads, features) for _ in range(count))
            for count in (config.blocks, config.event_blocks)
        )

    def encode(self, elements: Tensor, mask: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Let elements see one another; see ``Backbone.encode``."""
        for block in self.blocks:
            elements = block(elements, mask, pairs)
        objects = self.last(elements)
        for block in self.event_blocks:
            elements = block(elements, mask, pairs)
        return objects, self.last(elements)


def backbone_of(config: TransformerBackboneConfig | GraphBackboneConfig, types: int) -> Backbone:
    """Build the backbone that a configuration describes, for a number of types of objects."""
    return TransformerBackbone(config, types) if config.kind == "transformer" else GraphBackbone(config, types)
