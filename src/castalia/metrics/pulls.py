"""Centres and widths that turn targets into pulls where none is known: fitted as functions of the conditions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from castalia.metrics.arrays import as_columns

__all__ = ["fitted_location", "fitted_pull_scale"]

_FOLDS = 3
_ROBUST_STEPS = 25
"""After 8 steps, one per cent of outliers 10,000 widths away still moved the centres by 0.7 widths."""


def fitted_pull_scale(condition: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the centre and the typical spread of each target as functions of the conditions.

    The logarithm of the distance from the centre is regressed on the conditions by boosted trees; a common factor per
    target makes the median pull one robust standard deviation. Only ratios of pull widths mean anything. Centre and
    width of a row come from fits that saw neither the row nor its fold: with its own targets seen, true pulls came out
    narrower than generated ones by 8 % at 5,000 events and 2.5 % at 20,000, and a perfect model failed the gate.

    Args:
        condition: Conditions, shape ``(events, conditions)``.
        target: Targets, shape ``(events, targets)``.

    Returns:
        Centres and positive widths in each target's unit, both of shape ``(events, targets)``; the pulls are
        ``(target − centre) / width``.

    Raises:
        DataError: If a value is not finite.
    """
    given, table = as_columns(condition, "the conditions"), as_columns(target, "the targets")
    location, width = fitted_location(given, table), np.empty_like(table)
    fold = np.arange(len(table)) % _FOLDS
    for i, column in enumerate((table - location).T):
        size = np.empty(len(table))
        for held in range(_FOLDS):
            away, here = fold != held, fold == held
            size[here] = np.exp(predict_log_size(given[away], column[away], given[here]))
        width[:, i] = size * robust_spread(column / size)
    return location, width


def fitted_location(condition: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Fit the centre of each target as a function of the conditions, cross-validated in three folds.

    Args:
        condition: Conditions, shape ``(events, conditions)``.
        target: Targets, shape ``(events, targets)``.

    Returns:
        Centres in each target's unit, shape ``(events, targets)``; a row's own fold took no part in its fit.

    Raises:
        DataError: If a value is not finite.
    """
    given, table = as_columns(condition, "the conditions"), as_columns(target, "the targets")
    location, fold = np.empty_like(table), np.arange(len(table)) % _FOLDS
    for i, column in enumerate(table.T):
        for held in range(_FOLDS):
            away, here = fold != held, fold == held
            location[here, i] = predict_location(given[away], column[away], given[here])
    return location


def predict_location(
    condition: NDArray[np.float64], column: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit a target's conditional median by a robust straight line and boosted trees on what is left; predict it.

    Trees alone are steps: where a target follows its truth over many of its widths, they would leave it inside the
    width of a step, hence the line.
    """
    mean, spread = condition.mean(axis=0), condition.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    design, there = (np.column_stack([np.ones(len(rows)), (rows - mean) / scale]) for rows in (condition, at))
    line = _robust_line(design, column)
    left = column - design @ line
    unit = robust_spread(left)
    # The trees' regularisation is not free of units.
    fitted = _trees("absolute_error").fit(condition, left / unit).predict(at)
    return np.asarray(there @ line + unit * fitted, dtype=np.float64)


def predict_log_size(
    condition: NDArray[np.float64], centred: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit the mean logarithm of a centred target's size by boosted trees, and predict it."""
    # A target exactly at its centre has no logarithm; a thousandth of the typical size stands for it.
    smallest = 1e-3 * robust_spread(centred)
    trees = _trees("squared_error").fit(condition, np.log(np.maximum(np.abs(centred), smallest)))
    return np.asarray(trees.predict(at), dtype=np.float64)


def robust_spread(centred: NDArray[np.float64]) -> float:
    """Return the robust standard deviation of centred values, above zero.

    Where more than half of them are equal, as of a count that is mostly zero, the median distance vanishes and the
    standard deviation takes its place.
    """
    distance = np.abs(centred)
    median = float(np.median(distance))
    spread = 1.4826 * median if median > 0.01 * float(distance.mean()) else float(np.std(centred))
    return spread + float(np.finfo(float).tiny)


def _robust_line(design: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Regress with Huber's weights, so that a few far outliers do not tilt the line."""
    weight = np.ones(len(column))
    line: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(_ROBUST_STEPS):
        root = np.sqrt(weight)
        line = np.asarray(np.linalg.lstsq(design * root[:, None], column * root, rcond=None)[0], dtype=np.float64)
        left = np.abs(column - design @ line)
        weight = 1.0 / np.maximum(1.0, left / (1.5 * robust_spread(left)))
    return line


def _trees(loss: str) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss=loss, max_iter=40, max_leaf_nodes=24, early_stopping=False, random_state=0
    )
