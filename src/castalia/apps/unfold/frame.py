"""The azimuth that an event's angles are relative to, so that a model need not learn that detectors are round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError

__all__ = ["Frame"]

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Frame:
    """Turns events about the beam.

    Attributes:
        layout: What is measured; its angles are the variables of ``transform = "angle"``.
        sources: The angles that become 0, in the order of preference; nothing is turned where there are none.

    Raises:
        ConfigError: If a source is no angle of the layout.
    """

    layout: Layout
    sources: Sequence[str]

    def __post_init__(self) -> None:
        known = [*_angles(self.layout.condition)]
        for name, variables in self.layout.condition_objects.items():
            known += [f"{name}.{angle}" for angle in _angles(variables)]
        for source in self.sources:
            if source not in known:
                raise ConfigError(
                    f"[truth] frame names {source!r}, which is no measured angle; choose from "
                    f"{', '.join(known) or 'none'}, or declare it with transform = \"angle\"."
                )

    def azimuth(self, arrays: FeatureArrays) -> Floats:
        """Return the angle of each event that is to become 0, in rad, shape ``(rows,)``.

        The leading object of a list is that with the largest first variable, such as pt. An event that has none of the
        sources stays as it is.
        """
        result = np.zeros(len(arrays.row))
        for source in reversed(self.sources):
            name, _, variable = source.rpartition(".")
            if not name:
                place = _angles(self.layout.condition)[source]
                result = arrays.condition[:, place]
                continue
            one = arrays.objects[name]
            if not one.mask.shape[1]:
                continue
            leading = np.where(one.mask, one.values[..., 0], -np.inf).argmax(axis=1)
            values = one.values[np.arange(len(leading)), leading, _angles(self.layout.condition_objects[name])[variable]]
            result = np.where(one.mask.any(axis=1), values, result)
        return np.asarray(result, dtype=np.float64)

    def turned(self, arrays: FeatureArrays, azimuth: Floats) -> FeatureArrays:
        """Return what was measured with every angle relative to ``azimuth``, from -pi to pi; the target as it is."""
        if not self.sources:
            return arrays
        condition = _turned(arrays.condition, self.layout.condition, azimuth)
        objects = {
            name: ObjectArrays(_turned(one.values, self.layout.condition_objects[name], azimuth[:, None]), one.mask)
            for name, one in arrays.objects.items()
        }
        return replace(arrays, condition=condition, objects=objects)


def _angles(variables: Sequence[Variable]) -> dict[str, int]:
    return {variable.name: place for place, variable in enumerate(variables) if variable.transform == "angle"}


def _turned(values: Floats, variables: Sequence[Variable], azimuth: Floats) -> Floats:
    result = values.copy()
    for place in _angles(variables).values():
        result[..., place] = np.mod(values[..., place] - azimuth + np.pi, 2.0 * np.pi) - np.pi
    return result
