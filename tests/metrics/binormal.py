"""Scores whose ROC curve is known: background normal around 0, signal around ``SHIFT``, both of width one."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from castalia.metrics.scored import ScoredEvents, scored_events
from castalia.rng import Stream

SHIFT = 1.2


def binormal(background: int, signal: int, counter: int = 0, shift: float = SHIFT) -> ScoredEvents:
    """Return events of both classes, the background first."""
    score = Stream(81, "binormal").at(counter).normal(size=background + signal)
    kind = np.repeat([False, True], [background, signal])
    return scored_events(score + shift * kind, kind)


def true_background(signal: np.ndarray, shift: float = SHIFT) -> np.ndarray:
    """Return the background efficiency at a signal efficiency."""
    return norm.sf(norm.isf(signal) + shift)


def true_auc(shift: float = SHIFT) -> float:
    return float(norm.cdf(shift / np.sqrt(2.0)))
