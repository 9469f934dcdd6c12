"""Features of objects and pairs against their definitions, and the frame of the leading object."""

from __future__ import annotations

import math

import numpy as np
import torch

from castalia.data.feature_arrays import ObjectArrays
from castalia.estimators.arrays import events_from_array
from castalia.estimators.classification.kinematics import Kinematics
from castalia.estimators.classification.object_tensors import ObjectTensors, object_tensors
from castalia.estimators.classification.slots import hardest_of_each_type

from .conftest import TYPES, toy


def _objects(*rows: tuple[float, float, float, float, int]) -> ObjectTensors:
    arrays = ObjectArrays(np.array([rows], dtype=float), np.ones((1, len(rows)), dtype=bool))
    return object_tensors(
        events_from_array(np.zeros((1, 0)), torch.float64, {"objects": arrays}), TYPES, torch.ones(1).double()
    )


def test_features_of_an_object():
    found = Kinematics().double().objects(_objects((99, 1.5, math.pi / 2, 9, 0), (-9, 0, 0, 0, 1)))[0]
    expected = torch.tensor([[2, 1.5, 1, 0, 1], [-1, 0, 0, 1, 0]], dtype=torch.float64)
    assert torch.allclose(found, expected, atol=1e-12)


def test_scaled_features_have_mean_zero_and_variance_one_over_what_exists():
    batch = toy(2000)
    objects = object_tensors(batch.condition, TYPES, torch.ones(1).double())
    kinematics = Kinematics().double()
    for piece in batch.chunks(300):
        kinematics.update(object_tensors(piece.condition, TYPES, torch.ones(1).double()), piece.weight)
    kinematics.finish()
    values = kinematics.objects(objects)[objects.mask][:, [0, 1, 4]]
    assert torch.allclose(values.mean(0), torch.zeros(3).double(), atol=1e-5)
    assert torch.allclose(values.std(0, correction=0), torch.ones(3).double(), atol=1e-5)
    both = objects.mask[:, :, None] & objects.mask[:, None] & ~torch.eye(5, dtype=torch.bool)
    pairs = kinematics.pairs(objects)[both]
    assert torch.allclose(pairs.mean(0), torch.zeros(4).double(), atol=1e-5)
    assert torch.allclose(pairs.std(0, correction=0), torch.ones(4).double(), atol=1e-5)


def test_the_frame_is_that_of_the_hardest_object_of_the_first_type_there_is():
    objects = _objects((90, 0, 1.0, 0, 2), (30, 0, 2.0, 0, 1), (40, 0, 3.0, 0, 1))
    assert torch.allclose(objects.relative().phi, torch.tensor([[-2.0, -1.0, 0.0]], dtype=torch.float64))


def test_the_hardest_of_each_type_stand_in_order():
    objects = _objects((90, 0, 1, 0, 2), (30, 0, 2, 0, 1), (40, 0, 3, 0, 1), (50, 0, 4, 0, 1))
    placed = hardest_of_each_type(objects, TYPES, 2)
    assert placed.pt.tolist() == [[0, 0, 50, 40, 90, 0]]
    assert placed.mask.tolist() == [[False, False, True, True, True, False]]
    assert placed.types.tolist() == [[0, 0, 1, 1, 2, 2]]
    assert hardest_of_each_type(objects, TYPES, 6).pt.shape == (1, 18)  # more places than objects
