"""Are generated targets shifted? The difference of the mean pulls, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns

__all__ = ["LocationCheck", "location_checks"]


@dataclass(frozen=True)
class LocationCheck:
    """The mean pull of generated events beside that of the target.

    Attributes:
        target: Name of the target.
        shift: Mean pull of generated minus target events, in units of the width.
        error: Standard error of ``shift``.
    """

    target: str
    shift: float
    error: float


def location_checks(names: Sequence[str], true: ArrayLike, generated: ArrayLike) -> tuple[LocationCheck, ...]:
    """Compare the plain means of the pulls, so that far outliers count too.

    Target and generated rows share their conditions, so the differences are taken event by event: what the pulls owe
    to the conditions drops out of the error.

    Args:
        names: Names of the targets.
        true: Pulls of the target events, shape ``(events, targets)``.
        generated: Pulls of generated events, shape ``(draws * events, targets)``: whole replicas of the same events,
            one after the other.

    Returns:
        One check a target.

    Raises:
        DataError: If shapes do not fit, a value is not finite, or there are fewer than two events.
    """
    first, second = as_columns(true, "the target pulls"), as_columns(generated, "the generated pulls")
    if not len(names) == first.shape[1] == second.shape[1] or len(second) % len(first) or len(first) < 2:
        raise DataError(
            f"{len(names)} names for target pulls of shape {first.shape} and generated ones of shape {second.shape}; "
            "give whole replicas of two or more events."
        )
    difference = second.reshape(-1, *first.shape).mean(axis=0) - first
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(first))
    return tuple(
        LocationCheck(name, float(shift), float(one))
        for name, shift, one in zip(names, difference.mean(axis=0), error, strict=True)
    )
