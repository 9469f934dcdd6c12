"""Closure of an efficiency: predicted against counted reconstructed events, in bins of what it depends on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_columns
from castalia.metrics.resolution import population_edges

__all__ = ["EfficiencyCheck", "closure_chi2", "efficiency_checks", "excess_log_loss"]

BINS = 10


@dataclass(frozen=True)
class EfficiencyCheck:
    """Predicted beside counted efficiency of the events of one bin.

    Attributes:
        variable: Name of the variable binned in; ``""`` for all events.
        low: Lower edge of the bin; minus infinity for all events.
        high: Upper edge.
        events: Number of events.
        predicted: Mean predicted probability.
        counted: Fraction that was reconstructed.
        error: Standard error of ``counted`` if every event had its predicted probability.
    """

    variable: str
    low: float
    high: float
    events: int
    predicted: float
    counted: float
    error: float

    @property
    def difference(self) -> float:
        """Predicted minus counted."""
        return self.predicted - self.counted

    @property
    def binned(self) -> bool:
        """Whether it is one of many bins rather than a figure of all events."""
        return bool(self.variable)

    @property
    def where(self) -> str:
        """The bin in words, such as ``"mu in [10, 15)"``, or ``"all events"``."""
        return f"{self.variable} in [{self.low:g}, {self.high:g})" if self.binned else "all events"


def efficiency_checks(
    names: Sequence[str], condition: ArrayLike, probability: ArrayLike, found: ArrayLike
) -> tuple[EfficiencyCheck, ...]:
    """Compare predicted with counted efficiencies in bins of equal population of each variable.

    Events are counted without weights. If event i is reconstructed with probability p_i, the count of a bin is
    Poisson-binomial, with variance sum p_i (1 - p_i): what a model is tested against is its own claim, so that a bin
    in which nothing was lost has an error, too.

    Args:
        names: Names of the variables.
        condition: Their values, shape ``(events, variables)``.
        probability: Predicted probabilities in [0, 1], shape ``(events,)``.
        found: Whether each event was reconstructed, shape ``(events,)``.

    Returns:
        One check for all events, then those of each variable, bin by bin; a variable of one value only has none.

    Raises:
        DataError: If lengths differ, a value is not finite, or a probability lies outside [0, 1].

    References:
        Wang, On the number of successes in independent trials, Statistica Sinica 3 (1993): the variance.
    """
    table, given = as_columns(condition, "the conditions"), as_column(probability, "the probabilities")
    counted = np.asarray(found, dtype=np.float64)
    if not len(table) == len(given) == len(counted) or len(names) != table.shape[1]:
        raise DataError(
            f"{len(names)} names, {table.shape} conditions, {len(given)} probabilities and {len(counted)} events do "
            "not belong together; give one row for each event."
        )
    if given.min() < 0.0 or given.max() > 1.0:
        raise DataError(f"probabilities lie in [{given.min():g}, {given.max():g}]; give them in [0, 1].")
    checks = [_check("", -np.inf, np.inf, given, counted)]
    for name, values in zip(names, table.T, strict=True):
        if values.min() == values.max():
            continue
        edges = population_edges(values, BINS)
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            here = place == number
            if here.any():
                checks.append(_check(name, float(low), float(high), given[here], counted[here]))
    return tuple(checks)


def _check(
    name: str, low: float, high: float, probability: NDArray[np.float64], found: NDArray[np.float64]
) -> EfficiencyCheck:
    error = float(np.sqrt(np.sum(probability * (1.0 - probability))) / len(found))
    return EfficiencyCheck(name, low, high, len(found), float(probability.mean()), float(found.mean()), error)


def closure_chi2(checks: Sequence[EfficiencyCheck]) -> dict[str, tuple[float, int]]:
    """Return chi2 of the differences and the number of bins, by variable.

    The model is given, nothing is fitted to the events, so there are as many degrees of freedom as bins. Bins whose
    events are all predicted with certainty have no error and are left out.
    """
    binned = [check for check in checks if check.binned and check.error > 0.0]
    names = dict.fromkeys(check.variable for check in binned)
    pulls = {name: [c.difference / c.error for c in binned if c.variable == name] for name in names}
    return {name: (float(np.square(values).sum()), len(values)) for name, values in pulls.items()}


def excess_log_loss(truth: ArrayLike, probability: ArrayLike) -> float:
    """Return how much worse than the true probabilities a model's are, in nats per event, at least 0.

    It is the Kullback-Leibler divergence of the two Bernoulli distributions, averaged over events: free of the noise
    of the 0s and 1s. Near the truth it is ``(p - q)**2 / (2 q (1 - q))``.

    Args:
        truth: True probabilities in [0, 1], shape ``(events,)``.
        probability: Predicted ones, same shape.

    Raises:
        DataError: If lengths differ or a value is not finite.

    References:
        Kullback and Leibler, On Information and Sufficiency, Ann. Math. Statist. 22 (1951).
    """
    true, model = as_column(truth, "the true probabilities"), as_column(probability, "the probabilities")
    if true.shape != model.shape:
        raise DataError(f"{len(true)} true probabilities for {len(model)} predicted ones; give one for each.")
    with np.errstate(divide="ignore"):
        lost = _times_log(true, true) - _times_log(true, model)
        found = _times_log(1.0 - true, 1.0 - true) - _times_log(1.0 - true, 1.0 - model)
    return float(np.mean(lost + found))


def _times_log(weight: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """``weight * log(value)``, zero where the weight is."""
    return np.where(weight > 0.0, weight * np.log(np.where(weight > 0.0, value, 1.0)), 0.0)
