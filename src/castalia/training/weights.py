"""Event weights: what a training can do with them, and how many events they amount to."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor

from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Batch

__all__ = ["WeightSummary", "check_weights", "summarise_weights"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightSummary:
    """Size of a weighted sample.

    Attributes:
        events: Number of events.
        total: Sum of the weights.
        effective: Effective sample size, ``(sum w)**2 / sum w**2``.
        zero: Events of weight zero.
    """

    events: int
    total: float
    effective: float
    zero: int


def summarise_weights(weight: Tensor) -> WeightSummary:
    """Sum up weights in double precision.

    Args:
        weight: Event weights, shape ``(events,)``.
    """
    w = weight.detach().to(torch.float64)
    total, squares = float(w.sum()), float((w * w).sum())
    effective = total * total / squares if squares > 0 else 0.0
    return WeightSummary(len(w), total, effective, int((w == 0).sum()))


def check_weights(batch: Batch, sample: str) -> WeightSummary:
    """Refuse weights that make a weighted likelihood meaningless, and log the effective sample size.

    A negative weight leaves the likelihood unbounded below: the density of that event can be sent to zero.

    Args:
        batch: The events.
        sample: Name in messages, such as ``"training"``.

    Raises:
        DataError: If there is no event, a weight is not finite, or all are zero.
        ConfigError: If weights are negative.
    """
    weight = batch.weight
    if len(weight) == 0:
        raise DataError(f"there are no {sample} events; add files, or check the selection and the split.")
    bad = torch.nonzero(~torch.isfinite(weight))
    if len(bad):
        raise DataError(
            f"the weight column has {len(bad)} values among the {sample} events that are not finite "
            f"(first in row {int(batch.index[bad[0]])}); drop or mend them."
        )
    negative = int((weight < 0).sum())
    if negative:
        remedy = "set positive_reweighting = true in [training] to put positive ones in their place"
        if batch.condition.objects or batch.target.objects:
            remedy = "train on a sample without: positive_reweighting knows no lists of objects"
        raise ConfigError(
            f"{negative} of {len(weight)} {sample} events have negative weights, for which a weighted likelihood has "
            f"no minimum; {remedy}."
        )
    summary = summarise_weights(weight)
    if summary.total <= 0:
        raise DataError(f"all {len(weight)} {sample} events have weight zero; check the weight column.")
    unequal = logging.INFO if summary.effective < 0.999 * summary.events else logging.DEBUG
    level = logging.WARNING if summary.effective < 0.1 * summary.events else unequal
    logger.log(
        level,
        "%s sample: %d events, effective size %.1f, %d of weight zero",
        sample,
        summary.events,
        summary.effective,
        summary.zero,
    )
    return summary
