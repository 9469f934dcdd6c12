"""What the columns of a model's arrays mean: the layout that a table is turned into and an estimator is built for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Decays", "Layout", "Variable"]


@dataclass(frozen=True)
class Variable:
    """One column of a condition or target array, always in physical units.

    Attributes:
        name: Unique within its side, such as ``"photon_et_1"`` or ``"mu"``.
        unit: Unit as declared, empty for a pure number.
        transform: ``"log"`` for a positive, steeply falling variable, ``"angle"`` for one in radians whose ends meet;
            the estimator applies it, not the data floor.
        bounds: Open physical interval that the variable cannot leave, or ``None``.
        integer: True for a counted variable; estimators dequantise it.
        peaks: True where few values were made continuous by noise: no smooth map makes such a distribution normal.
        scale: Typical size in ``unit`` where the user fixed one (the paper scales by constants), or ``None``.
        group: Base name shared by the same quantity of several objects (``"et"`` of ``photon_et_1``), or the name.
        object_index: Which object of the collection it belongs to, from 0, or ``None`` for a per-event variable.
    """

    name: str
    unit: str = ""
    transform: Literal["none", "log", "angle"] = "none"
    bounds: tuple[float, float] | None = None
    integer: bool = False
    peaks: bool = False
    scale: float | None = None
    group: str = ""
    object_index: int | None = None


@dataclass(frozen=True)
class Decays:
    """What targets are coordinates of, by their names: the momenta of particles, and of what they are decays of.

    A resonance NAME, and a particle in none, has ``NAME_px``, ``NAME_py`` (GeV) and ``NAME_rapidity``; of several
    resonances the last has ``NAME_px_of_all``, the sum of all, and the others ``NAME_px_less_share``, their own less an
    equal share of it, likewise in y. Every composite has ``NAME_mass`` (GeV), and ``NAME_u`` and ``NAME_v``, the
    direction of its first daughter in its rest frame (``castalia.physics.decay_coordinates``).

    Attributes:
        composites: The two daughters of each composite, mothers first.
        masses: A typical mass of each particle that does not decay, in GeV, in the order of arrays; that of an event is
            the target ``NAME_mass``, where there is one.
        leading: Of particles that are the object with the largest pt of the first list that has any: these lists.
    """

    composites: Mapping[str, tuple[str, str]]
    masses: Mapping[str, float]
    leading: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The ordered variables of both sides.

    Attributes:
        condition: Columns of the condition array, shape ``(events, len(condition))``.
        target: Columns of the target array, shape ``(events, len(target))``; object by object, then variable.
        condition_objects: Features of the objects in each list of the condition, by the list's name: the columns of
            arrays of shape ``(events, objects, len(features))``. Empty where the condition has no lists.
        places: Targets that say which object of a list something is, by their name the list's: counted from 0, and -1
            for none of them. Few estimators take such targets.
        decays: What the targets are coordinates of, where an estimator may make use of that.
    """

    condition: tuple[Variable, ...]
    target: tuple[Variable, ...]
    condition_objects: Mapping[str, tuple[Variable, ...]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    decays: Decays | None = None

    @property
    def objects(self) -> int:
        """Number of objects whose variables make up the target (1 where nothing is per object)."""
        indices = {v.object_index for v in self.target if v.object_index is not None}
        return max(len(indices), 1)
