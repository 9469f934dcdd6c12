"""From a table to the arrays of a model and back, as the sections [data], [objects], [condition], [target] declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.declarations import condition_specs, flag_specs, merged_specs, target_specs
from castalia.data.feature_arrays import FeatureArrays, Floats
from castalia.data.feature_config import (
    ConditionVariable,
    DataConfig,
    EfficiencyConfig,
    ObjectsConfig,
    TargetVariable,
)
from castalia.data.layout import Layout, Variable
from castalia.data.object_lists import list_arrays, list_variables
from castalia.data.objects import ObjectOrder, column_like
from castalia.data.readers import StoredColumn
from castalia.data.schema import ColumnSpec, Schema, Shape
from castalia.data.splits import identifier_columns
from castalia.data.table import Table
from castalia.data.typed_objects import OBJECTS, TypedObjects
from castalia.errors import ConfigError, DataError
from castalia.physics.angles import wrap_phi

__all__ = ["FeatureArrays", "Features"]


@final
@dataclass(frozen=True)
class Features:
    """The meaning of a table's columns for a model.

    Args:
        data: Files, identifiers and weight.
        objects: The collection whose objects are modelled, or ``None`` where everything is per event.
        condition: What is given, by name.
        target: What is modelled, by name.
        efficiency: Which events were reconstructed, or ``None`` where all are taken as such.
        sections: The user's names of the sections of both, for errors; ``None`` for a target that may well be empty.
        lists: Lists of objects in the condition, however long: features by name, by the list's name.
        typed: Objects of several types in one list of the condition; the target may then be empty.

    Raises:
        ConfigError: If the declarations contradict each other.
    """

    data: DataConfig
    objects: ObjectsConfig | None
    condition: Mapping[str, ConditionVariable]
    target: Mapping[str, TargetVariable]
    efficiency: EfficiencyConfig | None = None
    sections: tuple[str, str | None] = ("[condition]", "[target]")
    lists: Mapping[str, Mapping[str, ConditionVariable]] = field(default_factory=dict)
    typed: TypedObjects | None = None

    def __post_init__(self) -> None:
        given, modelled = self.sections
        if not self.target and self.typed is None and modelled is not None:
            raise ConfigError(f"{modelled} is empty; declare at least one variable to be modelled.")
        targets = {variable.column for variable in self.target.values()}
        if len(targets) < len(self.target):
            raise ConfigError(f"{modelled} has two variables with the same column; keep one of them.")
        for name, variable in self.condition.items():
            if variable.per == "object" and self.objects is None:
                raise ConfigError(f'{given} {name} is per = "object", but there is no [objects] section; add one.')
            if variable.column in targets:
                raise ConfigError(f"{given} {name} has the column '{variable.column}' of {modelled}; remove it there.")
        if any(variable.column in targets for variable in self._listed()):
            raise ConfigError(f"a column of {modelled} is also in a list of the condition; remove it in one of them.")
        if self.lists and self.objects is not None:
            raise ConfigError("lists in the condition belong to whole events; take the section [objects] away.")
        if self.objects is not None and self.objects.order_by in targets:
            raise ConfigError(f"[objects] order_by = '{self.objects.order_by}' is a target; order by a known column.")
        if self.typed is not None and targets & {*self.typed.columns, *self.typed.ancestry_columns}:
            raise ConfigError(
                f"a column of {modelled} is also one of [objects] or [relations]; keep it in one of them."
            )
        for name in sorted(targets & {*self.passed_columns, *self._references()}):
            raise ConfigError(f"column '{name}' is a target and also an identifier, weight or reference; keep one.")
        if self.efficiency is not None:
            self._check_alone("[efficiency] column", self.efficiency.column)
            if self.objects is not None and self.objects.take == "each":
                raise ConfigError(
                    '[efficiency] tells of whole events, but take = "each" models single objects; '
                    "take a number of them."
                )
            if self.efficiency.column == self.data.selection:
                raise ConfigError(
                    f"column '{self.data.selection}' is [data] selection and [efficiency] column; keep one of them, "
                    "because an efficiency needs the events that were not selected."
                )
        if self.data.selection is not None:
            self._check_alone("[data] selection", self.data.selection)
        self._specs()  # contradicting units or ranges are found now rather than at the first file

    @property
    def layout(self) -> Layout:
        """The variables of the arrays: conditions variable by variable, targets object by object."""
        indices = self._indices()
        condition: list[Variable] = []
        for name, c in self.condition.items():
            for index in indices if self._per_object(c) else (None,):
                condition.append(Variable(_numbered(name, index), c.unit, c.transform, group=name, object_index=index))
        target = [
            Variable(
                _numbered(name, index),
                "" if t.over else t.unit,
                bounds=t.bounds,
                integer=t.integer,
                scale=t.scale,
                group=name,
                object_index=index,
            )
            for index in indices
            for name, t in self.target.items()
        ]
        lists = {name: list_variables(variables) for name, variables in self.lists.items()}
        lists |= {} if self.typed is None else {OBJECTS: self.typed.variables}
        return Layout(tuple(condition), tuple(target), lists)

    @property
    def passed_columns(self) -> tuple[str, ...]:
        """Identifiers and the weight: columns that are handed on as they are."""
        weight = () if self.data.weight is None else (self.data.weight,)
        return tuple(dict.fromkeys((*self.data.identifiers, *weight)))

    @property
    def columns_to_sample(self) -> tuple[str, ...]:
        """Columns needed to sample: identifiers, weight, conditions, order and references, but no targets."""
        order = (self.objects.order_by,) if self.objects is not None and self.objects.order_by else ()
        given = (c.column for c in (*self.condition.values(), *self._listed()))
        references = (t.reference for t in self.target.values() if t.reference is not None)
        typed = () if self.typed is None else self.typed.columns
        return tuple(dict.fromkeys((*self.passed_columns, *given, *typed, *order, *references)))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns needed to train: those to sample, the targets', and those that say which events to learn from."""
        flags = (self.data.selection, None if self.efficiency is None else self.efficiency.column)
        targets = (t.column for t in self.target.values())
        ancestry = () if self.typed is None else self.typed.ancestry_columns
        named = (flag for flag in flags if flag is not None)
        return tuple(dict.fromkeys((*self.columns_to_sample, *targets, *ancestry, *named)))

    def readable(self, columns: tuple[str, ...], available: Mapping[str, StoredColumn], where: str) -> tuple[str, ...]:
        """Return ``columns`` less the identifiers where a file has none of them.

        Raises:
            DataError: If the file has some identifiers only.
        """
        there = identifier_columns(self.data.identifiers, tuple(available), where)
        return tuple(name for name in columns if name in there or name not in self.data.identifiers)

    @property
    def input_schema(self) -> Schema:
        """Units, ranges and needs to check an input against; number types and shapes are those of the file."""
        return Schema(columns=tuple(self._specs().values()))

    def output_schema(self, available: Mapping[str, StoredColumn]) -> Schema:
        """Return the schema of what ``outputs`` makes from a file with the columns ``available``."""
        specs = self._specs()
        objects = self._object_columns()
        columns = []
        for name in (*self.columns_to_sample, *(t.column for t in self.target.values())):
            spec = specs.get(name) or ColumnSpec(name=name, role="identifier")
            stored = available.get(name)
            if stored is None and name in self.columns_to_sample:
                continue
            dtype = stored.dtype if stored is not None and name in self.columns_to_sample else self._dtype(name)
            shape = self._shape(available) if name in objects else "flat"
            collection = self.objects.collection if self.objects is not None and name in objects else None
            described = {"dtype": dtype, "shape": shape, "collection": collection, "needs": ()}
            columns.append(spec.model_copy(update=described))
        return Schema(columns=tuple(columns))

    def arrays(self, table: Table) -> FeatureArrays:
        """Turn a table into the arrays of a model.

        Args:
            table: Events with ``columns`` or, to sample, ``columns_to_sample``; identifiers may be absent. What the
                target columns hold for a lost event, if anything, is not looked at.

        Raises:
            DataError: If a column is absent, or a list where one number is declared or the other way round, or the
                lists of a collection differ in length.
        """
        found = self.found(table)
        if found is None:
            return self._arrays(table)
        lost = table.take(~found).without([t.column for t in self.target.values() if t.column in table])
        return FeatureArrays.of_found_and_lost(self._arrays(table.take(found)), self._arrays(lost), found)

    def found(self, table: Table) -> NDArray[np.bool_] | None:
        """Tell which events of a table were reconstructed, shape ``(events,)``; ``None`` where nothing says so."""
        if self.efficiency is None or self.efficiency.column not in table:
            return None
        if table[self.efficiency.column].ndim != 1:
            raise DataError(
                f"[efficiency] column '{self.efficiency.column}' is a list for each event; "
                "name a column with one 0 or 1 for each event."
            )
        return np.asarray(_event_values(table, self.efficiency.column) != 0.0, dtype=np.bool_)

    def selected(self, table: Table) -> NDArray[np.bool_]:
        """Tell which events of a table are to be looked at, shape ``(events,)``; all where nothing says otherwise.

        What is neither 0 nor 1 counts as selected, so that the check of the columns finds it.
        """
        if self.data.selection is None:
            return np.ones(len(table), dtype=np.bool_)
        return np.asarray(_event_values(table, self.data.selection) != 0.0, dtype=np.bool_)

    def _arrays(self, table: Table) -> FeatureArrays:
        order = self._order(table)
        row = np.arange(len(table)) if order is None else order.row
        names = [t.column for t in self.target.values()]
        condition = [
            values
            for c in self.condition.values()
            for values in self._values(table, c.column, self._per_object(c), order)
        ]
        references = [
            [np.zeros(len(row))] * len(self._indices())
            if t.reference is None
            else self._values(table, t.reference, order is not None, order)
            for t in self.target.values()
        ]
        reference = self._by_object(references) if references else np.empty((len(row), 0))
        target = None
        if names and all(name in table for name in names):
            found = self._by_object([self._values(table, name, order is not None, order) for name in names])
            target = self._relative(found, reference)
        weight = np.ones(len(row))
        if self.data.weight is not None:
            weight = _event_values(table, self.data.weight)[row]
        return FeatureArrays(
            condition=np.stack(condition, axis=1) if condition else np.empty((len(row), 0)),
            target=target,
            reference=reference,
            weight=weight,
            row=row,
            incomplete=0 if order is None else order.incomplete,
            objects={
                **{name: list_arrays(table, variables) for name, variables in self.lists.items()},
                **({} if self.typed is None else self.typed.arrays(table)),
            },
        )

    def reconstructed(self, reference: Floats, target: Floats) -> Floats:
        """Return the reconstructed values that belong to targets, both of shape ``(rows, targets)``."""
        result = np.array(target, dtype=np.float64)
        for i, t in self._target_columns():
            if t.over is not None:
                result[:, i] *= reference[:, i]
            else:
                result[:, i] += reference[:, i]
            if t.wrap:
                result[:, i] = wrap_phi(result[:, i])
        return result

    def outputs(self, table: Table, arrays: FeatureArrays, target: Floats) -> Table:
        """Turn targets, true or drawn, back into the reconstructed columns of a table.

        Args:
            table: The events that ``arrays`` was made from.
            arrays: What ``arrays(table)`` returned.
            target: Targets, shape ``(rows, targets)``.

        Returns:
            Identifiers, weight, conditions and references as in ``table``, and the reconstructed columns. Objects are
            in the declared order. Where a number of them is taken, events with fewer are left out and lists have that
            length; where each is modelled by itself, every event and the kind of its lists stay.
        """
        order = self._order(table)
        if len(target) != len(arrays.row) or (order is not None and len(target) != len(order.row)):
            raise DataError(f"{len(target)} rows of targets for {len(arrays.row)} rows of arrays; give one for each.")
        objects = self._object_columns()
        columns: dict[str, Any] = {}
        for name in self.columns_to_sample:
            if name in table:
                if order is None:
                    columns[name] = table[name]
                else:
                    columns[name] = order.listed(table[name]) if name in objects else order.events(table[name])
        values = self.reconstructed(arrays.reference, target)
        number = len(self.target)
        for i, t in enumerate(self.target.values()):
            found = values[:, i::number]
            if t.integer and self.efficiency is None:  # a lost event has NaN, which no integer can be
                found = np.rint(found).astype(np.int64)
            columns[t.column] = found[:, 0] if order is None else order.from_rows(found)
        return Table(columns)

    def _check_alone(self, what: str, column: str) -> None:
        if column in {*self.columns_to_sample, *(t.column for t in self.target.values())}:
            raise ConfigError(f"{what} = '{column}' has another use already; name a column of its own.")

    def _relative(self, found: Floats, reference: Floats) -> Floats:
        """Subtract or divide by the references."""
        result = np.array(found)
        for i, t in self._target_columns():
            if t.over is not None:
                if not reference[:, i].all():
                    row = int(np.argmin(reference[:, i] != 0.0))
                    raise DataError(f"column '{t.over}' is 0 in row {row} of the table; a ratio to it has no value.")
                with np.errstate(over="ignore"):  # an infinite ratio is found by the check of the targets
                    result[:, i] /= reference[:, i]
            else:
                result[:, i] -= reference[:, i]
            if t.wrap:
                result[:, i] = wrap_phi(result[:, i])
        return result

    def _target_columns(self) -> Iterator[tuple[int, TargetVariable]]:
        return enumerate([t for _ in self._indices() for t in self.target.values()])

    def _by_object(self, values: list[list[Floats]]) -> Floats:
        """Stack ``values[variable][object]`` object by object."""
        return np.stack([one[index] for index in range(len(self._indices())) for one in values], axis=1)

    def _values(self, table: Table, name: str, per_object: bool, order: ObjectOrder | None) -> list[Floats]:
        if order is None:
            return [_event_values(table, name)]
        if not per_object:
            return [_event_values(table, name)[order.row]]
        return order.rows(name, table[name])

    def _order(self, table: Table) -> ObjectOrder | None:
        if self.objects is None:
            return None
        names = sorted(name for name in self._object_columns() if name in table)
        return ObjectOrder.of(table, names, self.objects.order_by, self.objects.take)

    def _indices(self) -> tuple[int | None, ...]:
        """Numbers of the objects that are modelled together; ``(None,)`` for single objects or whole events."""
        if self.objects is None or self.objects.take == "each":
            return (None,)
        return tuple(range(self.objects.take))

    def _per_object(self, variable: ConditionVariable) -> bool:
        return self.objects is not None and variable.per != "event"

    def _references(self) -> set[str]:
        return {t.reference for t in self.target.values() if t.reference is not None}

    def _object_columns(self) -> set[str]:
        """Columns that hold a list per event."""
        if self.objects is None:
            return set()
        order = {self.objects.order_by} if self.objects.order_by else set()
        given = {c.column for c in self.condition.values() if self._per_object(c)}
        return given | order | self._references() | {t.column for t in self.target.values()}

    def _dtype(self, column: str) -> str:
        counted = any(t.integer for t in self.target.values() if t.column == column)
        return "int64" if counted and self.efficiency is None else "float64"

    def _shape(self, available: Mapping[str, StoredColumn]) -> Shape:
        """Shape of the lists in the output."""
        if self.objects is not None and self.objects.take != "each":
            return self.objects.take
        return column_like([available[name] for name in sorted(self._object_columns()) if name in available])

    def _specs(self) -> dict[str, ColumnSpec]:
        """Collect what is declared about every column, refusing contradictions."""
        order = self.objects.order_by if self.objects is not None else None
        return merged_specs(
            (
                *condition_specs((*self.condition.values(), *self._listed())),
                *((ColumnSpec(name=order),) if order else ()),
                *target_specs(self.target.values()),
                *(() if self.typed is None else self.typed.specs()),
                *flag_specs(self.data, self.efficiency),
            )
        )

    def _listed(self) -> Iterator[ConditionVariable]:
        """Features of the objects in all lists of the condition."""
        return (variable for variables in self.lists.values() for variable in variables.values())


def _numbered(name: str, index: int | None) -> str:
    return name if index is None else f"{name}_{index + 1}"


def _event_values(table: Table, name: str) -> Floats:
    values = table[name]
    if not isinstance(values, np.ndarray) or values.ndim != 1:
        raise DataError(
            f"column '{name}' is a list per event, but declared as one number per event; "
            'declare [objects] or take the per = "event" away.'
        )
    return values.astype(np.float64)
