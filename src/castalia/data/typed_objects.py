"""Objects of several types in one list: a lepton, b jets, light jets, missing momentum, each with a mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from castalia.data.feature_arrays import Floats, ObjectArrays
from castalia.data.layout import Variable
from castalia.data.objects import ObjectOrder
from castalia.data.schema import ColumnSpec, Need
from castalia.data.strict import StrictModel
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError

__all__ = ["ANCESTRY", "OBJECTS", "OBJECT_FEATURES", "UNITS", "EventColumns", "TypedObject", "TypedObjects"]

OBJECTS = "objects"
"""Name of the list of typed objects among those of a condition."""

ANCESTRY = "ancestry"
"""Name of the list with the numbers of the ancestors of the same objects within their event, 0 for none."""

UNITS = {"pt": "GeV", "eta": "", "phi": "rad", "mass": "GeV"}
"""What is read of every object, with units: the endings of its columns, and the first features in their order."""

# What is far from any particle stands for something that is missing; a rounded mass may be a little below 0.
_RANGES: Final[dict[str, tuple[float, float]]] = {"eta": (-20.0, 20.0), "mass": (-1.0, 14_000.0)}

OBJECT_FEATURES = (*UNITS, "type")
"""Features of an object: its momentum, 0 for what it has not, and the number of its type."""


class EventColumns(StrictModel):
    """The columns of an object of which every event has one.

    Attributes:
        pt: Transverse momentum in GeV.
        phi: Azimuth in rad.
        eta: Pseudorapidity; ``None`` where it has none, as missing momentum.
        mass: Mass in GeV; ``None`` where it has none.
    """

    pt: str
    phi: str
    eta: str | None = None
    mass: str | None = None


class TypedObject(StrictModel):
    """A section ``[objects.TYPE]``: which objects of an event are of this type.

    Attributes:
        collections: Lists that they are taken from: ``"jet"`` stands for the columns ``jet_pt`` (GeV), ``jet_eta``,
            ``jet_phi`` (rad) and ``jet_mass`` (GeV).
        where: What a column of a collection must be for its objects to be taken, such as ``jet_btag = 1``.
        take: How many are taken at most, those of largest transverse momentum over all collections first.
        columns: Columns of an object that every event has, instead of collections.
    """

    collections: tuple[str, ...] = ()
    where: dict[str, int] = {}
    take: int = Field(default=1, ge=1, le=50)
    columns: EventColumns | None = None

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if bool(self.collections) == (self.columns is not None):
            raise ValueError("give either collections, for objects in lists, or columns, for one object an event")
        if len(set(self.collections)) < len(self.collections):
            raise ValueError(f"collections {list(self.collections)} name one twice; keep one")
        if self.columns is not None and (self.where or self.take != 1):
            raise ValueError("where and take are for collections; with columns every event has one object")
        for column in self.where:
            if not any(column.startswith(f"{collection}_") for collection in self.collections):
                raise ValueError(
                    f"where names '{column}', which is no column of {', '.join(self.collections)}; "
                    f"write {self.collections[0]}_NAME"
                )
        return self

    def conditions(self, collection: str) -> dict[str, int]:
        """Return what columns of one of the collections must be."""
        owner = {
            column: max((one for one in self.collections if column.startswith(f"{one}_")), key=len)
            for column in self.where
        }
        return {column: value for column, value in self.where.items() if owner[column] == collection}


@final
@dataclass(frozen=True)
class TypedObjects:
    """The objects that a model sees of an event, type by type; each type has as many places as are taken of it.

    Args:
        types: Which objects are of each type, by its name, at least one.
        relations: Ending of the columns that number an object's ancestor of one kind within the event, 0 where it has
            none, by the relation's name.

    Raises:
        ConfigError: If there are no types, or relations without objects in lists.
    """

    types: Mapping[str, TypedObject]
    relations: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.types:
            raise ConfigError("[objects] is empty; declare at least one type of object, such as [objects.jet].")
        if self.relations and not any(one.collections for one in self.types.values()):
            raise ConfigError("[relations] are between objects in lists, but [objects] has none; take them away.")

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The features of an object: four of its momentum, 0 where it has none, and the number of its type."""
        kind = Variable(OBJECT_FEATURES[-1], bounds=(-0.5, len(self.types) - 0.5), integer=True)
        return (*(Variable(name, unit, group=name) for name, unit in UNITS.items()), kind)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the objects are made of."""
        return tuple(dict.fromkeys(spec.name for spec in self._object_specs()))

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """Columns that hold a list for each event, by their collection, those of ancestors included."""
        return {
            one: (
                *(f"{one}_{ending}" for ending in (*UNITS, *self.relations.values())),
                *dict.fromkeys(name for kind in self.types.values() for name in kind.conditions(one)),
            )
            for one in self._collections()
        }

    @property
    def event_columns(self) -> tuple[str, ...]:
        """Columns of objects that every event has."""
        given = (one.columns for one in self.types.values() if one.columns is not None)
        return tuple(name for columns in given for ending in UNITS if (name := getattr(columns, ending)) is not None)

    @property
    def ancestry_columns(self) -> tuple[str, ...]:
        """Columns that number the ancestors."""
        names = (f"{one}_{ending}" for one in self._collections() for ending in self.relations.values())
        return tuple(dict.fromkeys(names))

    def specs(self) -> Iterator[ColumnSpec]:
        """Declare the columns of the objects and of their ancestors."""
        yield from self._object_specs()
        for name in self.ancestry_columns:
            yield ColumnSpec(name=name, range=(0.0, None), role="label")

    def arrays(self, table: Table) -> dict[str, ObjectArrays]:
        """Turn a table into padded arrays.

        Args:
            table: The events, with ``columns``; where it has all of ``ancestry_columns`` as well, they are read.

        Returns:
            ``"objects"``, and ``"ancestry"`` of the same places with one feature a relation.

        Raises:
            DataError: If a column is absent or no list where one is declared, or lists differ in length.
        """
        wanted = self.ancestry_columns
        endings = tuple(self.relations.values()) if wanted and all(name in table for name in wanted) else ()
        parts = [_of_type(table, number, one, endings) for number, one in enumerate(self.types.values())]
        values = np.concatenate([part.values for part in parts], axis=1)
        mask = np.concatenate([part.mask for part in parts], axis=1)
        features = len(self.variables)
        found = {OBJECTS: ObjectArrays(np.ascontiguousarray(values[:, :, :features]), mask)}
        if endings:
            found[ANCESTRY] = ObjectArrays(np.ascontiguousarray(values[:, :, features:]), mask)
        return found

    def _collections(self) -> Iterator[str]:
        return (collection for one in self.types.values() for collection in one.collections)

    def _object_specs(self) -> Iterator[ColumnSpec]:
        positive = (Need(value="above 0", why="a transverse momentum"),)
        for one in self.types.values():
            for collection in one.collections:
                for name, unit in UNITS.items():
                    needs = positive if name == "pt" else ()
                    full = f"{collection}_{name}"
                    yield ColumnSpec(name=full, unit=unit, range=_RANGES.get(name), role="condition", needs=needs)
                yield from (ColumnSpec(name=name, role="condition") for name in one.conditions(collection))
            if one.columns is not None:
                # Nothing may be missing, so that 0 is a value, but what is below is a sentinel.
                needs = (Need(value="at least 0", why="a transverse momentum"),)
                for name, column in one.columns.model_dump(exclude_none=True).items():
                    own = needs if name == "pt" else ()
                    limits = _RANGES.get(name)
                    yield ColumnSpec(name=column, unit=UNITS[name], range=limits, role="condition", needs=own)


def _of_type(table: Table, number: int, one: TypedObject, endings: tuple[str, ...]) -> ObjectArrays:
    """Return momentum, type and ancestors of the objects of one type."""
    if one.columns is not None:
        return _of_events(table, number, one.columns, len(endings))
    found = [_candidates(table, name, one.conditions(name), endings) for name in one.collections]
    row, flat = np.concatenate([row for row, _ in found]), np.concatenate([flat for _, flat in found])
    order = np.lexsort((-flat[:, 0], row))
    row, flat = row[order], flat[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    taken = rank < one.take
    mask = np.zeros((len(table), one.take), dtype=np.bool_)
    values = np.zeros((*mask.shape, flat.shape[1] + 1))
    mask[row[taken], rank[taken]] = True
    values[row[taken], rank[taken]] = np.insert(flat[taken], len(UNITS), number, axis=1)
    return ObjectArrays(values, mask)


def _candidates(
    table: Table, collection: str, conditions: Mapping[str, int], endings: tuple[str, ...]
) -> tuple[NDArray[np.int64], Floats]:
    """Return the event of each object of a collection that fulfils the conditions, and its columns."""
    names = [f"{collection}_{ending}" for ending in (*UNITS, *endings)]
    order = ObjectOrder.of(table, [*names, *conditions], None, "each")
    values = {name: order.rows(name, table[name])[0] for name in (*names, *conditions)}
    kept = np.ones(len(order.row), dtype=np.bool_)
    for name, value in conditions.items():
        kept &= values[name] == value
    return order.row[kept], np.stack([values[name] for name in names], axis=1)[kept]


def _of_events(table: Table, number: int, columns: EventColumns, relations: int) -> ObjectArrays:
    """Return the object that every event has; it has no ancestors."""
    values = np.zeros((len(table), 1, len(UNITS) + 1 + relations))
    for place, name in enumerate(UNITS):
        column = getattr(columns, name)
        if column is not None:
            if not isinstance(table[column], np.ndarray) or table[column].ndim != 1:
                raise DataError(f"column '{column}' is a list for each event, not one number; name its collection.")
            values[:, 0, place] = table[column]
    values[:, 0, len(UNITS)] = number
    return ObjectArrays(values, np.ones((len(table), 1), dtype=np.bool_))
