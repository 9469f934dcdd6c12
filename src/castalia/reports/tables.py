"""Numbers as a reader wants them: rounded by their error, in cells that a page can sort."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from castalia.errors import DataError

__all__ = ["MISSING", "Cell", "TableItem", "cell", "flatten", "measured", "metric_cells", "rounded", "status"]

MISSING = "–"
"""What stands where a number is not known."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_GROUP = "\u202f"
_SMALLEST, _LARGEST = -3, 6  # decimal exponents from which, and up to which, numbers are written without a power of ten


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What is read.
        sort: Value the column is sorted by, or ``None`` for text and for missing numbers (which sort last).
        tone: ``"good"`` or ``"bad"`` colours the cell; the text says the same without colour.
        numeric: True where the cell is aligned as a number, missing numbers included.
    """

    text: str
    sort: float | None = None
    tone: Literal["", "good", "bad"] = ""
    numeric: bool = False


@dataclass(frozen=True)
class TableItem:
    """A table whose columns can be sorted.

    Attributes:
        caption: What the table shows.
        header: Column titles.
        rows: Cells, row by row, as many in each as ``header`` has.
        note: Small print under the table; empty for none.

    Raises:
        DataError: If a row is shorter or longer than the header.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse ragged rows, which would silently shift numbers under a wrong title."""
        for index, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise DataError(
                    f"Table '{self.caption}': row {index} has {len(row)} cells but the header has {len(self.header)}; "
                    "give every row one cell a column."
                )


def measured(value: float | None, error: float | None = None, unit: str = "") -> Cell:
    """Write a value with its error by the rounding rule of the Particle Data Group.

    Without a (positive, finite) error the value has four significant digits, from 1 on six;
    a whole number keeps all of them.

    Args:
        value: The number; ``None`` or a non-finite one becomes an en dash that sorts last.
        error: Its standard error in the same unit.
        unit: Unit to print behind it; empty for a pure number.

    References:
        Review of Particle Physics, Introduction, section 5.3 (rounding).
    """
    if value is None or not math.isfinite(value):
        return Cell(MISSING, numeric=True)
    suffix = f"\u00a0{unit}" if unit else ""
    if error is None or not math.isfinite(error) or error <= 0:
        return Cell(_plain(value) + suffix, float(value), numeric=True)
    return Cell(_with_error(float(value), float(error)) + suffix, float(value), numeric=True)


def rounded(value: float | None, error: float | None) -> Cell:
    """Write a number to the decimal place that its error would be written to, such as an end of an interval.

    Args:
        value: The number; ``None`` or a non-finite one becomes an en dash that sorts last.
        error: The error in the same unit; without one the number is written as by :func:`measured`.
    """
    if value is None or not math.isfinite(value) or error is None or not math.isfinite(error) or error <= 0:
        return measured(value)
    position, exponent = _last_digit(error)[0], math.floor(math.log10(max(abs(value), error)))
    text = _fixed(value, position) if _SMALLEST <= exponent < _LARGEST else _plain(round(value, position))
    return Cell(text, float(value), numeric=True)


def status(passed: bool | None, good: str = "passed", bad: str = "FAILED") -> Cell:
    """Write a yes or no in words with a colour; ``None`` is a missing one. Failures sort before passes."""
    if passed is None:
        return Cell(MISSING)
    return Cell(good if passed else bad, float(passed), "good" if passed else "bad")


def cell(value: object, error: float | None = None) -> Cell:
    """Turn any JSON value into a cell: numbers by :func:`measured`, lists as their size or their words."""
    if value is None:
        return Cell(MISSING, numeric=True)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", float(value))
    if isinstance(value, (int, float)):
        return measured(value, error)
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, str) for item in value):
            return Cell("; ".join(value) if value else "none")
        return Cell(f"{len(value)} entries")
    return Cell(str(value))


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Name every leaf of nested mappings by its dotted path, in the order it stands."""
    flat: dict[str, object] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def metric_cells(metrics: Mapping[str, object]) -> dict[str, Cell]:
    """Flatten metrics into named cells, joining every value with its error.

    ``{"kl": {"value": v, "error": e}}`` becomes one cell named ``kl``, and ``floor`` with ``floor_error`` one named
    ``floor``; an error that belongs to no number keeps a cell of its own.
    """
    flat = flatten(metrics)
    cells: dict[str, Cell] = {}
    for name, value in flat.items():
        owner = _owner_of_error(name)
        if owner in flat and _is_number(flat[owner]):
            continue
        short = name.removesuffix(".value")
        cells[short if short not in flat else name] = cell(value, _error_of(name, flat))
    return cells


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _owner_of_error(name: str) -> str:
    if name.endswith(".error"):
        return name.removesuffix("error") + "value"
    return name.removesuffix("_error") if name.endswith("_error") else ""


def _error_of(name: str, flat: Mapping[str, object]) -> float | None:
    partner = name.removesuffix("value") + "error" if name.endswith(".value") else f"{name}_error"
    error = flat.get(partner)
    return float(error) if isinstance(error, (int, float)) and not isinstance(error, bool) else None


def _with_error(value: float, error: float) -> str:
    position, error = _last_digit(error)
    exponent = math.floor(math.log10(max(abs(value), error)))
    if _SMALLEST <= exponent < _LARGEST:
        return f"{_fixed(value, position)} ± {_fixed(error, position)}"
    power, position = 10.0**exponent, position + exponent
    scaled = f"{_fixed(value / power, position)} ± {_fixed(error / power, position)}"
    return f"({scaled}) × 10{str(exponent).translate(_SUPERSCRIPTS)}"


def _last_digit(error: float) -> tuple[int, float]:
    """Return the decimal place that both numbers are rounded to, and the error as it will be printed."""
    exponent = math.floor(math.log10(error))
    leading = round(error / 10.0 ** (exponent - 2))
    if leading >= 950:  # 950 … 1000 are printed as 1.0 of the next decade
        return -exponent, 10.0 ** (exponent + 1)
    return (1 - exponent if leading <= 354 else -exponent), error


def _fixed(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    text = f"{rounded:,.{max(decimals, 0)}f}".replace(",", _GROUP)
    text = text.replace(_GROUP, "") if abs(rounded) < 10_000 else text
    return text.replace("-", "−") if rounded != 0 else text.replace("-", "")


def _plain(value: float) -> str:
    if float(value).is_integer() and abs(value) < 1e9:
        return _fixed(value, 0)
    exponent = math.floor(math.log10(abs(value)))
    if exponent >= _LARGEST or exponent < _SMALLEST:
        return _power(value, exponent)
    digits = 6 if exponent >= 0 else 4  # a mean of 124.983 must not be read as 125
    return f"{value:.{digits}g}".replace("-", "−") if exponent < 4 else _fixed(value, 1 if exponent == 4 else 0)


def _power(value: float, exponent: int) -> str:
    mantissa = f"{value / 10.0**exponent:.4g}".replace("-", "−")
    return f"{mantissa} × 10{str(exponent).translate(_SUPERSCRIPTS)}"
