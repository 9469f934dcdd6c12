"""Small classifiers of every kind with measured scalings and random weights, and their exported models opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from exported_models import opened

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch
from castalia.estimators.classification.classifier import EventClassifier
from castalia.estimators.registry import build
from castalia.export.classifiers import classifier_model
from castalia.rng import Stream

TYPES, CLASSES = 4, 3
OBJECTS = (
    Variable("pt", "GeV"),
    Variable("eta"),
    Variable("phi", "rad"),
    Variable("mass", "GeV"),
    Variable("type", integer=True, bounds=(-0.5, TYPES - 0.5)),
)
FLAT = (Variable("ht", "GeV", transform="log"), Variable("thrust", "rad", transform="angle"), Variable("balance"))
CLASS = Variable("class", integer=True, bounds=(-0.5, CLASSES - 0.5))
WITH_FLAT, WITHOUT = (Layout(flat, (CLASS,), {"objects": OBJECTS}) for flat in (FLAT, ()))

_SMALL = {"transformer": {"width": 12, "heads": 3, "blocks": 2}, "graph": {"width": 12, "heads": 3, "blocks": 2}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    f"{kind}{' of pairs' if pairwise else ''}{', relative' if relative else ''}": (
        f"{kind}_classifier",
        {"backbone": {**small, "pairwise": pairwise, "relative": relative}},
    )
    for kind, small in _SMALL.items()
    for pairwise in (True, False)
    for relative in (True, False)
}
KINDS |= {
    "decay aware": ("graph_classifier", {"decay_weight": 0.5, "relations": 2, "backbone": _SMALL["graph"]}),
    "wider": ("transformer_classifier", {"backbone": {"width": 8, "heads": 1, "blocks": 1, "expansion": 3}}),
    "places": ("mlp_classifier", {"hidden": [16, 16]}),
    "few places": ("mlp_classifier", {"hidden": [16], "take": 1}),
}


@dataclass(frozen=True)
class Given:
    """Objects, mask and flat conditions of some events as a program stores them."""

    objects: np.ndarray
    mask: np.ndarray
    condition: np.ndarray

    def __getitem__(self, rows: Any) -> Given:
        return Given(self.objects[rows], self.mask[rows], self.condition[rows])

    def batch(self, dtype: torch.dtype = torch.float32, flat: bool = True) -> Batch:
        objects = {"objects": ObjectArrays(self.objects.astype(float), self.mask)}
        label = np.arange(len(self.mask)) % CLASSES
        condition = self.condition if flat else self.condition[:, :0]
        return batch_from_arrays(condition, label[:, None], objects=objects, dtype=dtype)


def some_events(count: int, most: int, unit: str = "events") -> Given:
    """Make events of 0 to ``most`` objects in any order and place, massless ones and ones without direction too."""
    rng = Stream(1, "exported classifiers", unit).at(most)
    kinds = rng.integers(0, TYPES, (count, most))
    pt = 5 + rng.exponential(60, kinds.shape)
    eta = np.where(kinds == 3, 0, rng.normal(0, 1.5, kinds.shape))
    mass = np.choose(kinds, [0.1057, 0.1 * pt, rng.exponential(8, kinds.shape), 0])
    objects = np.stack([pt, eta, rng.uniform(-math.pi, math.pi, kinds.shape), mass, kinds], axis=2)
    number = rng.integers(0, most + 1, (count, 1))
    mask = rng.permuted(np.broadcast_to(np.arange(most), kinds.shape), axis=1) < number
    flat = [50 + rng.exponential(200, count), rng.uniform(-math.pi, math.pi, count), rng.normal(0, 1, count)]
    return Given(objects.astype(np.float32), mask, np.stack(flat, axis=1).astype(np.float32))


@dataclass(frozen=True)
class ExportedClassifier:
    """A classifier and its ONNX model."""

    model: EventClassifier
    session: onnxruntime.InferenceSession

    def exported(self, given: Given) -> np.ndarray:
        """Probabilities by ONNX Runtime."""
        inputs = {"objects": given.objects, "mask": given.mask}
        if self.model.layout.condition:
            inputs["condition"] = given.condition
        return self.session.run(["probabilities"], inputs)[0]

    def expected(self, given: Given) -> np.ndarray:
        """Probabilities as `castalia classify predict` computes them."""
        batch = given.batch(self.model.temperature.dtype, bool(self.model.layout.condition))
        with torch.inference_mode():
            return torch.softmax(self.model.logits(batch.condition).double(), dim=1).numpy()


def made(kind: str, layout: Layout, dtype: torch.dtype = torch.float32) -> EventClassifier:
    """Prepare a classifier on 2,000 events, and change all of its weights and the temperature."""
    model = build(*KINDS[kind], layout)
    assert isinstance(model, EventClassifier)
    events = some_events(2000, 8, "preparation").batch(flat=bool(layout.condition))
    if getattr(model, "relation_head", None) is not None:
        model.relation_head = None  # needs ancestors, and has no part in the classes
    model.prepare([events])
    rng = Stream(2, "exported classifiers").at()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.from_numpy(rng.standard_normal(tuple(parameter.shape), dtype="float32"))
        model.temperature.fill_(1.4)
    return model.to(dtype).eval()


def open_exported(model: EventClassifier) -> ExportedClassifier:
    return ExportedClassifier(model, opened(classifier_model(model, {})))
