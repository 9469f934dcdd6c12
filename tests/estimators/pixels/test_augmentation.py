"""Shifts keep an event's sensors together and lose nothing."""

import torch

from castalia.estimators.pixels.augmentation import translated
from castalia.rng import Stream


def test_sensors_of_an_event_move_together():
    one = torch.rand(50, 1, 1, 6, 8)
    images = one.expand(50, 3, 2, 6, 8)
    moved = translated(images, 2, Stream(1, "").at())
    assert torch.equal(moved, moved[:, :1, :1].expand_as(moved))
    assert torch.equal(moved.flatten(1).sort(1).values, images.flatten(1).sort(1).values)
    places = torch.stack([(event[0, 0] == one[n].max()).nonzero()[0] for n, event in enumerate(moved)])
    assert not torch.equal(moved, images)
    assert len(places.unique(dim=0)) > 10
    assert torch.equal(translated(images, 0, Stream(1, "").at()), images)
