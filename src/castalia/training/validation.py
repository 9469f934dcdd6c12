"""Losses on validation events."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from castalia.errors import MachineError
from castalia.estimators.base import Batch, Losses, Objective
from castalia.rng import Stream
from castalia.training.diagnosis import VariableNames, diverged
from castalia.training.step import weighted_sums

__all__ = ["CHUNK", "validation_losses"]

logger = logging.getLogger(__name__)

CHUNK = 8192
"""Events evaluated at a time."""

LARGEST_EXCLUDED = 0.01
"""Largest part of the validation events that may lie outside the model's support."""


def validation_losses(
    objectives: Sequence[Objective], batch: Batch, seed: int, names: VariableNames, place: str
) -> tuple[dict[str, float], int]:
    """Return weighted mean losses over validation events, with the same random numbers in every epoch.

    A model of limited support gives a few unseen events an infinite loss. Up to 1 % of them are left out of the
    mean, counted, and reported in the history.

    Args:
        objectives: Objectives of the phase.
        batch: Validation events.
        seed: Seed of the training.
        names: Names of the columns, for messages.
        place: Epoch, for messages.

    Returns:
        Means by objective and ``objective/term``, and the number of events left out.

    Raises:
        MachineError: If a loss is NaN, or infinite for more than 1 % of the events.
    """
    means: dict[str, float] = {}
    excluded = 0
    for objective in objectives:
        sums: dict[str, float] = {}
        weight, outside = 0.0, 0
        for number, chunk in enumerate(batch.chunks(CHUNK)):
            with torch.no_grad():
                losses = objective.loss(chunk, Stream(seed, "validation loss", objective.name).at(number))
            if bool(torch.isnan(losses.total).any()):
                raise diverged(f"validation loss '{objective.name}' is nan", place, chunk, losses, names)
            finite = torch.isfinite(losses.total)
            outside += len(chunk) - int(finite.sum())
            inside = Losses(losses.total[finite], {name: values[finite] for name, values in losses.terms.items()})
            weight += float(chunk.weight[finite].sum())
            for name, value in weighted_sums(objective, inside, chunk.weight[finite]).items():
                sums[name] = sums.get(name, 0.0) + value
        if outside > LARGEST_EXCLUDED * len(batch) or weight <= 0:
            raise MachineError(
                f"{place}: the validation loss '{objective.name}' is infinite for {outside} of {len(batch)} events, "
                "which lie outside the model's support; widen its scale or bounds, or restrict the data to it."
            )
        excluded = max(excluded, outside)
        means |= {name: value / weight for name, value in sums.items()}
    if excluded:
        logger.warning("%s: %d of %d validation events are outside the model's support", place, excluded, len(batch))
    return means, excluded
