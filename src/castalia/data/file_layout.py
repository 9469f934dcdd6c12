"""Layouts of known files as TOML: which of their columns are what, and how their momenta become pt, eta, phi, mass.

A layout says what a file of another program holds, in the names that configurations use::

    [columns]                         # one number an event
    weight = "EventWeight"

    [objects.jet]                     # gives jet_pt, jet_eta, jet_phi, jet_mass and jet_btag
    px = "Jet_Px"                     # px and py give pt and phi, with pz eta, with the energy the mass
    py = "Jet_Py"
    pz = "Jet_Pz"
    energy = "Jet_E"
    btag = { column = "Jet_btag", above = 1.74 }

    [objects.muon]
    pt = ["pt1", "pt2"]               # columns side by side are a list of objects
    mass = 0.10566                    # the same for all

Layouts that ship with the package are in ``data/layouts``; a section ``[data.layout]`` of a configuration is another.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self, TypeAlias, final

import awkward as ak
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from castalia.data.strict import StrictModel
from castalia.data.table import Column, Table, jagged, jagged_parts
from castalia.errors import ConfigError, DataError
from castalia.physics.four_vectors import from_cartesian

__all__ = ["Cut", "FileLayout", "Recipe", "find_layout", "shipped_layouts"]

_CARTESIAN = ("px", "py", "pz", "energy")
# What two, three and four of them give.
_POLAR = ("pt", "phi", "eta", "mass")


class Cut(StrictModel):
    """A column that becomes 1 where it is above a number, else 0.

    Attributes:
        column: The column of the file.
        above: The number.
    """

    column: str = Field(min_length=1)
    above: float


Feature: TypeAlias = str | tuple[str, ...] | Cut | float
"""A column of the file, columns that are the objects of a list, a flag, or a number for all objects."""


@final
@dataclass(frozen=True)
class Recipe:
    """How a column is made.

    Attributes:
        sources: Columns of the file that it takes.
        make: From a table that has them, the column.
    """

    sources: tuple[str, ...]
    make: Callable[[Table], Column]


class FileLayout(StrictModel):
    """What the columns of a file are.

    Attributes:
        description: What the files are, for people.
        columns: Columns of one number an event, by the name they get.
        objects: Features of each collection of objects, or of the one object that every event has, by its name; the
            columns get the names ``COLLECTION_FEATURE``.
    """

    description: str = ""
    columns: dict[str, str | Cut] = {}
    objects: dict[str, dict[str, Feature]] = {}

    @model_validator(mode="after")
    def _whole_momenta(self) -> Self:
        for name, features in self.objects.items():
            given = [key for key in _CARTESIAN if key in features]
            if given != list(_CARTESIAN[: len(given)]) or len(given) == 1:
                raise ValueError(f"objects {name} has {', '.join(given)} only; give px, py, then pz, then energy")
            double = [polar for polar in _POLAR[: len(given)] if polar in features]
            if double:
                raise ValueError(f"objects {name} has {double[0]} beside px and py, which give it; keep one of them")
            if any(isinstance(features[key], int | float | Cut) for key in given):
                raise ValueError(f"objects {name} needs columns for px, py, pz and energy")
            if all(isinstance(value, int | float) for value in features.values()):
                raise ValueError(f"objects {name} has no column; name at least one")
        return self

    def recipes(self) -> dict[str, Recipe]:
        """Return how each column is made, by its name."""
        made = {name: _recipe(value, ()) for name, value in self.columns.items()}
        for name, features in self.objects.items():
            made |= {f"{name}_{feature}": recipe for feature, recipe in _object_recipes(features).items()}
        return made


def shipped_layouts() -> tuple[str, ...]:
    """Return the names of the layouts that come with the package."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml")))


