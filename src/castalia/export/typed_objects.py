"""Typed objects inside the graph: what networks see of them and of pairs, from physical units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from castalia.data.typed_objects import OBJECT_FEATURES
from castalia.estimators.classification.kinematics import Kinematics
from castalia.estimators.pair_features import LEAST, PairFeatures
from castalia.export.graph import BOOL, FLOAT32, Graph, Value

__all__ = ["GraphObjects", "pair_features", "read_objects", "scaled_objects"]

_OBJECTS, _FEATURES = np.array([1]), np.array([2])


@final
@dataclass(frozen=True)
class GraphObjects:
    """The objects of some events, each value of shape ``(events, N, 1)`` and zero where none exists.

    Attributes:
        pt: Transverse momenta in GeV.
        eta: Pseudorapidities.
        phi: Azimuths in radians.
        mass: Masses in GeV.
        types: Numbers of the types.
        there: Whether an object exists.
        marker: Zero, or NaN for an event with an object whose features are not finite or whose type is not known: what
            the networks of an event can swallow, and what is added to it cannot; shape ``(events,)``.
    """

    pt: Value
    eta: Value
    phi: Value
    mass: Value
    types: Value
    there: Value
    marker: Value

    def relative(self) -> GraphObjects:
        """Return azimuths relative to the leading object; see ``ObjectTensors.relative``."""
        first = self.there.op("Where", self.types, np.inf).op("ReduceMin", _OBJECTS, keepdims=1)
        candidates = self.there.op("And", self.types.op("Equal", first))
        leading = candidates.op("Where", self.pt, -np.inf).op("ArgMax", axis=1, keepdims=1)
        turned = self.phi - self.phi.op("GatherElements", leading, axis=1)
        return replace(self, phi=self.there.op("Where", turned, 0.0))


def read_objects(graph: Graph, types: int, spare: int) -> GraphObjects:
    """Declare the inputs ``objects``, shape ``(events, N, 5)``, and ``mask``, shape ``(events, N)``.

    Args:
        graph: The graph.
        types: Number of types.
        spare: Places without an object that are put behind those given: with one, no axis is ever empty.
    """
    given = graph.declare("objects", FLOAT32, "objects", len(OBJECT_FEATURES))
    mask = graph.declare("mask", BOOL, "objects")
    there = mask.op("Pad", np.array([0, 0, 0, spare])).op("Unsqueeze", _FEATURES)
    values = there.op("Where", given.op("Pad", np.array([0, 0, 0, 0, spare, 0])), 0.0)
    pt, eta, phi, mass, kind = values.split([1] * len(OBJECT_FEATURES), axis=2)
    kind = kind.op("Round")
    known = kind.op("GreaterOrEqual", 0.0).op("And", kind.op("LessOrEqual", types - 1.0))
    marker = _added(values * 0.0) + _added(known.op("Where", 0.0, np.nan))
    return GraphObjects(pt, eta, phi, mass, kind, there, marker)


def scaled_objects(kinematics: Kinematics, objects: GraphObjects) -> Value:
    """Return the features of objects, shape ``(events, N, 5)``; see ``Kinematics.objects``."""
    pt = objects.pt.op("Sign") * _log10(objects.pt.op("Abs") + 1.0)
    mass = _log10(objects.mass.op("Max", 0.0) + 1.0)
    columns = pt, objects.eta, objects.phi.op("Sin"), objects.phi.op("Cos"), mass
    features = pt.graph.add("Concat", *columns, axis=2)
    return (features - kinematics.mean) / kinematics.deviation * objects.there.op("Cast", to=FLOAT32)


def pair_features(scaling: PairFeatures, objects: GraphObjects) -> tuple[Value, Value]:
    """Return the features of all pairs, see ``PairFeatures.forward``, and the marker of those that are not finite.

    Returns:
        Shapes ``(events, N, N, 4)`` and ``(events,)``.
    """
    turned, apart = _difference(objects.phi), _difference(objects.eta)
    across = turned - 2 * math.pi * (turned / (2 * math.pi) + 0.5).op("Floor")
    distance = (apart * apart + across * across).op("Sqrt")
    size = objects.pt.op("Abs")
    softer = _receiver(size).op("Min", _sender(size))
    pair_mass = _squared_masses(size, objects.mass * objects.mass, objects.eta, apart, turned).op("Sqrt")
    columns = _log10(pair_mass + 1.0), _log10(softer * distance + 1.0), distance, turned.op("Cos")
    features = (turned.graph.add("Concat", *columns, axis=3) - scaling.mean) / scaling.deviation
    both = _receiver(objects.there).op("And", _sender(objects.there)).op("Cast", to=FLOAT32)
    features = features * both
    return features, _added(features * 0.0)


def _squared_masses(pt: Value, mass: Value, eta: Value, apart: Value, turned: Value) -> Value:
    """Return the squared mass of each pair, computed as where the model was trained; see ``PairFeatures``."""
    cosh = (eta.op("Exp") + (-eta).op("Exp")) * 0.5
    momentum = pt * cosh * (pt * cosh)
    energy = momentum + mass
    both = _product(energy).op("Sqrt") + _product(momentum).op("Sqrt")
    heavy = _receiver(mass) * _sender(energy) + _receiver(momentum) * _sender(mass)
    along, across = (apart * 0.5).op("Sinh"), (turned * 0.5).op("Sin")
    opening = _product(pt) * (along * along + across * across)
    return _sum(mass) + 2.0 * heavy / both.op("Max", LEAST) + 4.0 * opening


def _receiver(values: Value) -> Value:
    return values.op("Unsqueeze", np.array([2]))


def _sender(values: Value) -> Value:
    return values.op("Unsqueeze", np.array([1]))


def _product(values: Value) -> Value:
    return _receiver(values) * _sender(values)


def _sum(values: Value) -> Value:
    return _receiver(values) + _sender(values)


def _difference(values: Value) -> Value:
    return _receiver(values) - _sender(values)


def _log10(values: Value) -> Value:
    return values.op("Log") / math.log(10)


def _added(values: Value) -> Value:
    """Sum over all axes but the events."""
    return values.op("Flatten", axis=1).op("ReduceSum", _OBJECTS, keepdims=0)
