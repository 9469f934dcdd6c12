"""The sections [data], [objects], [condition] and [target] of a configuration."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from castalia.data.file_layout import FileLayout, find_layout
from castalia.data.schema import Range
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError, DataError

__all__ = ["ConditionVariable", "DataConfig", "EfficiencyConfig", "ObjectsConfig", "TargetVariable", "matching_files"]

Bound = Annotated[float, Field(allow_inf_nan=True)]


class DataConfig(StrictModel):
    """Section ``[data]``: where the events are.

    Attributes:
        files: Names or glob patterns, relative to the folder of the configuration.
        tree: Name of the TTree in ROOT files, or ``None`` for the only one.
        layout: What the columns of the files are, where they are called otherwise or have Cartesian momenta: the name
            of a layout that ships with the package, or a section of its own; see ``castalia.data.file_layout``.
        validation_files: Files for validation, instead of a tenth of ``files``.
        test_files: Files for the test, instead of a tenth of ``files``.
        identifiers: Columns that together identify an event.
        weight: Column of event weights, or ``None`` where all weigh the same.
        selection: Column that is 1 where an event was selected and 0 where not: only selected events are learned from
            or judged. ``None`` where all are.
    """

    files: tuple[str, ...] = Field(min_length=1)
    tree: str | None = None
    layout: str | FileLayout | None = None
    validation_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ("run", "luminosityBlock", "event")
    weight: str | None = None
    selection: str | None = None

    @field_validator("layout")
    @classmethod
    def _known(cls, value: str | FileLayout | None) -> str | FileLayout | None:
        try:
            find_layout(value or FileLayout())
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return value

    def paths(
        self, folder: Path, which: Literal["files", "validation_files", "test_files"] = "files"
    ) -> tuple[Path, ...]:
        """Return the files that the patterns match, sorted within each pattern, none twice.

        Args:
            folder: The folder of the configuration.
            which: Which of the lists.

        Raises:
            DataError: If a pattern matches no file.
        """
        return matching_files(getattr(self, which), folder, f"{which} in [data]")


def matching_files(patterns: tuple[str, ...], folder: Path, key: str) -> tuple[Path, ...]:
    """Return the files that patterns match, sorted within each pattern, none twice.

    Args:
        patterns: Names or glob patterns.
        folder: What they are relative to.
        key: Where they stand, to name in errors.

    Raises:
        DataError: If a pattern matches no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = sorted(glob.glob(str(Path(glob.escape(str(folder))) / pattern), recursive=True))
        if not matches:
            raise DataError(f"{folder / pattern}: no such file; correct {key}.")
        found.update(dict.fromkeys(Path(match) for match in matches))
    return tuple(found)


class ObjectsConfig(StrictModel):
    """Section ``[objects]``: the collection whose objects are modelled.

    Attributes:
        collection: Its name, such as ``"photon"``.
        take: How many objects of an event are modelled together, or ``"each"`` for one object at a time.
        order_by: Column by which objects are ordered, largest first, or ``None`` for the order of the file.
    """

    collection: str
    take: Annotated[int, Field(ge=1, strict=True)] | Literal["each"]
    order_by: str | None = None


class EfficiencyConfig(StrictModel):
    """Section ``[efficiency]``: which events were reconstructed at all.

    Attributes:
        column: Column that is 1 where an event was reconstructed and 0 where it was lost. The target columns of a lost
            event are not read as data.
    """

    column: str = Field(min_length=1)


class ConditionVariable(StrictModel):
    """A variable of ``[condition]``.

    Attributes:
        column: The column that holds it.
        unit: Its unit.
        transform: ``"log"`` for a positive, steeply falling variable, ``"angle"`` for one in radians whose ends meet.
        per: One value per event or per object; by default per object where there is a section ``[objects]``.
        range: Closed physical interval; values outside are refused.
    """

    column: str
    unit: str = ""
    transform: Literal["none", "log", "angle"] = "none"
    per: Literal["event", "object"] | None = None
    range: Range | None = None

    @field_validator("range")
    @classmethod
    def _ordered(cls, value: Range | None) -> Range | None:
        return _ordered(value)


class TargetVariable(StrictModel):
    """A variable of ``[target]``.

    Attributes:
        column: The column that holds it.
        unit: Unit of ``column`` and of the column it is relative to.
        minus: Column to subtract, so that the difference is modelled.
        over: Column to divide by, so that the ratio is modelled.
        wrap: True for an angle: differences and results are brought into (-pi, pi].
        range: Closed physical interval of ``column``; values outside are refused.
        bounds: Open interval that the modelled variable cannot leave; ``inf`` for an end that is not there.
        integer: True for a counted variable.
        scale: Typical size of the modelled variable, where it shall not be measured.
    """

    column: str
    unit: str = ""
    minus: str | None = None
    over: str | None = None
    wrap: bool = False
    range: Range | None = None
    bounds: tuple[Bound, Bound] | None = None
    integer: bool = False
    scale: float | None = Field(default=None, gt=0.0)

    @property
    def reference(self) -> str | None:
        """The column that the variable is relative to, if any."""
        return self.minus or self.over

    @field_validator("range")
    @classmethod
    def _ordered(cls, value: Range | None) -> Range | None:
        return _ordered(value)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.minus and self.over:
            raise ValueError("minus and over exclude each other; keep one")
        if self.column in (self.minus, self.over):
            raise ValueError(f"'{self.column}' cannot be relative to itself; name the true column")
        if self.wrap and self.over:
            raise ValueError("wrap and over exclude each other; an angle is modelled by its difference (minus)")
        if self.bounds is not None and not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds {self.bounds} are empty; give the lower one first")
        return self


def _ordered(value: Range | None) -> Range | None:
    if value is not None and value[0] is not None and value[1] is not None and value[0] >= value[1]:
        raise ValueError(f"range {value} is empty; give the lower limit first")
    return value
