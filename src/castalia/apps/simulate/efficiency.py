"""The efficiency of a run: learned from which events were reconstructed, drawn in sampling, judged by closure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.simulate.config import TRAINING_OTHERWISE, SimulateConfig
from castalia.data.features import FeatureArrays, Features
from castalia.data.layout import Layout, Variable
from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays, events_from_array, to_numpy
from castalia.estimators.base import Batch
from castalia.estimators.efficiency import EfficiencyModel
from castalia.metrics.efficiency import EfficiencyCheck, efficiency_checks
from castalia.training.config import TrainingConfig

__all__ = [
    "PROBABILITY",
    "check_found",
    "closure",
    "efficiency_batch",
    "efficiency_layout",
    "efficiency_training",
    "probabilities",
]

PROBABILITY = "efficiency"
"""Column of the probability in sampled files."""

CHUNK = 65_536
# On 40k events with a crack of 3 % of the range in eta these halved the excess log-loss, on 200k they took a fifth off.
STEPS = {"batch_size": 1024, "learning_rate": 5e-3}


def efficiency_layout(response: Layout, column: str) -> Layout:
    """Return the conditions of the response, and the 0/1 ``column`` as the one target."""
    return Layout(response.condition, (Variable(column, integer=True),))


def efficiency_training(config: SimulateConfig) -> TrainingConfig:
    """Return how the efficiency is trained, whatever the response needs: as the default preset, in more steps."""
    same = {"seed": config.training.seed, "positive_reweighting": config.training.positive_reweighting}
    return TrainingConfig.model_validate({**TRAINING_OTHERWISE, **STEPS, **same})


def check_found(found: NDArray[np.bool_], column: str, paths: Sequence[str]) -> None:
    """Refuse events that are all reconstructed or all lost.

    Raises:
        DataError: If ``column`` is 0, or 1, in all training events.
    """
    if found.all():
        raise DataError(
            f"{', '.join(paths)}: column '{column}' is 1 in all {len(found)} training events, so there is no "
            "efficiency to learn; give the lost events as well, or take [efficiency] away."
        )
    if not found.any():
        raise DataError(
            f"{', '.join(paths)}: column '{column}' is 0 in all {len(found)} training events, so there is no response "
            "to learn; correct the column, or give reconstructed events as well."
        )


def efficiency_batch(arrays: FeatureArrays) -> Batch | None:
    """Return all events with whether they were reconstructed as the target; ``None`` where nothing says so."""
    if arrays.found is None:
        return None
    return batch_from_arrays(arrays.condition, arrays.found[:, None], arrays.weight, index=arrays.row)


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
