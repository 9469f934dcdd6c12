"""Which of an event's objects each of several particles is, and what that tells of the event."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from castalia.data.layout import Layout
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Events
from castalia.estimators.event_encoder import EncodedEvents, EventEncoder
from castalia.nn.mlp import MLP

__all__ = ["TYPICAL", "Measured", "ObjectChoice"]

TYPICAL = 4.5
"""Logarithm of a typical momentum in GeV, which logarithms here are relative to."""

_HIDDEN = 64  # of the network that asks for an object
_SUM_HIDDEN, _WIDTH = 192, 128  # of the network that takes in what was chosen, and of the vector it makes
_OF_OBJECT = 5  # numbers
_GEV = 50.0  # of flat momenta, in units of which they are in a vector
_LARGEST_SUM = 3  # objects added up, beside the sum of all
_FEATURES = 5  # of a sum
_LARGEST_ETA, _LARGEST_PT = 10.0, 1_000.0  # GeV: what is farther out counts as that


@final
@dataclass(frozen=True)
class Measured:
    """Momenta that were measured.

    Attributes:
        objects: Those of the chosen objects, then of the leading ones that the layout's decays name: whether there is
            one, logarithm of pt less ``TYPICAL``, pseudorapidity, cosine and sine of the azimuth, shape ``(events,
            objects, 5)``; zeros where there is none, and in lists without momenta.
        flat: px and py, in GeV, of the flat variables' ``NAME_pt`` and ``NAME_phi``, shape ``(events, momenta, 2)``.
    """

    objects: Tensor
    flat: Tensor


@final
class ObjectChoice(nn.Module):
    """A distribution over objects of the event's lists, or none, for one particle after the other.

    A network of the event's vector and of the objects that earlier particles got asks for the next one; every object
    and "none" answer by a scalar product, as in attention. Two particles may be the same object, as in a jet of two
    quarks. The vector of the event that a model is then given knows of every choice, and of the momenta and masses of
    sums of chosen objects. At its end stands what was ``Measured``, for who compares it with particles.

    Args:
        layout: Its ``places`` are chosen, in their order.
        encoder: What encodes the events.

    Raises:
        ConfigError: If there is no such list.

    Attributes:
        width: Length of the vector of an event with its choices.
        flat_momenta: Number of momenta among the flat variables.

    References:
        Vinyals, Fortunato and Jaitly, Pointer networks (arXiv:1506.03134), the answer by objects themselves.
    """

    lists: Tensor
    sums: Tensor

    def __init__(self, layout: Layout, encoder: EventEncoder) -> None:
        super().__init__()
        self.names = tuple(layout.places)
        self._flat = _flat_momenta(layout)
        self.flat_momenta = len(self._flat)
        leading = {} if layout.decays is None else layout.decays.leading
        self._leading = [[encoder.names.index(name) for name in lists] for lists in leading.values()]
        self._objects = len(self.names) + len(self._leading)
        self.width = _WIDTH + _OF_OBJECT * self._objects + 2 * len(self._flat)
        self._list_names = tuple(layout.places.values())
        count, width = len(self.names), encoder.width
        for name, of_list in layout.places.items():
            if of_list not in encoder.names:
                known = ", ".join(encoder.names) or "none"
                raise ConfigError(
                    f"The target '{name}' is a place in '{of_list}', which is no list; choose from {known}."
                )
        lists = [encoder.names.index(of_list) for of_list in self._list_names]
        sizes = range(1, min(_LARGEST_SUM, count) + 1)
        sums = [set(one) for size in sizes for one in itertools.combinations(range(count), size)]
        sums += [set(range(count))] if count > _LARGEST_SUM else []
        members = torch.tensor([[float(place in one) for place in range(count)] for one in sums])
        self.register_buffer("lists", torch.tensor(lists), persistent=False)
        self.register_buffer("sums", members, persistent=False)
        self.queries = nn.ModuleList(
            MLP(width * (1 + place), width, (_HIDDEN,), activation="silu") for place in range(count)
        )
        self.none = nn.Parameter(torch.randn(count, width) / width**0.5)
        self.again = nn.Parameter(torch.zeros(count, count))
        inputs = width * (1 + count) + count + _FEATURES * len(sums)
        self.together = MLP(inputs, _WIDTH, (_SUM_HIDDEN,), activation="silu")

    def check(self, places: Tensor, events: Events) -> None:
        """Refuse places that no object is at.

        Raises:
            DataError: If there is one that is neither -1 nor an object's.
        """
        for number, (name, of_list) in enumerate(zip(self.names, self._list_names, strict=True)):
            asked, wanted = places[:, number], places[:, number].nan_to_num(-2.0).long()
            there = functional.pad(events.objects[of_list].mask, (1, 1))  # before the first and behind the last is none
            found = there.gather(1, (wanted + 1).clamp(0, there.shape[1] - 1)[:, None])[:, 0]
            bad = ~(found | (wanted == -1)) | (asked != wanted)
            if bool(bad.any()):
                row = int(bad.nonzero()[0])
                raise DataError(
                    f"The target '{name}' is {float(asked[row]):g} in row {row} of this chunk, where the list "
                    f"'{of_list}' has {int(there[row].sum())} objects; give the place of one, counted from 0, or -1."
                )

    def forward(self, events: EncodedEvents, places: Tensor) -> tuple[Tensor, Tensor]:
        """Take choices as given.

        Args:
            events: What is chosen from.
            places: Place of each particle's object in its list, or -1, shape ``(events, particles)``.

        Returns:
            Vectors of the events with their choices, shape ``(events, width)``, and the log-probability of the choices,
            shape ``(events,)``.
        """
        wanted = places.long()

        def given(number: int, _: Tensor) -> Tensor:
            return torch.where(wanted[:, number] < 0, 0, wanted[:, number] + 1 + self._first(events, number))

        vectors, _, log_prob = self._walk(events, given)
        return vectors, log_prob

    def draw(self, events: EncodedEvents, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw choices.

        Returns:
            Vectors of the events with their choices, shape ``(events, width)``, and the places, shape
            ``(events, particles)``.
        """

        def drawn(_: int, log_probs: Tensor) -> Tensor:
            noise = torch.from_numpy(rng.gumbel(size=tuple(log_probs.shape))).to(log_probs)
            return (log_probs + noise).argmax(1)

        vectors, chosen, _ = self._walk(events, drawn)
        places = [torch.where(one == 0, -1, one - 1 - self._first(events, number)) for number, one in enumerate(chosen)]
        return vectors, torch.stack(places, dim=1)

    def _first(self, events: EncodedEvents, number: int) -> int:
        """Return how many objects stand before those of the particle's list."""
        return int((events.lists < self.lists[number]).sum())

    def _walk(
        self, events: EncodedEvents, pick: Callable[[int, Tensor], Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Choose for one particle after the other: 0 for none, 1 for the first of all objects, and so on."""
        tokens: list[Tensor] = []
        chosen: list[Tensor] = []
        log_prob = events.event.new_zeros(len(events.event))
        for number, query in enumerate(self.queries):
            asked = query(torch.cat([events.event, *tokens], dim=1))
            answers = torch.cat([self.none[number].expand(len(asked), 1, -1), events.objects], dim=1)
            scores = torch.einsum("ew,eow->eo", asked, answers) / asked.shape[1] ** 0.5
            for earlier, one in enumerate(chosen):
                taken = functional.one_hot(one, answers.shape[1]).to(scores) * (one > 0)[:, None]
                scores = scores + self.again[number, earlier] * taken
            allowed = functional.pad(events.mask & (events.lists == self.lists[number]), (1, 0), value=True)
            log_probs = scores.masked_fill(~allowed, -torch.inf).log_softmax(1)
            picked = pick(number, log_probs)
            log_prob = log_prob + log_probs.gather(1, picked[:, None])[:, 0]
            tokens.append(answers.gather(1, picked[:, None, None].expand(-1, 1, answers.shape[2]))[:, 0])
            chosen.append(picked)
        places = torch.stack(chosen, dim=1)
        parts = [events.event, *tokens, (places > 0).to(events.event), self._of_sums(events, places)]
        measured = [self._of_objects(events, places), *self._of_flat(events)]
        return torch.cat([self.together(torch.cat(parts, dim=1)), *measured], dim=1), chosen, log_prob

    def measured(self, vectors: Tensor) -> Measured:
        """Return what vectors say of measured momenta."""
        end = _WIDTH + _OF_OBJECT * self._objects
        objects, flat = vectors[:, _WIDTH:end], vectors[:, end:]
        return Measured(
            objects.reshape(len(vectors), self._objects, _OF_OBJECT),
            _GEV * flat.reshape(len(vectors), len(self._flat), 2),
        )

    def _of_objects(self, events: EncodedEvents, places: Tensor) -> Tensor:
        momenta = functional.pad(events.momenta.to(events.event), (0, 0, 1, 0))  # none has no momentum
        every = torch.cat([places, *(self._place_of_leading(events, lists) for lists in self._leading)], dim=1)
        pt, eta, phi, _ = momenta.gather(1, every[..., None].expand(-1, -1, momenta.shape[2])).unbind(-1)
        eta, log_pt = eta.clamp(-_LARGEST_ETA, _LARGEST_ETA), pt.clamp(min=1.0).log() - TYPICAL
        there = (pt > 0.0).to(pt)
        return (torch.stack([there, log_pt, eta, torch.cos(phi), torch.sin(phi)], dim=-1) * there[..., None]).flatten(1)

    def _place_of_leading(self, events: EncodedEvents, lists: list[int]) -> Tensor:
        """Return where the leading object of the first list is that has any, counted from 1, or 0."""
        pt = functional.pad(events.momenta[..., 0], (1, 0))  # none has none
        place = torch.zeros_like(pt[:, :1], dtype=torch.long)
        for number in reversed(lists):
            own = functional.pad(events.mask & (events.lists == number), (1, 0))
            leading = torch.where(own, pt, -1.0).argmax(1, keepdim=True)
            place = torch.where(own.any(1, keepdim=True), leading, place)
        return place

    def _of_flat(self, events: EncodedEvents) -> list[Tensor]:
        flat = events.flat.to(events.event)
        pairs = [(flat[:, pt].clamp(max=_LARGEST_PT) / _GEV, flat[:, phi]) for pt, phi in self._flat]
        return [(pt * of(phi))[:, None] for pt, phi in pairs for of in (torch.cos, torch.sin)]

    def _of_sums(self, events: EncodedEvents, places: Tensor) -> Tensor:
        """Return logarithm of pt, pseudorapidity, azimuth's cosine and sine, logarithm of the mass of every sum."""
        pt, eta, phi, mass = events.momenta.to(events.event).unbind(-1)
        eta = eta.clamp(-_LARGEST_ETA, _LARGEST_ETA)
        momentum = (pt * torch.cos(phi), pt * torch.sin(phi), pt * torch.sinh(eta))
        energy = torch.hypot(pt * torch.cosh(eta), mass)
        vectors = functional.pad(torch.stack([*momentum, energy], dim=-1), (0, 0, 1, 0))  # none has no momentum
        picked = vectors.gather(1, places[..., None].expand(-1, -1, vectors.shape[2]))
        px, py, pz, total = torch.einsum("sp,epf->esf", self.sums, picked).unbind(-1)
        across = torch.hypot(px, py)
        size = across.clamp(min=1.0)
        squared = (total.square() - across.square() - pz.square()).clamp(min=1.0)
        features = [size.log() - TYPICAL, torch.asinh(pz / size), px / size, py / size, 0.5 * squared.log() - TYPICAL]
        return (torch.stack(features, dim=-1) * (across > 0.0)[..., None]).flatten(1)


def _flat_momenta(layout: Layout) -> list[tuple[int, int]]:
    """Return where the flat variables are that are pt and azimuth of one momentum."""
    names = {variable.name: (i, variable.transform) for i, variable in enumerate(layout.condition)}
    found = []
    for name, (place, _) in names.items():
        azimuth, transform = names.get(f"{name.removesuffix('_pt')}_phi", (0, ""))
        if name.endswith("_pt") and transform == "angle":
            found.append((place, azimuth))
    return found
