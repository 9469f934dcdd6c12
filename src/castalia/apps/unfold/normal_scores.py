"""Features with a normal distribution each, from which a classifier learns ends and thresholds as well as the bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.data.layout import Variable
from castalia.estimators.gaussianise import Gaussianisation

__all__ = ["NormalScores", "normal_scores"]

Array = NDArray[np.float64]

_CONSTANT: Final = 1e-12  # widths of the mean below which a spread is rounding


@final
@dataclass(frozen=True)
class NormalScores:
    """An increasing map of each feature that gives it a standard normal distribution: straight lines between quantiles.

    Angles, integers and variables with peaks stay as they are.

    Attributes:
        variables: What the mapped features are.
        columns: Places of the features that are mapped, increasing.
        positions: Their values at the knots, increasing, shape ``(columns, knots)``.
        scores: The normal scores of the knots, shape ``(knots,)``.
        ends: Slopes below the first and above the last knot, at most the mean slope between, shape ``(columns, 2)``.
    """

    variables: tuple[Variable, ...]
    columns: tuple[int, ...]
    positions: Array
    scores: Array
    ends: Array

    def __call__(self, features: Array) -> Array:
        """Map features of shape ``(events, features)`` to as many others."""
        mapped = np.array(features, dtype=np.float64)
        for column, knots, (low, high) in zip(self.columns, self.positions, self.ends, strict=True):
            values = mapped[:, column]
            beyond = low * np.minimum(values - knots[0], 0.0) + high * np.maximum(values - knots[-1], 0.0)
            mapped[:, column] = np.interp(values, knots, self.scores) + beyond
        return mapped


def normal_scores(features: Array, weights: Array, variables: Sequence[Variable]) -> NormalScores:
    """Find the map for a sample.

    Args:
        features: Shape ``(events, features)``, finite.
        weights: Not negative, shape ``(events,)``.
        variables: The features.
    """
    columns = [i for i, v in enumerate(variables) if v.transform != "angle" and not (v.integer or v.peaks)]
    chosen = features[:, columns]
    mean, width = chosen.mean(axis=0), chosen.std(axis=0)
    width = np.where(width > _CONSTANT * np.abs(mean), width, 1.0)
    fit = Gaussianisation(len(columns))
    fit.update(torch.from_numpy(chosen - mean), torch.from_numpy(weights))
    fit.finish(torch.zeros(len(columns)), torch.from_numpy(width))
    scores, scaled = fit.scores.double().numpy(), fit.positions.double().numpy()
    # Where the ends are one value each, as of counts, the map is steep there and must not be beyond.
    mean_slope = (scores[-1] - scores[0]) / (scaled[:, -1:] - scaled[:, :1])
    ends = np.minimum(fit.slopes.double().numpy()[:, [0, -1]], mean_slope) / width[:, None]
    mapped = [Variable(v.name) if i in columns else v for i, v in enumerate(variables)]
    positions = mean[:, None] + width[:, None] * scaled
    return NormalScores(tuple(mapped), tuple(columns), positions, scores, ends)
