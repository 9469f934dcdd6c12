"""The events of a run as its models are trained on them: loaded, checked, without those no model can learn from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from castalia.data.feature_arrays import FeatureArrays
from castalia.data.loading import LoadedArrays, content_keys
from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch, Estimator
from castalia.runs.efficiency import check_found, efficiency_batch
from castalia.runs.inputs import Inputs
from castalia.training.config import TrainingConfig
from castalia.training.weights import check_weights

__all__ = ["CHUNK", "LearnedEvents", "learned_batch", "learned_events", "load_checked"]

log = logging.getLogger(__name__)

CHUNK = 65_536
"""Events at a time in a pass that measures scalings."""


@final
@dataclass(frozen=True)
class LearnedEvents:
    """What one model is trained on.

    Attributes:
        training: Events to learn from.
        validation: Events that choose the best epoch.
        seen: Content keys of both, before any was left out.
        counts: Events learned from and left out, by what happened to them; ``unselected`` are those of which only the
            efficiency takes notice, if anything does.
    """

    training: Batch
    validation: Batch
    seen: NDArray[np.uint64]
    counts: dict[str, int]


def load_checked(
    inputs: Inputs, split: Literal["train", "validation"], skip_bad: int, training: TrainingConfig, flag: str
) -> LoadedArrays:
    """Load a split and refuse what no model could be trained on.

    Args:
        inputs: The files.
        split: Which of their events.
        skip_bad: Number of unusable rows to leave out and count.
        training: How the model is trained.
        flag: Where the configuration names the column that tells lost events, for messages: ``"[efficiency]"``.

    Raises:
        ConfigError: If weights are negative and the training does not provide for it.
        DataError: If a row cannot be used, no event is left, or all are found or lost where both are needed.
    """
    loaded, efficiency = inputs.load(split, skip_bad), inputs.features.efficiency
    if split == "train" and efficiency is not None and loaded.arrays.found is not None:
        check_found(loaded.arrays.found, efficiency.column, tuple(loaded.hashes), flag)
    if not training.positive_reweighting:
        every = efficiency_batch(loaded.arrays)  # the lost events as well, where there are any
        check_weights(learned_batch(loaded) if every is None else every, "training" if split == "train" else split)
    return loaded


def learned_batch(loaded: LoadedArrays) -> Batch:
    """Return the reconstructed events with their targets.

    Raises:
        DataError: If the files have no target columns.
    """
    arrays = loaded.arrays.reconstructed
    if arrays.target is None:
        raise DataError("The files hold no target columns to learn from; name files with reconstructed columns.")
    # The index is the row in the files, so that a message about an event can name it.
    return batch_from_arrays(arrays.condition, arrays.target, arrays.weight, index=arrays.row, objects=arrays.objects)


def learned_events(estimator: Estimator, training: LoadedArrays, validation: LoadedArrays) -> LearnedEvents:
    """Prepare a model and return the events that it can learn from.

    Args:
        estimator: The model; its scalings are measured here, because they decide its support.
        training: The training split.
        validation: The validation split.

    Raises:
        DataError: If a variable is constant, a list has no object, or a value cannot be used.
    """
    _refuse_empty_lists(training.arrays.reconstructed)
    every = learned_batch(training)
    estimator.prepare(every.chunks(CHUNK))
    kept, dropped = _inside_support(estimator, every)
    valid, _ = _inside_support(estimator, learned_batch(validation))
    both = (training, validation)
    log.info("%s: %d training and %d validation events", type(estimator).__name__, len(kept), len(valid))
    return LearnedEvents(
        kept,
        valid,
        np.concatenate([content_keys(loaded.arrays) for loaded in both]),
        {
            "training_events": len(kept),
            "validation_events": len(valid),
            "outside_model_support": dropped,
            "unselected": sum(loaded.counts["unselected"] + _lost(loaded) for loaded in both),
            **{what: sum(loaded.counts[what] for loaded in both) for what in ("skipped", "incomplete")},
        },
    )


def _refuse_empty_lists(arrays: FeatureArrays) -> None:
    for name, one in arrays.objects.items():
        if not one.mask[arrays.weight != 0.0].any():
            raise DataError(
                f"The list '{name}' of the condition has no object in any training event; leave it out, or train on "
                "events that have some."
            )


def _lost(loaded: LoadedArrays) -> int:
    found = loaded.arrays.found
    return 0 if found is None else int((~found).sum())


def _inside_support(estimator: Estimator, batch: Batch) -> tuple[Batch, int]:
    """Leave out events that the model cannot give a density, such as those beyond the paper's tanh."""
    support = getattr(estimator, "support", None)
    if support is None:
        return batch, 0
    low: Tensor
    high: Tensor
    low, high = support()
    values = batch.target.flat
    inside = ((values > low) & (values < high)).all(dim=1)
    dropped = int((~inside).sum())
    if dropped:
        log.warning("%d of %d events lie outside the model's support and are left out", dropped, len(batch))
        return batch.take(inside), dropped
    return batch, 0