def find_layout(layout: str | FileLayout) -> FileLayout:
    """Return a layout, looked up where it is the name of a shipped one.

    Raises:
        ConfigError: If there is none of that name; the message lists those there are.
    """
    if isinstance(layout, FileLayout):
        return layout
    if layout not in shipped_layouts():
        known = ", ".join(shipped_layouts())
        raise ConfigError(f"There is no layout {layout!r}; choose one of {known}, or write one as [data.layout].")
    return FileLayout.model_validate(tomllib.loads((_folder() / f"{layout}.toml").read_text(encoding="utf-8")))


def _folder() -> Any:
    return files("castalia.data") / "layouts"


def _object_recipes(features: Mapping[str, Feature]) -> dict[str, Recipe]:
    like = next(_sources(value) for value in features.values() if not isinstance(value, int | float))
    made = {name: _recipe(value, like) for name, value in features.items() if name not in _CARTESIAN}
    momentum = [_recipe(features[key], like) for key in _CARTESIAN if key in features]
    sources = tuple(source for one in momentum for source in one.sources)

    def polar(name: str) -> Callable[[Table], Column]:
        def make(table: Table) -> Column:
            return _elementwise(lambda *parts: _component(name, parts), *(one.make(table) for one in momentum))

        return make

    return {**{name: Recipe(sources, polar(name)) for name in _POLAR[: len(momentum)]}, **made}


def _component(name: str, parts: tuple[NDArray[Any], ...]) -> NDArray[np.float64]:
    """Return pt, eta, phi or mass of momenta of which the last components may be unknown, and do not matter then."""
    known = [np.asarray(part, dtype=np.float64) for part in parts]
    momentum = np.stack([*known, *[np.zeros_like(known[0])] * (4 - len(known))], axis=-1)
    pt, eta, phi, mass = from_cartesian(momentum)
    return {"pt": pt, "eta": eta, "phi": phi, "mass": mass}[name]


def _sources(value: Feature) -> tuple[str, ...]:
    match value:
        case str():
            return (value,)
        case tuple():
            return value
        case Cut():
            return (value.column,)
        case _:
            return ()


def _recipe(value: Feature, like: tuple[str, ...]) -> Recipe:
    """Say how one feature is made; a number is given as often as the columns ``like`` have values."""
    match value:
        case str():
            return Recipe((value,), lambda table: table[value])
        case tuple():
            return Recipe(value, lambda table: _side_by_side(table, value))
        case Cut():
            return Recipe((value.column,), lambda table: _elementwise(_flag(value.above), table[value.column]))
        case _:
            shape = _recipe(like if len(like) > 1 else like[0], ())
            return Recipe(shape.sources, lambda table: _elementwise(_constant(float(value)), shape.make(table)))


def _flag(above: float) -> Callable[[NDArray[Any]], NDArray[np.int8]]:
    return lambda values: (values > above).astype(np.int8)


def _constant(value: float) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    return lambda values: np.full(values.shape, value)


def _side_by_side(table: Table, names: tuple[str, ...]) -> Column:
    columns = [table[name] for name in names]
    for name, column in zip(names, columns, strict=True):
        if not isinstance(column, np.ndarray) or column.ndim != 1:
            raise DataError(f"column '{name}' is a list per event and cannot be one object of a list; name it alone.")
    return jagged(np.full(len(table), len(names)), np.column_stack(columns).reshape(-1))


def _elementwise(function: Callable[..., NDArray[Any]], *columns: Column) -> Column:
    """Apply a function of arrays of numbers to columns of any one shape."""
    if all(isinstance(column, np.ndarray) for column in columns):
        return function(*columns)
    if not all(isinstance(column, ak.Array) for column in columns):
        raise DataError("a layout takes lists and single numbers for the same momenta; name columns of one kind.")
    counts, values = zip(*(jagged_parts(column) for column in columns), strict=True)
    for other in counts[1:]:
        if not np.array_equal(other, counts[0]):
            row = int(np.flatnonzero(other != counts[0])[0])
            raise DataError(
                f"lists of one collection have {counts[0][row]} and {other[row]} values in row {row} of the table; "
                "give every object all its values."
            )
    return jagged(counts[0], function(*values))
