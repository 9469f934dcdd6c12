"""Training of an efficiency beside the model of a run: which events were kept, given the same conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.data.features import FeatureArrays, Features
from castalia.data.layout import Layout, Variable
from castalia.data.loading import LoadedArrays
from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch
from castalia.estimators.registry import build
from castalia.runs.configuration import TRAINING_OTHERWISE
from castalia.runs.fitting import ModelTask
from castalia.training.config import TrainingConfig

__all__ = ["EFFICIENCY", "check_found", "efficiency_batch", "efficiency_task"]

EFFICIENCY = "efficiency"
"""Name of the efficiency among the models of a run."""

# On 40k events with a crack of 3 % of the range in eta these halved the excess log-loss, on 200k they took a fifth off.
STEPS: dict[str, Any] = {"batch_size": 1024, "learning_rate": 5e-3}


def efficiency_task(
    features: Features,
    training: LoadedArrays,
    validation: LoadedArrays,
    settings: TrainingConfig,
    options: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> ModelTask | None:
    """Return the training of the probability that an event is reconstructed; ``None`` where nothing says so.

    It is trained as the default preset in more steps, whatever the model beside it needs.

    Args:
        features: The variables of the model beside it; the efficiency has the same conditions.
        training: Training events, the lost ones included.
        validation: Validation events, likewise.
        settings: How the model beside it is trained.
        options: Options of the estimator ``efficiency``.
        extra: What is saved beside it.
    """
    learned, chosen = efficiency_batch(training.arrays), efficiency_batch(validation.arrays)
    if features.efficiency is None or learned is None:
        return None
    same = {"seed": settings.seed, "positive_reweighting": settings.positive_reweighting}
    own = TrainingConfig.model_validate({**TRAINING_OTHERWISE, **STEPS, **same})
    layout = Layout(features.layout.condition, (Variable(features.efficiency.column, integer=True),))
    return ModelTask(EFFICIENCY, build("efficiency", options, layout, own.seed), layout, learned, chosen, own, extra)


def check_found(found: NDArray[np.bool_], column: str, paths: Sequence[str], declared: str) -> None:
    """Refuse events that are all reconstructed or all lost.

    Args:
        found: Whether each event was reconstructed, shape ``(events,)``.
        column: The column that says so.
        paths: The files.
        declared: Where the configuration names the column, to be taken away: ``"[efficiency]"``.

    Raises:
        DataError: If ``column`` is 0, or 1, in all training events.
    """
    if found.all():
        raise DataError(
            f"{', '.join(paths)}: column '{column}' is 1 in all {len(found)} training events, so there is no "
            f"efficiency to learn; give the lost events as well, or take {declared} away."
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
