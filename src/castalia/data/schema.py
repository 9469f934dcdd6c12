"""What the columns of a table mean: unit, number type, physical range, role and list shape, as declared by somebody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, field_validator, model_validator

from castalia.data.strict import StrictModel
from castalia.errors import DataError

__all__ = ["ColumnSpec", "Need", "Range", "Role", "Schema", "Shape"]

Role: TypeAlias = Literal["condition", "target", "parameter", "label", "weight", "selection", "identifier"]
Shape: TypeAlias = Literal["flat", "jagged"] | Annotated[int, Field(ge=1)]
"""``"flat"``, ``"jagged"`` or the length of a fixed-length list."""
Range: TypeAlias = tuple[float | None, float | None]
"""Closed interval; ``None`` where one side is open."""

_DTYPES = ("float64", "float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")


class Need(StrictModel):
    """What the use of a column asks of every value, beyond its physical range; lists are held to it in full.

    Attributes:
        value: What a value must be.
        why: The declaration that asks for it, for messages.
    """

    value: Literal["above 0", "at least 0", "other than 0", "0 or 1"]
    why: str


class ColumnSpec(StrictModel):
    """One declared column.

    Attributes:
        name: Name of the column.
        unit: Unit such as ``"GeV"``, empty for a pure number.
        dtype: Number type on disk: numpy's name of a float, integer or boolean.
        range: Closed physical interval in ``unit``; values outside are refused.
        role: What the column is for, or ``None``.
        shape: ``"flat"``, ``"jagged"`` or the fixed length of each row's list.
        collection: The collection of objects it belongs to, or ``None``.
        needs: What its use asks of its values; a matter of the reader, not of the file.
    """

    name: str = Field(min_length=1)
    unit: str = ""
    dtype: str = "float64"
    range: Range | None = None
    role: Role | None = None
    shape: Shape = "flat"
    collection: str | None = None
    needs: tuple[Need, ...] = ()

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, value: str) -> str:
        if value not in _DTYPES:
            raise ValueError(f"dtype '{value}' is not known; choose one of {', '.join(_DTYPES)}")
        return value

    @field_validator("range")
    @classmethod
    def _ordered(cls, value: Range | None) -> Range | None:
        if value is not None and value[0] is not None and value[1] is not None and value[0] >= value[1]:
            raise ValueError(f"range {value} is empty; give the lower limit first")
        return value

    @property
    def numpy_dtype(self) -> np.dtype[np.generic]:
        """The number type as numpy's object, in the byte order of the machine."""
        return np.dtype(self.dtype)


class Schema(StrictModel):
    """The declared columns of a file or table, in order; names are unique."""

    columns: tuple[ColumnSpec, ...]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        names = [column.name for column in self.columns]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise ValueError(f"column '{double[0]}' is declared twice; keep one")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnSpec:
        """Return the declaration of ``name``.

        Raises:
            DataError: If it is not declared.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"column '{name}' is not declared; the schema has {', '.join(self.names) or 'none'}.")

    def select(self, names: Sequence[str]) -> Schema:
        """Return the columns ``names``, in that order."""
        return Schema(columns=tuple(self.column(name) for name in names))

    def with_columns(self, *specs: ColumnSpec) -> Schema:
        """Return a schema in which ``specs`` are added, or replace those of the same name."""
        new = {column.name: column for column in (*self.columns, *specs)}
        return Schema(columns=tuple(new.values()))
