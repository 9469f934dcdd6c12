"""An event as a list of typed objects, as the classifiers read it: four momenta, types, and which of them exist."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from castalia.data.layout import Layout, Variable
from castalia.data.typed_objects import OBJECT_FEATURES, OBJECTS
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Events

__all__ = ["ObjectTensors", "number_of_classes", "number_of_types", "object_tensors"]


@dataclass(frozen=True)
class ObjectTensors:
    """The objects of some events; where none exists, everything is zero.

    Attributes:
        pt: Transverse momenta in GeV, shape ``(events, N)``.
        eta: Pseudorapidities, 0 of an object that has none.
        phi: Azimuths in radians.
        mass: Masses in GeV, 0 of an object that has none.
        types: Index of the type of each object, integer.
        mask: True where an object exists.
    """

    pt: Tensor
    eta: Tensor
    phi: Tensor
    mass: Tensor
    types: Tensor
    mask: Tensor

    def pieces(self, size: int) -> Iterator[ObjectTensors]:
        """Yield consecutive pieces of at most ``size`` events, one of none where there are none."""
        for parts in zip(*(torch.split(getattr(self, one.name), size) for one in fields(self)), strict=True):
            yield ObjectTensors(*parts)

    def relative(self) -> ObjectTensors:
        """Return the same with azimuths relative to the hardest object of the first type that the event has."""
        missing = torch.full_like(self.pt, -torch.inf)
        first = torch.where(self.mask, -self.types.to(self.pt), missing).amax(1, keepdim=True)
        leading = torch.where(self.mask & (-self.types == first), self.pt, missing).argmax(1, keepdim=True)
        return replace(self, phi=torch.where(self.mask, self.phi - self.phi.gather(1, leading), 0.0))

    def drawn(self, rng: np.random.Generator) -> ObjectTensors:
        """Return the same turned and mirrored at random, as a detector that is round and has two equal ends may be.

        Each event is turned by any angle about the beam, and mirrored along the beam and across it or not.
        """
        events = len(self.pt)
        turn = torch.from_numpy(rng.uniform(-math.pi, math.pi, (events, 1))).to(self.phi)
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], (2, events, 1))).to(self.phi)
        return replace(self, eta=self.eta * signs[0], phi=torch.where(self.mask, self.phi * signs[1] + turn, 0.0))


def object_tensors(events: Events, types: int, like: Tensor) -> ObjectTensors:
    """Read the objects of events.

    Args:
        events: With a list ``"objects"`` of the features `OBJECT_FEATURES`.
        types: Number of types.
        like: A tensor of the wanted precision.

    Raises:
        DataError: If there is no such list, an object has a value that is not finite, or a type that is not known.
    """
    if OBJECTS not in events.objects or events.objects[OBJECTS].values.shape[-1] != len(OBJECT_FEATURES):
        raise DataError(
            f"The events have no list '{OBJECTS}' with the features {', '.join(OBJECT_FEATURES)}; declare [objects] "
            "and read the files with it."
        )
    mask = events.objects[OBJECTS].mask
    values = events.objects[OBJECTS].values.to(like.dtype)
    values = torch.where(mask[..., None], values, torch.zeros_like(values))
    if not math.isfinite(float(values.detach().sum())):
        row = int((~torch.isfinite(values)).any(-1).any(-1).nonzero()[0])
        raise DataError(f"Row {row} of this chunk has an object with a value that is not finite; mend or drop it.")
    kinds = values[..., 4].round().long()
    if kinds.numel() and (int(kinds.min()) < 0 or int(kinds.max()) >= types):
        wrong = int(kinds.max()) if int(kinds.min()) >= 0 else int(kinds.min())
        raise DataError(f"An object has type {wrong}; this model knows the types 0 to {types - 1}, in their order.")
    pt, eta, phi, mass, _ = values.unbind(-1)
    return ObjectTensors(pt, eta, phi, mass, kinds, mask)


def number_of_types(layout: Layout) -> int:
    """Return how many types of objects a layout has.

    Raises:
        ConfigError: If it has no list of typed objects, or another one beside it.
    """
    lists = layout.condition_objects
    if list(lists) != [OBJECTS] or tuple(variable.name for variable in lists[OBJECTS]) != OBJECT_FEATURES:
        raise ConfigError(
            f"A classifier of events needs one list '{OBJECTS}' with the features {', '.join(OBJECT_FEATURES)}, in "
            f"this order; this layout has {', '.join(lists) or 'no list'}."
        )
    return _counted(lists[OBJECTS][-1])


def number_of_classes(layout: Layout) -> int:
    """Return how many classes the first target of a layout tells apart.

    Raises:
        ConfigError: If it is no target of two or more classes.
    """
    classes = _counted(layout.target[0]) if layout.target else 0
    if classes < 2:
        raise ConfigError(f"A classifier tells two classes or more apart, not {classes}; name them under [classes].")
    return classes


def _counted(variable: Variable) -> int:
    low, high = variable.bounds or (math.nan, math.nan)
    if not (variable.integer and low == -0.5 and high == round(high - 0.5) + 0.5):
        raise ConfigError(f"'{variable.name}' must be an integer with bounds from -0.5 to its number of values - 0.5.")
    return round(high + 0.5)
