"""Trained classifiers of events as ONNX models: from lists of typed objects to the probability of each class."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from castalia.errors import ConfigError
from castalia.estimators.base import Estimator
from castalia.estimators.classification.backbone import Backbone, GraphBackbone, TransformerBackbone
from castalia.estimators.classification.classifier import EventClassifier
from castalia.estimators.classification.dense import MLPClassifier
from castalia.estimators.classification.networks import GraphClassifier, TransformerClassifier
from castalia.estimators.scaling import ConditionScaling
from castalia.export.attention import attention_block, graph_attention_block, normalised, on_each, projected
from castalia.export.graph import FLOAT32, Graph, Value
from castalia.export.networks import evaluate, linear
from castalia.export.scalings import scale_conditions
from castalia.export.typed_objects import GraphObjects, pair_features, read_objects, scaled_objects

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["classifier_model"]

_OBJECTS = np.array([1])


def classifier_model(estimator: Estimator, metadata: Mapping[str, str]) -> ModelProto:
    """Write down the probabilities of a classifier, its temperature included.

    Inputs are ``objects``, float32 of shape ``(events, N, 5)``: pt (GeV), eta, phi (rad), mass (GeV) and number of the
    type of each object; ``mask``, bool of shape ``(events, N)``, true where an object exists; and, where the model has
    variables of whole events, ``condition``, float32 of shape ``(events, C)`` in physical units. The output is
    ``probabilities``, float32 of shape ``(events, classes)``. The numbers of events and of objects are free, 0
    included. What stands where no object exists changes nothing, nor does the order of the objects. An event with a
    value that is not finite, a type that is not known or no logarithm where one is taken gets NaN.

    Args:
        estimator: A trained classifier.
        metadata: What is stored beside it.

    Raises:
        ConfigError: If there is no graph for this estimator, or the library is missing.
    """
    if not isinstance(estimator, EventClassifier):
        raise _unknown(estimator)
    model = copy.deepcopy(estimator).float()
    graph = Graph("classifier")
    match model:
        case TransformerClassifier() | GraphClassifier():
            scores, marker = _of_network(graph, model)
        case MLPClassifier():
            scores, marker = _of_places(graph, model)
        case _:
            raise _unknown(model)
    probability = (scores / model.temperature).op("Softmax", axis=0) + marker
    text = "The probability of each class where all are equally frequent, given the objects of an event."
    return graph.to_onnx({"probabilities": (probability, model.classes)}, metadata, text)


def _of_network(graph: Graph, model: TransformerClassifier | GraphClassifier) -> tuple[Value, Value]:
    """Return scores, shape ``(classes, events)``, and the marker of those without any, shape ``(events,)``."""
    objects = read_objects(graph, model.types, spare=1)
    marker, token = objects.marker, None
    if isinstance(model.flat_token, nn.Linear):
        flat, wrong = _flat(graph, model.flat)
        marker = marker + wrong
        token = linear(model.flat_token.weight, flat, model.flat_token.bias).op("Transpose", perm=[1, 0])
    event, of_pairs = _encoded(model.backbone, objects, token)
    scores = linear(model.head.weight, event, model.head.bias)
    return scores, marker if of_pairs is None else marker + of_pairs


def _encoded(backbone: Backbone, objects: GraphObjects, token: Value | None) -> tuple[Value, Value | None]:
    """Return the vector of each event, shape ``(width, events)``, and a marker of pairs; see ``Backbone.forward``.

    The spare place is where the token stands, shape ``(events, width)``. Without one, an event without objects attends
    to that place, so that nothing is divided by zero.
    """
    if backbone.config.relative:
        objects = objects.relative()
    kinds = objects.types.op("Equal", np.arange(backbone.types, dtype=np.float32))
    kinds = kinds.op("And", objects.there).op("Cast", to=FLOAT32)
    features = kinds.graph.add("Concat", scaled_objects(backbone.kinematics, objects), kinds, axis=2)
    elements = normalised(backbone.normal, projected(backbone.embedding.weight, features, backbone.embedding.bias))
    count = objects.there.op("Cast", to=FLOAT32).op("ReduceSum", _OBJECTS, keepdims=1)
    empty = count.op("Less", 0.5)
    counted = objects.there
    if token is None:
        seen = _in_spare_place(counted, empty)
    else:
        elements = _in_spare_place(elements, token.op("Unsqueeze", _OBJECTS))
        seen = counted = _in_spare_place(counted, empty.op("Or", np.array(True)))
        count = count + 1.0
    pairs, marker = None, None
    if backbone.config.pairwise:
        pairs, marker = pair_features(backbone.kinematics.between, objects)
    absent = seen.op("Where", 0.0, -np.inf).op("Unsqueeze", _OBJECTS).op("Transpose", perm=[0, 1, 3, 2])
    elements = _attended(backbone, elements, absent, pairs)
    share = counted.op("Cast", to=FLOAT32) / count.op("Max", 1.0)
    event = (elements * share).op("ReduceSum", _OBJECTS, keepdims=0).op("Transpose", perm=[1, 0])
    return event, marker


def _attended(backbone: Backbone, elements: Value, absent: Value, pairs: Value | None) -> Value:
    """Let elements see one another, and return what the event is the mean of; see ``Backbone.encode``.

    Args:
        backbone: The backbone.
        elements: Shape ``(events, N, width)``.
        absent: Minus infinity for an element that is not seen and else zero, shape ``(events, 1, 1, N)``.
        pairs: Features of each pair, shape ``(events, N, N, 4)``, where the backbone sees any.
    """
    blocks: list[Any]
    match backbone:
        case TransformerBackbone():
            blocks, biases = list(backbone.blocks), [absent] * len(backbone.blocks)
            if backbone.bias is not None and pairs is not None:
                together = on_each(backbone.bias, pairs).op("Transpose", perm=[0, 3, 1, 2])
                biases = [bias + absent for bias in together.split([backbone.heads] * len(blocks), axis=1)]
            for block, bias in zip(blocks, biases, strict=True):
                elements = attention_block(block, elements, bias)
        case GraphBackbone():
            blocks = [*backbone.blocks, *backbone.event_blocks]
            for block in blocks:
                elements = graph_attention_block(block, elements, absent, pairs)
        case _:
            raise _unknown(backbone)
    return normalised(backbone.last, elements)


def _in_spare_place(values: Value, last: Value) -> Value:
    """Put ``last``, shape ``(events, 1, features)``, in the place of the last object."""
    return values.graph.add("Concat", values.op("Slice", np.array([0]), np.array([-1]), _OBJECTS), last, axis=1)


def _of_places(graph: Graph, model: MLPClassifier) -> tuple[Value, Value]:
    """Return scores and the marker, as ``_of_network``; see ``hardest_of_each_type``."""
    take = model.config.take
    objects = read_objects(graph, model.types, spare=take).relative()
    features, marker = scaled_objects(model.kinematics, objects), objects.marker
    places, filled = [], []
    for kind in range(model.types):
        of_type = objects.there.op("And", objects.types.op("Equal", float(kind)))
        hardness = of_type.op("Where", objects.pt, -np.inf)
        hardest, place = graph.add_all("TopK", 2, hardness, np.array([take]), axis=1)
        places.append(place)
        filled.append(hardest.op("Greater", -np.inf).op("Cast", to=FLOAT32))
    place, there = (graph.add("Concat", *values, axis=1) for values in (places, filled))
    everywhere = place.op("Expand", np.array([1, 1, len(model.kinematics.mean)]))
    placed = features.op("GatherElements", everywhere, axis=1) * there
    count = model.types * take
    columns = placed.reshape(0, count * len(model.kinematics.mean)), there.reshape(0, count)
    inputs = [values.op("Transpose", perm=[1, 0]) for values in columns]
    if model.flat.variables:
        flat, wrong = _flat(graph, model.flat)
        inputs, marker = [*inputs, flat], marker + wrong
    return evaluate(model.network, graph.join(inputs)), marker


def _flat(graph: Graph, scaling: ConditionScaling) -> tuple[Value, Value]:
    """Declare the input ``condition``; return its scaled features, shape ``(width, events)``, and its marker."""
    scaled, marker = scale_conditions(scaling, graph.input("condition", len(scaling.variables)))
    return scaled, marker.reshape(-1)


def _unknown(module: nn.Module) -> ConfigError:
    return ConfigError(
        f"A {type(module).__name__} cannot be exported; train a classifier of the preset classify, decay_aware or mlp."
    )
