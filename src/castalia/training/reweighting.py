"""Positive weights in place of weights of both signs, with the same average at every point.

Where events of both signs overlap, only the mean of their weights matters to a density. A classifier learns the
probability ``p(x)`` that an event is positive, each event counted with the magnitude of its weight; the new weight is
``|w| (2 p(x) - 1)``, whose local average is that of ``w``. Predictions are cross-fitted: no event is judged by a
classifier that has seen it.

References:
    Nachman and Thaler, A neural resampler for Monte Carlo reweighting with preserved uncertainties (2020).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Events
from castalia.rng import Stream

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

__all__ = ["reweight_positive"]

logger = logging.getLogger(__name__)

FOLDS = 5
FEWEST = 20
"""Events of a sign below which there is nothing to learn, and the probability is taken to be the same everywhere."""

SMALLEST = 1e-3
"""Smallest ``2 p - 1`` kept, so that no event of the sample vanishes."""


def reweight_positive(train: Batch, validation: Batch | None, seed: int) -> tuple[Batch, Batch | None]:
    """Replace the weights of both samples by positive ones; the sum of each sample's weights stays.

    Validation events are judged by the classifiers of the training events. Samples without negative weights come
    back unchanged.

    Args:
        train: Training events.
        validation: Validation events, if any.
        seed: Seed of the training; decides folds and trees.

    Raises:
        ConfigError: If the events are lists of objects, or a sample's weights do not add up to a positive number.
    """
    if not bool((train.weight < 0).any()) and not (validation is not None and bool((validation.weight < 0).any())):
        return train, validation
    features, weight = _features(train), train.weight.double().numpy()
    fold = Stream(seed, "reweighting folds").at().permutation(len(train)) % FOLDS
    trees = [_classifier(features[fold != k], weight[fold != k], seed, k) for k in range(FOLDS)]
    factor = np.empty(len(train))
    for k in range(FOLDS):
        factor[fold == k] = _factor([trees[k]], features[fold == k])
    changed = dataclasses.replace(train, weight=_rescaled(train.weight, factor, "training"))
    if validation is None:
        return changed, None
    new = _rescaled(validation.weight, _factor(trees, _features(validation)), "validation")
    return changed, dataclasses.replace(validation, weight=new)


def _features(batch: Batch) -> NDArray[np.float64]:
    if batch.condition.objects or batch.target.objects:
        raise ConfigError(
            "positive_reweighting works on flat columns only; leave out the lists of objects, or unset it."
        )
    sides: list[Events] = [batch.condition, batch.target]
    return np.concatenate([side.flat.double().numpy() for side in sides], axis=1)


def _classifier(
    features: NDArray[np.float64], weight: NDArray[np.float64], seed: int, fold: int
) -> HistGradientBoostingClassifier | float:
    """Learn the probability of a positive sign; one number where a sign is too rare to learn from."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, weight = features[weight != 0], weight[weight != 0]
    positive, magnitude = weight > 0, np.abs(weight)
    if min(positive.sum(), (~positive).sum()) < FEWEST:
        return float(magnitude[positive].sum() / magnitude.sum()) if len(weight) else 1.0
    state = Stream(seed, "reweighting trees").integer(2**31, fold)
    # Noise in the factor turns into a positive bias where signs cancel, so the trees are kept coarse.
    leaf = max(20, min(200, len(weight) // 50))
    trees = HistGradientBoostingClassifier(
        max_iter=300, max_leaf_nodes=8, min_samples_leaf=leaf, early_stopping=True, random_state=state
    )
    trees.fit(features, positive, sample_weight=magnitude / magnitude.mean())
    return trees


def _factor(
    classifiers: Sequence[HistGradientBoostingClassifier | float], features: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``2 p - 1``, at least `SMALLEST`, averaged over classifiers."""
    probability = np.zeros(len(features))
    for known in classifiers:
        probability += known if isinstance(known, float) else known.predict_proba(features)[:, 1]
    factor: NDArray[np.float64] = 2.0 * probability / len(classifiers) - 1.0
    clipped = int((factor < SMALLEST).sum())
    if clipped:
        logger.warning(
            "positive reweighting: %d of %d events lie where negative weights prevail; each keeps %g of its weight",
            clipped,
            len(features),
            SMALLEST,
        )
    return np.maximum(factor, SMALLEST)


def _rescaled(weight: Tensor, factor: NDArray[np.float64], sample: str) -> Tensor:
    old = weight.double().numpy()
    total = old.sum()
    if total <= 0:
        raise ConfigError(
            f"the weights of the {sample} events add up to {total:g}; positive weights cannot stand for them: "
            "check the weight column."
        )
    new = np.abs(old) * factor
    return torch.from_numpy(new * (total / new.sum())).to(weight.dtype)
