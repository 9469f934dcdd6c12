"""Toy events of typed objects: two jets of one particle beside what is the same in both classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays, events_from_array
from castalia.estimators.base import Batch, Estimator, Events, ObjectSet
from castalia.estimators.registry import build
from castalia.rng import Stream

TYPES, CLASSES, RELATIONS = 3, 2, 2
OBJECTS = (
    Variable("pt", "GeV"),
    Variable("eta"),
    Variable("phi", "rad"),
    Variable("mass", "GeV"),
    Variable("type", integer=True, bounds=(-0.5, TYPES - 0.5)),
)
CLASS = Variable("class", integer=True, bounds=(-0.5, CLASSES - 0.5))
LAYOUT = Layout((Variable("ht", "GeV"),), (CLASS,), {"objects": OBJECTS})
_KINDS_OF_SLOTS = np.array([0, 1, 1, 1, 2])  # a lepton, three jets, missing momentum

_TRANSFORMER = {"width": 8, "heads": 2, "blocks": 2}
_GRAPH = {"width": 8, "heads": 2, "blocks": 1, "event_blocks": 1}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "transformer": ("transformer_classifier", {"backbone": _TRANSFORMER}),
    "paper": ("transformer_classifier", {"backbone": {**_TRANSFORMER, "pairwise": False, "relative": False}}),
    "graph": ("graph_classifier", {"backbone": _GRAPH}),
    "decay aware": (
        "graph_classifier",
        {"backbone": {**_GRAPH, "pairwise": False}, "decay_weight": 0.5, "relations": RELATIONS, "left_out": [[0, 2]]},
    ),
    "dense": ("mlp_classifier", {"hidden": [16]}),
    "trees": ("boosted_trees", {"trees": 20, "depth": 3}),
}
NETWORKS = [kind for kind in KINDS if kind != "trees"]
WITH_BACKBONE = [kind for kind in KINDS if kind not in ("trees", "dense")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs for each ``kind`` of classifier that it names, each ``network``, or each with a ``backbone``."""
    for name, kinds in (("kind", KINDS), ("network", NETWORKS), ("backbone", WITH_BACKBONE)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, list(kinds))


def toy(count: int, seed: int = 1) -> Batch:
    """Return events whose second and third jet are the daughters of one particle, wider apart in the second class.

    The two share the first relation; the lepton and the missing momentum share the second.
    """
    rng = Stream(seed, "classification toy").at()
    label = rng.integers(0, CLASSES, count)
    pt = 20 + rng.exponential(40, (count, 5))
    pt[:, 1:4] *= np.where(label == 1, 1.6, 1.0)[:, None]
    eta, phi = rng.normal(0, 1.2, (count, 5)), rng.uniform(-math.pi, math.pi, (count, 5))
    phi[:, 3] = phi[:, 2] + np.where(label == 1, 1.2, 0.5) + 0.2 * rng.standard_normal(count)
    eta[:, 3] = eta[:, 2] + 0.3 * rng.standard_normal(count)
    mass = np.where(_KINDS_OF_SLOTS == 1, 0.1 * pt, 0.1)
    eta[:, 4] = mass[:, 4] = 0
    values = np.stack([pt, eta, phi, mass, np.broadcast_to(_KINDS_OF_SLOTS, pt.shape)], axis=-1)
    mask = rng.random((count, 5)) < 0.85
    ancestry = np.zeros((count, 5, RELATIONS))
    ancestry[:, [2, 3], 0], ancestry[:, [0, 4], 1] = 4, 7
    batch = batch_from_arrays(
        pt.sum(1, keepdims=True), label[:, None], objects={"objects": ObjectArrays(values, mask)}, dtype=torch.float64
    )
    shared = ObjectSet(torch.from_numpy(ancestry), batch.condition.objects["objects"].mask)
    return Batch(batch.condition, Events(batch.target.flat, {"ancestry": shared}), batch.weight, batch.index)


def with_objects(events: Events, values: torch.Tensor, mask: torch.Tensor) -> Events:
    """Return events with other objects."""
    return Events(events.flat, {"objects": ObjectSet(values, mask)})


@pytest.fixture
def make() -> Callable[..., tuple[Any, Batch]]:
    """Return a factory ``make(kind, count=400, **options)`` of a prepared float64 classifier in eval mode and events.

    All weights are changed at random, so that laws are not tested where they begin.
    """

    def factory(kind: str, count: int = 400, **options: Any) -> tuple[Estimator, Batch]:
        name, config = KINDS[kind]
        estimator, events = build(name, {**config, **options}, LAYOUT).double(), toy(count)
        estimator.prepare(events.chunks(150))
        rng = Stream(2, "scrambled weights").at()
        with torch.no_grad():
            for parameter in estimator.parameters():
                parameter += 0.2 * torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
        return estimator.eval(), events

    return factory


@pytest.fixture
def no_objects() -> Events:
    """Return three events without any object."""
    arrays = ObjectArrays(np.full((3, 5, 5), np.nan), np.zeros((3, 5), dtype=bool))
    return events_from_array(np.full((3, 1), 200.0), torch.float64, {"objects": arrays})
