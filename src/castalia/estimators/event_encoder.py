"""From an event with lists of objects to one vector: scaled, embedded, and summed up by a transformer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from castalia.data.layout import Layout, Variable
from castalia.data.strict import StrictModel
from castalia.errors import DataError
from castalia.estimators.base import Events, ObjectSet
from castalia.estimators.condition_encoding import require_condition
from castalia.estimators.pair_features import PAIRS, PairFeatures
from castalia.estimators.scaling import ConditionScaling
from castalia.nn.mlp import MLP
from castalia.nn.transformer import SetTransformer

__all__ = ["EncodedEvents", "EventEncoder", "EventEncoderConfig"]

_MOMENTUM = ("pt", "eta", "phi")
_PAIR_HIDDEN = 16
_PIECE = 256  # events whose tokens stay in a processor's cache


@final
class EventEncoderConfig(StrictModel):
    """Configuration of ``EventEncoder``.

    Attributes:
        width: Features of an object inside the transformer, and length of the event's vector.
        heads: Attention heads; divides ``width``.
        blocks: Transformer blocks.
        expansion: Width of the hidden layer of each block, in units of ``width``.
        pairwise: Whether masses and distances of pairs of objects steer the attention.
    """

    width: int = Field(default=64, ge=1)
    heads: int = Field(default=4, ge=1)
    blocks: int = Field(default=2, ge=1)
    expansion: int = Field(default=2, ge=1)
    pairwise: bool = True

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide width = {self.width}; change one of them")
        return self


@final
@dataclass(frozen=True)
class EncodedEvents:
    """Events, each as one vector and one for each of its objects, those of one list after those of another.

    Attributes:
        event: Shape ``(events, width)``.
        objects: Shape ``(events, objects, width)``; meaningless where there is no object.
        mask: True where there is one, shape ``(events, objects)``.
        momenta: pt (GeV), pseudorapidity, azimuth (rad) and mass (GeV), shape ``(events, objects, 4)``; zero where
            there is no object, and in lists that have no momenta.
        lists: The number of the list of each object, in the layout's order, shape ``(objects,)``.
        flat: The flat variables as they are, shape ``(events, variables)``.
    """

    event: Tensor
    objects: Tensor
    mask: Tensor
    momenta: Tensor
    lists: Tensor
    flat: Tensor

    def repeated(self, times: int) -> EncodedEvents:
        """Return every event several times, one after the other."""
        if times == 1:
            return self

        def each(values: Tensor) -> Tensor:
            return values.repeat_interleave(times, dim=0)

        event, objects, mask, momenta, flat = map(each, (self.event, self.objects, self.mask, self.momenta, self.flat))
        return EncodedEvents(event, objects, mask, momenta, self.lists, flat)


@final
class EventEncoder(nn.Module):
    """Encodes what was measured of an event as one vector, whatever the order and number of its objects.

    A token of the event, which is the same for all, one of its flat variables and one of each object attend to one
    another; the event's token comes out. Each list has a linear layer of its own, whose bias tells its objects from
    those of others. The number of objects may exceed that of every training event.

    Args:
        layout: Flat condition variables and lists of objects; one of the two may be empty.
        config: Configuration.

    Attributes:
        width: Length of the vector.

    Raises:
        ConfigError: If the layout has no condition at all.

    References:
        Shmakov et al., End-to-end latent variational diffusion models for inverse problems in high energy physics
        (arXiv:2305.10399), the detector encoder; Qu, Li and Qian, Particle transformer for jet tagging
        (arXiv:2202.03772), the attention's bias.
    """

    def __init__(self, layout: Layout, config: EventEncoderConfig) -> None:
        super().__init__()
        require_condition((*layout.condition, *layout.condition_objects))
        self.width = config.width
        self.names = tuple(layout.condition_objects)
        self.flat = ConditionScaling(layout.condition)
        self.objects = nn.ModuleList(
            ConditionScaling([replace(variable, name=f"{name}.{variable.name}") for variable in variables])
            for name, variables in layout.condition_objects.items()
        )
        self.event_token = nn.Parameter(torch.randn(config.width) / config.width**0.5)
        self.flat_token = nn.Linear(self.flat.width, config.width) if self.flat.width else None
        self.object_tokens = nn.ModuleList(nn.Linear(scaling.width, config.width) for scaling in self.objects)  # type: ignore[arg-type]
        self.transformer = SetTransformer(config.width, config.heads, config.blocks, config.expansion)
        self._columns = [_momentum_columns(variables) for variables in layout.condition_objects.values()]
        self.pairs: PairFeatures | None = None
        if config.pairwise and any(self._columns):
            self.pairs = PairFeatures()
            self.pair_bias = MLP(len(PAIRS), config.blocks * config.heads, (_PAIR_HIDDEN,), activation="silu")

    def update(self, events: Events, weight: Tensor) -> None:
        """Take events into the statistics of the scalings; an object counts with its event's weight.

        Args:
            events: Conditions in physical units.
            weight: Shape ``(events,)``.

        Raises:
            DataError: If a list is missing, or a value is not finite, or not positive where a logarithm is declared.
        """
        self.flat.update(events.flat, weight)
        for scaling, one in zip(self.objects, self._lists(events.objects), strict=True):
            scaling.update(one.values[one.mask], weight.repeat_interleave(one.mask.sum(1)))  # type: ignore[operator]
        if self.pairs is not None:
            self.pairs.update(*self._momenta(self._lists(events.objects)), weight)

    def finish(self) -> None:
        """Store the statistics as buffers and begin anew.

        Raises:
            DataError: If a variable is constant, or no training event has an object in one of the lists.
        """
        if self.flat.variables:
            self.flat.finish()
        for scaling in self.objects:
            scaling.finish()  # type: ignore[operator]
        if self.pairs is not None:
            self.pairs.finish()

    def forward(self, events: Events) -> Tensor:
        """Encode events in physical units.

        Returns:
            Shape ``(events, width)``.

        Raises:
            DataError: If the events do not fit the layout.
        """
        every, mask, lists = self._tokens(events)
        vectors = torch.empty_like(every[:, 0])
        for rows, _, piece in self._pieces(every, mask, lists):
            vectors[rows] = self.transformer(*piece)
        return vectors

    def encode(self, events: Events) -> EncodedEvents:
        """Encode events and their objects; see ``forward``."""
        every, mask, lists = self._tokens(events)
        encoded = torch.zeros_like(every)
        for rows, columns, piece in self._pieces(every, mask, lists):
            encoded[rows[:, None], columns] = self.transformer.each(*piece)
        numbers = [torch.full((one.mask.shape[1],), at, device=mask.device) for at, one in enumerate(lists)]
        momenta, known = self._momenta(lists)
        first = every.shape[1] - momenta.shape[1]  # after the event and its flat variables
        return EncodedEvents(
            encoded[:, 0],
            encoded[:, first:],
            mask[:, first:],
            momenta * known[..., None],
            torch.cat(numbers),
            events.flat,
        )

    def _tokens(self, events: Events) -> tuple[Tensor, Tensor, list[ObjectSet]]:
        """Return what attends to one another, what of it exists, and the lists in the layout's order."""
        scaled: Tensor = self.flat(events.flat)
        count = len(events)
        tokens = [self.event_token.expand(count, 1, -1)]
        if self.flat_token is not None:
            tokens.append(self.flat_token(scaled)[:, None])
        masks = [torch.ones((count, len(tokens)), dtype=torch.bool, device=scaled.device)]
        lists = [_used(one) for one in self._lists(events.objects)]  # what is padding in every event costs nothing
        for scaling, layer, one in zip(self.objects, self.object_tokens, lists, strict=True):
            values = _filled(one)
            tokens.append(layer(scaling(values.flatten(0, 1)).view(*one.mask.shape, scaling.width)))
            masks.append(one.mask)
        return torch.cat(tokens, dim=1), torch.cat(masks, dim=1), lists

    def _pieces(
        self, every: Tensor, mask: Tensor, lists: Sequence[ObjectSet]
    ) -> Iterator[tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor | None]]]:
        """Yield rows of events with about as many tokens, columns of these, and what a transformer takes of them.

        Most events have half as many objects as the one with the most, and what no event of a piece has costs nothing.
        """
        momenta = None if self.pairs is None else self._momenta(lists)
        first = every.shape[1] - sum(one.mask.shape[1] for one in lists)  # after the event and its flat variables
        # An accelerator wants all events at once.
        size = _PIECE if every.device.type == "cpu" else max(len(every), 1)
        order = mask.sum(1).argsort()
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            columns = mask[rows].any(0).nonzero()[:, 0]
            at, of_objects = (rows[:, None], columns), (rows[:, None], columns[columns >= first] - first)
            bias = None
            if momenta is not None:
                bias = self._bias(momenta[0][of_objects], momenta[1][of_objects], len(columns))
            yield rows, columns, (every[at], mask[at], bias)

    def _bias(self, momenta: Tensor, mask: Tensor, tokens: int) -> Tensor:
        """Return what is added to the scores of so many tokens in all blocks, shape ``(blocks heads, events, N, N)``.

        Args:
            momenta: As ``PairFeatures`` takes them, of the objects, which come last.
            mask: True where there is one.
            tokens: How many tokens there are.
        """
        bias = self.pair_bias.outputs_first(self.pairs(momenta, mask))  # type: ignore[misc]
        others = tokens - bias.shape[-1]
        return functional.pad(bias, (others, 0, others, 0))

    def _momenta(self, lists: Sequence[ObjectSet]) -> tuple[Tensor, Tensor]:
        """Return momenta and mask of all objects as ``PairFeatures`` takes them; no object of a list without any."""
        momenta, masks = [], []
        for columns, one in zip(self._columns, lists, strict=True):
            values = _filled(one)[..., columns].to(self.event_token.dtype)
            momenta.append(functional.pad(values, (0, 4 - len(columns))))
            masks.append(one.mask & bool(columns))
        return torch.cat(momenta, dim=1), torch.cat(masks, dim=1)

    def _lists(self, objects: Mapping[str, ObjectSet]) -> list[ObjectSet]:
        """Return the lists in the layout's order."""
        missing = [name for name in self.names if name not in objects]
        if missing:
            raise DataError(
                f"The condition has no list '{missing[0]}', which this model needs; its lists are "
                f"{', '.join(self.names)}, the events have {', '.join(objects) or 'none'}."
            )
        return [objects[name] for name in self.names]


def _momentum_columns(variables: Sequence[Variable]) -> list[int]:
    """Return where a list has pt, eta, phi and, where it has one, mass; nothing without all of the first three."""
    names = [one.name for one in variables]
    if not set(_MOMENTUM) <= set(names):
        return []
    return [names.index(one) for one in (*_MOMENTUM, "mass") if one in names]


def _used(objects: ObjectSet) -> ObjectSet:
    """Return the same without the places at the end in which no event has an object."""
    some = objects.mask.any(0).nonzero()
    used = int(some[-1]) + 1 if len(some) else 0
    return ObjectSet(objects.values[:, :used], objects.mask[:, :used])


def _filled(objects: ObjectSet) -> Tensor:
    """Return the values, and ones where no object exists, which any transformation takes."""
    return torch.where(objects.mask[..., None], objects.values, torch.ones_like(objects.values))
