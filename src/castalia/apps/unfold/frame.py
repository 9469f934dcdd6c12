"""The measured object that an event's coordinates are relative to: a model need not learn that detectors are round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError

__all__ = ["Frame", "Reference", "momentum_places"]

Floats = NDArray[np.float64]

_NEEDED: Final = ("pt", "eta", "phi")


@final
@dataclass(frozen=True)
class Reference:
    """The object that each event is relative to; 1 GeV along the x axis where there is none.

    Attributes:
        pt: Transverse momentum in GeV, shape ``(rows,)``.
        eta: Pseudorapidity, likewise.
        phi: Azimuth in rad, likewise.
    """

    pt: Floats
    eta: Floats
    phi: Floats


@final
@dataclass(frozen=True)
class Frame:
    """Finds the object that an event is relative to, and turns what was measured about the beam.

    Attributes:
        layout: What is measured; its angles are the variables of ``transform = "angle"``.
        lists: Lists whose leading object is looked for, in the order of preference; nothing is turned without any.

    Raises:
        ConfigError: If a list is none of the layout's, or lacks pt, eta or an angle phi.
    """

    layout: Layout
    lists: Sequence[str]

    def __post_init__(self) -> None:
        for name in self.lists:
            momentum_places(self.layout, name, "frame")

    def reference(self, arrays: FeatureArrays) -> Reference:
        """Return the object with the largest pt of the first list in which an event has one."""
        found = np.tile([1.0, 0.0, 0.0], (len(arrays.row), 1))
        for name in reversed(self.lists):
            places = momentum_places(self.layout, name, "frame")
            one = arrays.objects[name]
            if not one.mask.shape[1]:
                continue
            leading = np.where(one.mask, one.values[..., places[0]], -np.inf).argmax(axis=1)
            values = one.values[np.arange(len(leading)), leading][:, places]
            found = np.where(one.mask.any(axis=1, keepdims=True), values, found)
        return Reference(*found.T)

    def found(self, arrays: FeatureArrays) -> NDArray[np.bool_]:
        """Flag events that have such an object; all where none is looked for."""
        there = [arrays.objects[name].mask.any(axis=1) for name in self.lists]
        return np.logical_or.reduce(there) if there else np.ones(len(arrays.row), dtype=np.bool_)

    def turned(self, arrays: FeatureArrays, reference: Reference) -> FeatureArrays:
        """Return what was measured with every angle relative to the reference, from -pi to pi; the target as it is."""
        if not self.lists:
            return arrays
        condition = _turned(arrays.condition, self.layout.condition, reference.phi)
        objects = {
            name: ObjectArrays(
                _turned(one.values, self.layout.condition_objects[name], reference.phi[:, None]), one.mask
            )
            for name, one in arrays.objects.items()
        }
        return replace(arrays, condition=condition, objects=objects)


def momentum_places(layout: Layout, name: str, key: str) -> list[int]:
    """Return where a list has pt, eta and phi.

    Args:
        layout: What is measured.
        name: Name of the list.
        key: Key of ``[truth]`` that names it, for messages.

    Raises:
        ConfigError: If there is no such list, or it lacks one of them.
    """
    variables = layout.condition_objects.get(name)
    if variables is None:
        known = ", ".join(layout.condition_objects) or "none"
        raise ConfigError(f"[truth] {key} names {name!r}, which is no list; choose from {known}.")
    names = [variable.name for variable in variables]
    if not set(names).issuperset(_NEEDED) or "phi" not in _angles(variables):
        raise ConfigError(
            f"[truth] {key} names {name!r}, which needs the variables pt, eta, and phi with "
            f'transform = "angle"; it has {", ".join(sorted(names))}.'
        )
    return [names.index(what) for what in _NEEDED]


def _angles(variables: Sequence[Variable]) -> dict[str, int]:
    return {variable.name: place for place, variable in enumerate(variables) if variable.transform == "angle"}


def _turned(values: Floats, variables: Sequence[Variable], azimuth: Floats) -> Floats:
    result = values.copy()
    for place in _angles(variables).values():
        result[..., place] = np.mod(values[..., place] - azimuth + np.pi, 2.0 * np.pi) - np.pi
    return result
