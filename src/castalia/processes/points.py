"""Points in the space of a process's parameters: given by the user, or drawn evenly in given intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from castalia.errors import ConfigError
from castalia.processes.hard import HardProcess, Parameter

__all__ = ["Choice", "check_choices", "draw_point", "is_scattered"]

Choice = float | tuple[float, float]
"""A value, or an interval ``(low, high)`` from which values are drawn."""

# The smallest part of a box of intervals that may satisfy the gaps between the parameters is one in a thousand.
_TRIES = 10_000


def check_choices(process: HardProcess, choices: Mapping[str, Choice]) -> dict[str, Choice]:
    """Return a choice for every parameter of a process, its default where the user made none.

    Args:
        process: The process.
        choices: Per parameter a value or an interval ``(low, high)``, as the user gave them.

    Raises:
        ConfigError: If a parameter is unknown, a value is out of range, an interval is empty, or no point is possible.
    """
    known = {parameter.name: parameter for parameter in process.parameters}
    for name in choices:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ConfigError(f"Process {process.name} has no parameter {name!r}; it has {listed}.")
    checked = {name: _checked(process.name, one, choices.get(name, one.default)) for name, one in known.items()}
    for upper, lower, gap in process.gaps:
        if _limits(checked[upper])[1] <= _limits(checked[lower])[0] + gap:
            raise ConfigError(
                f"Process {process.name}: {upper} must exceed {lower} by more than {gap:g}, which no point of "
                f"{upper} = {checked[upper]} and {lower} = {checked[lower]} does; choose other values."
            )
    return checked


def is_scattered(choices: Mapping[str, Choice]) -> bool:
    """Tell whether any parameter is to be drawn from an interval."""
    return any(isinstance(choice, tuple) for choice in choices.values())


def draw_point(process: HardProcess, choices: Mapping[str, Choice], rng: np.random.Generator) -> dict[str, float]:
    """Draw one point, uniform in the intervals where the gaps between the parameters allow it.

    Args:
        process: The process.
        choices: Checked choices, one for every parameter.
        rng: Random numbers.

    Raises:
        ConfigError: If fewer than about one point in a thousand of the intervals is allowed.
    """
    for _ in range(_TRIES):
        point = {
            name: float(rng.uniform(*choice)) if isinstance(choice, tuple) else choice
            for name, choice in choices.items()
        }
        if all(point[upper] > point[lower] + gap for upper, lower, gap in process.gaps):
            return point
    raise ConfigError(
        f"Process {process.name}: none of {_TRIES} points drawn from {dict(choices)} is allowed; widen the intervals."
    )


def _checked(process: str, parameter: Parameter, choice: Choice) -> Choice:
    limits = _limits(choice)
    # Written so that NaN fails.
    if not (parameter.low <= limits[0] and limits[1] <= parameter.high):
        raise ConfigError(
            f"Process {process}: {parameter.name} = {choice} is outside [{parameter.low:g}, {parameter.high:g}]; "
            "choose a value or an interval inside."
        )
    if isinstance(choice, tuple):
        if not limits[0] < limits[1]:
            raise ConfigError(f"Process {process}: the interval {choice} of {parameter.name} is empty; low goes first.")
        return (float(limits[0]), float(limits[1]))
    return float(choice)


def _limits(choice: Choice) -> tuple[float, float]:
    return choice if isinstance(choice, tuple) else (choice, choice)
