"""The efficiency of a run in use: drawn in sampling, judged by closure."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.data.features import Features
from castalia.estimators.arrays import events_from_array, to_numpy
from castalia.estimators.efficiency import EfficiencyModel
from castalia.metrics.efficiency import EfficiencyCheck, efficiency_checks

__all__ = ["PROBABILITY", "closure", "probabilities"]

PROBABILITY = "efficiency"
"""Column of the probability in sampled files."""

CHUNK = 65_536


def probabilities(model: EfficiencyModel, condition: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that each event is reconstructed, shape ``(rows,)``."""
    with torch.inference_mode():
        pieces = [
            to_numpy(model.probability(events_from_array(condition[start : start + CHUNK])))
            for start in range(0, len(condition), CHUNK)
        ]
    return np.concatenate([np.empty(0), *pieces]).astype(np.float64)


def closure(
    model: EfficiencyModel, features: Features, condition: NDArray[np.float64], found: NDArray[np.bool_]
) -> tuple[EfficiencyCheck, ...]:
    """Compare predicted with counted efficiencies in bins of each condition, and of all events."""
    variables = features.layout.condition
    return efficiency_checks([v.name for v in variables], condition, probabilities(model, condition), found)
