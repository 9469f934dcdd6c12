"""Where the truth is analytic: the Kullback–Leibler divergence per event, and the best possible classifier's AUC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from castalia.errors import DataError
from castalia.metrics.arrays import as_column, as_weights
from castalia.metrics.auc import AucEstimate, auc

__all__ = ["Divergence", "exact_auc", "kl_per_event"]


@dataclass(frozen=True)
class Divergence:
    """Kullback–Leibler divergence of the model from the truth.

    Attributes:
        value: Mean of ``log p_true − log q_model`` over true events inside the model's support, in nats.
        error: Its standard error, in nats.
        support: Weighted fraction of true events to which the model gives a density above zero; 1 is complete.
        events: Number of events in the mean.
    """

    value: float
    error: float
    support: float
    events: int


def kl_per_event(log_true: ArrayLike, log_model: ArrayLike, weights: ArrayLike | None = None) -> Divergence:
    """Average the difference of the two log-densities over true events.

    Events that the model cannot produce (``log_model`` is minus infinity) would make the mean infinite; they are left
    out and counted in ``support``. Where the model was trained on truncated events, pass the truncated truth's density.

    Args:
        log_true: Log-density of the truth at the true targets, shape ``(events,)``, in nats.
        log_model: Log-density of the model at the same targets, shape ``(events,)``, in the same units of the target.
        weights: Event weights, shape ``(events,)``.

    Raises:
        DataError: If a log-density is NaN or plus infinity, the truth's is not finite, lengths differ, or the model's
            support holds fewer than two events.
    """
    true = as_column(log_true, "the truth's log-density")
    model = np.asarray(log_model, dtype=np.float64)
    if model.shape != true.shape:
        raise DataError(f"the log-densities have shapes {true.shape} and {model.shape}; give one number an event.")
    bad = np.isnan(model) | (model == np.inf)
    if bad.any():
        raise DataError(
            f"the model's log-density is NaN or infinite in {int(bad.sum())} rows (first in row {int(np.argmax(bad))});"
            " such a model cannot be scored, train it again with a smaller learning rate."
        )
    weight = as_weights(weights, len(true), "the log-densities")
    inside = np.isfinite(model)
    if int(inside.sum()) < 2:
        raise DataError(
            f"the model gives a density to {int(inside.sum())} of {len(true)} events; two are needed for a mean."
        )
    ratio, kept = (true - np.where(inside, model, 0.0))[inside], weight[inside]
    value = float(np.average(ratio, weights=kept))
    # The error of a weighted mean, from its own residuals: it holds for any weights.
    error = float(np.sqrt(np.square(kept * (ratio - value)).sum()) / kept.sum())
    return Divergence(value, error, float(kept.sum() / weight.sum()), int(inside.sum()))


def exact_auc(log_ratio_on_truth: ArrayLike, log_ratio_on_generated: ArrayLike, *, paired: bool = False) -> AucEstimate:
    """Measure the AUC of the best possible classifier, whose score is the exact log-ratio of the two densities.

    Args:
        log_ratio_on_truth: ``log q_model − log p_true`` at true targets, shape ``(events,)``; minus infinity is
            allowed.
        log_ratio_on_generated: The same at generated targets, shape ``(generated,)``; plus infinity is allowed.
        paired: Whether row i of both has the same conditions.

    Raises:
        DataError: If a ratio is NaN, or fewer than two are given.

    References:
        Neyman and Pearson, Phil. Trans. R. Soc. A 231 (1933): no score separates two densities better than their ratio.
    """
    return auc(log_ratio_on_truth, log_ratio_on_generated, paired=paired)
