"""The ratio of two densities from samples of both, by a classifier: what a reweighting is made of."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from castalia.apps.unfold.background import positive_weights
from castalia.apps.unfold.events import MeasuredEvents
from castalia.apps.unfold.normal_scores import NormalScores, normal_scores
from castalia.data.layout import Layout, Variable
from castalia.data.strict import StrictModel
from castalia.estimators.arrays import batch_from_arrays, events_from_array, to_numpy
from castalia.estimators.efficiency import EfficiencyModel, EfficiencyModelConfig
from castalia.estimators.registry import build
from castalia.metrics.arrays import effective_events
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

__all__ = ["DensityRatio", "FittedRatio", "RatioConfig", "fit_ratio", "without_notes"]

Array = NDArray[np.float64]

_HELD_OUT = 0.2
"""Part of the events that stops the training and measures how far the two samples are apart."""

_CHUNK = 65_536


@final
class RatioConfig(StrictModel):
    """How a ratio is learned.

    Attributes:
        hidden: Widths of the classifier's hidden layers: with two of them a narrow peak is learned over many passes.
        largest: Bound on the ratio of the normalised densities, and on its inverse.
        training: How the classifier is trained; the seed is the caller's.
    """

    hidden: tuple[int, ...] = Field(default=(64, 64, 64), min_length=1)
    largest: float = Field(default=100.0, gt=1.0, allow_inf_nan=False)
    training: TrainingConfig = TrainingConfig(
        epochs=10, batch_size=1024, learning_rate=1e-3, schedule="cosine", ema=0.99, patience=4
    )


@final
@dataclass(frozen=True)
class DensityRatio:
    """A bounded ratio of two densities as a function of the features.

    Attributes:
        model: The classifier; the odds of its second class are the ratio of the normalised densities.
        scores: What it sees of the features.
        scale: Factor on those odds.
        largest: Bound on the odds, and on their inverse.
    """

    model: EfficiencyModel
    scores: NormalScores
    scale: float
    largest: float

    def __call__(self, features: Array) -> Array:
        """Evaluate the ratio at features of shape ``(events, features)``; positive, shape ``(events,)``."""
        return self.scale * np.exp(self._bounded(features))

    def at_bound(self, features: Array) -> float:
        """Return the fraction of events whose ratio is at its upper bound."""
        return float(np.mean(self._bounded(features) >= math.log(self.largest)))

    def scaled(self, features: Array, weights: Array, total: float) -> DensityRatio:
        """Return the ratio in the normalisation in which the reweighted events sum up to ``total``."""
        scale = self.scale * total / float(weights @ self(features))
        return DensityRatio(self.model, self.scores, scale, self.largest)

    @torch.no_grad()
    def _bounded(self, features: Array) -> Array:
        bound = math.log(self.largest)
        chunks = [features[start : start + _CHUNK] for start in range(0, len(features), _CHUNK)]
        logits = [to_numpy(self.model.logits(events_from_array(self.scores(chunk)))[:, 1]) for chunk in chunks]
        return np.clip(np.concatenate(logits).astype(np.float64), -bound, bound)


@final
@dataclass(frozen=True)
class FittedRatio:
    """A learned ratio and how far the samples are apart.

    Attributes:
        ratio: The ratio, numerator over denominator, normalisation included.
        divergence: Lower bound of the Jensen-Shannon divergence of the two normalised densities in nats, by held-out
            events: 0 where the classifier cannot tell them apart, slightly negative by fluctuation, at most log 2.
        divergence_error: Its statistical error where the samples do not differ.
    """

    ratio: DensityRatio
    divergence: float
    divergence_error: float


def fit_ratio(
    numerator: tuple[Array, Array],
    denominator: tuple[Array, Array],
    variables: Sequence[Variable],
    config: RatioConfig,
    seed: int,
    start: DensityRatio | None = None,
    each: int = 1,
) -> FittedRatio:
    """Learn the ratio of two weighted samples.

    Rows of the same number are held out together, so that a sample may be compared with itself under other weights.
    Only the average of the weights at the same features matters to a ratio: where a sample has weights of both signs,
    positive ones of the same average are learned from.

    Args:
        numerator: Features, shape ``(events, features)``, and weights of either sign, shape ``(events,)``.
        denominator: Likewise.
        variables: The features.
        config: How it is learned.
        seed: Decides the held-out events, the initial weights and the order of events.
        start: An earlier ratio of the same features, where the training begins; ``None`` to begin anew.
        each: Rows of an event in both samples, one below the other, which are held out together.

    Raises:
        ConfigError: If the weights of a sample do not add up to a positive number.

    References:
        Sugiyama, Suzuki and Kanamori, Density Ratio Estimation in Machine Learning (2012), chapter 4.
    """
    settings = EfficiencyModelConfig(hidden=config.hidden, activation="silu", embedding_bins=0)
    with without_notes():
        features, label, weight, held_out = _rows(numerator, denominator, seed, each)
        keep = ~held_out
        if start is None:
            scores = normal_scores(features[keep], weight[keep], variables)
            layout = Layout(scores.variables, (Variable("numerator"),))
            model: Any = build("efficiency", settings.model_dump(), layout, seed)
        else:
            scores, model = start.scores, copy.deepcopy(start.model)
        seen = scores(features)
        result = fit(
            model,
            batch_from_arrays(seen[keep], label[keep, None], weight[keep]),
            batch_from_arrays(seen[held_out], label[held_out, None], weight[held_out]),
            config.training.model_copy(update={"seed": seed}),
            names=([v.name for v in variables], ["numerator"]),
        )
    ratio = DensityRatio(model, scores, float(numerator[1].sum() / denominator[1].sum()), config.largest)
    loss = math.log(2.0) if result.best_value is None else result.best_value
    logits = np.log(ratio(features[held_out]) / ratio.scale)
    # The spread of the loss of one event, as if its class were drawn from the classifier's own probability.
    spread = float(np.average(np.square(0.5 * logits), weights=weight[held_out]))
    return FittedRatio(ratio, math.log(2.0) - loss, math.sqrt(spread / effective_events(weight[held_out])))


@contextmanager
def without_notes() -> Iterator[None]:
    """Leave out what a training says of its weights: an unfolding trains hundreds of classifiers."""
    loggers = [logging.getLogger(f"castalia.training.{name}") for name in ("weights", "reweighting")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _rows(
    numerator: tuple[Array, Array], denominator: tuple[Array, Array], seed: int, each: int
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Put both samples together with equal sums of weights; return features, labels, weights and what is held out."""
    parts = [positive_weights(MeasuredEvents(*one), seed) for one in (denominator, numerator)]
    sizes = [len(one.weights) for one in parts]
    features = np.concatenate([one.detector for one in parts])
    label = np.repeat([0.0, 1.0], sizes)
    weight = np.concatenate([0.5 * sum(sizes) * one.weights / one.weights.sum() for one in parts])
    stream = Stream(seed, "events held out of a ratio")
    held_out = np.concatenate([np.repeat(stream.at().random(size // each) < _HELD_OUT, each) for size in sizes])
    return features, label, weight, held_out
