"""Objects in fixed places, for models that read columns: the hardest of each type, one after the other."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from castalia.estimators.classification.object_tensors import ObjectTensors

__all__ = ["hardest_of_each_type"]


def hardest_of_each_type(objects: ObjectTensors, types: int, take: int) -> ObjectTensors:
    """Return the hardest objects of each type in order, whatever their order was.

    Args:
        objects: Objects of the events.
        types: Number of types.
        take: Places for each type.

    Returns:
        Objects of shape ``(events, types take)``; a place without an object is one where none exists.
    """
    events, places = [], []
    for kind in range(types):
        here = objects.mask & (objects.types == kind)
        hardness = torch.where(here, objects.pt, torch.full_like(objects.pt, -torch.inf))
        if hardness.shape[1] < take:
            hardness = functional.pad(hardness, (0, take - hardness.shape[1]), value=-torch.inf)
        found = hardness.topk(take, dim=1)
        events.append(found.values > -torch.inf)
        places.append(found.indices.clamp(max=max(objects.pt.shape[1] - 1, 0)))
    mask, place = torch.cat(events, dim=1), torch.cat(places, dim=1)

    def picked(values: Tensor) -> Tensor:
        return values.gather(1, place) * mask

    return replace(
        objects,
        pt=picked(objects.pt),
        eta=picked(objects.eta),
        phi=picked(objects.phi),
        mass=picked(objects.mass),
        types=torch.arange(types, device=place.device).repeat_interleave(take).expand(place.shape),
        mask=mask,
    )
