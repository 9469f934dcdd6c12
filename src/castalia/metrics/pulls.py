"""Widths to divide responses by where none is known: fitted to the truth as a function of the conditions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from castalia.metrics.arrays import as_columns

__all__ = ["fitted_widths"]


def fitted_widths(condition: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Fit the typical size of each target as a function of the conditions.

    The logarithm of the distance from the median is regressed on the conditions by boosted trees; a common factor per
    target makes the median pull one robust standard deviation. Only ratios of pull widths mean anything. The width of a
    row comes from trees that saw neither the row nor its fold: with its own targets seen, true pulls came out narrower
    than generated ones by 8 % at 5,000 events and 2.5 % at 20,000, and a perfect model failed the gate.

    Args:
        condition: Conditions, shape ``(events, conditions)``.
        target: Targets, shape ``(events, targets)``.

    Returns:
        Positive widths in each target's unit, shape ``(events, targets)``.

    Raises:
        DataError: If a value is not finite.
    """
    given, table = as_columns(condition, "the conditions"), as_columns(target, "the targets")
    widths, fold = np.empty_like(table), np.arange(len(table)) % 3
    for i, column in enumerate(table.T):
        distance = np.abs(column - np.median(column))
        # A target exactly at its median has no logarithm; a thousandth of the typical size stands for it.
        smallest = 1e-3 * np.median(distance) + np.finfo(float).tiny
        logarithm, size = np.log(np.maximum(distance, smallest)), np.empty(len(table))
        for held in (fold == 0, fold == 1, fold == 2):
            trees = HistGradientBoostingRegressor(max_iter=40, max_leaf_nodes=24, early_stopping=False, random_state=0)
            size[held] = np.exp(trees.fit(given[~held], logarithm[~held]).predict(given[held]))
        widths[:, i] = size * (1.4826 * np.median(distance / size) + np.finfo(float).tiny)
    return widths
