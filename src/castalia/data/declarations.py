"""What a configuration declares of each column, put together: unit, range, role, and what its use needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from castalia.data.feature_config import ConditionVariable, DataConfig, EfficiencyConfig, TargetVariable
from castalia.data.schema import ColumnSpec, Need
from castalia.errors import ConfigError

__all__ = ["condition_specs", "flag_specs", "merged_specs", "target_specs"]


def condition_specs(variables: Iterable[ConditionVariable]) -> Iterator[ColumnSpec]:
    """Declare the columns of condition variables."""
    for c in variables:
        log = (Need(value="above 0", why='transform = "log"'),) if c.transform == "log" else ()
        yield ColumnSpec(name=c.column, unit=c.unit, range=c.range, role="condition", needs=log)


def target_specs(variables: Iterable[TargetVariable]) -> Iterator[ColumnSpec]:
    """Declare the columns of target variables, and those that they are relative to."""
    for t in variables:
        if t.reference is not None:
            ratio = (Need(value="other than 0", why=f"'{t.column}' is taken over it"),) if t.over else ()
            yield ColumnSpec(name=t.reference, unit=t.unit, role="condition", needs=ratio)
        yield ColumnSpec(name=t.column, unit=t.unit, range=t.range, role="target")


def flag_specs(data: DataConfig, efficiency: EfficiencyConfig | None) -> Iterator[ColumnSpec]:
    """Declare the weight, the selection and what tells lost events, where there are such."""
    if data.weight is not None:
        yield ColumnSpec(name=data.weight, role="weight")
    if data.selection is not None:
        yield _flag(data.selection, "[data] selection")
    if efficiency is not None:
        yield _flag(efficiency.column, "[efficiency] column")


def merged_specs(declared: Iterable[ColumnSpec]) -> dict[str, ColumnSpec]:
    """Put together what is declared of the same column in several places.

    Raises:
        ConfigError: If two units or ranges differ.
    """
    specs: dict[str, ColumnSpec] = {}
    for spec in declared:
        known = specs.get(spec.name, spec)
        for what in ("unit", "range"):
            one, other = getattr(known, what), getattr(spec, what)
            if one and other and one != other:
                raise ConfigError(f"column '{spec.name}' is declared with {what} {one} and with {other}; keep one.")
        merged = {
            "unit": known.unit or spec.unit,
            "range": known.range or spec.range,
            "role": known.role or spec.role,
            "needs": tuple(dict.fromkeys((*known.needs, *spec.needs))),
        }
        specs[spec.name] = known.model_copy(update=merged)
    return specs


def _flag(name: str, why: str) -> ColumnSpec:
    return ColumnSpec(name=name, role="selection", needs=(Need(value="0 or 1", why=why),))
