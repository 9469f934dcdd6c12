"""The efficiency of a reconstruction: the probability that an event is reconstructed at all, given its truth."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError, DataError
from castalia.estimators.base import Batch, Classifier, Estimator, Events, Losses, Objective
from castalia.estimators.condition_encoding import ConditionEncoding, require_condition
from castalia.nn.activation import Activation
from castalia.nn.mlp import MLP

__all__ = ["EfficiencyModel", "EfficiencyModelConfig"]


@final
class EfficiencyModelConfig(StrictModel):
    """Configuration of ``EfficiencyModel``.

    Attributes:
        hidden: Widths of the hidden layers.
        activation: Function between the layers; ``"silu"`` makes the efficiency smooth where nothing is embedded.
        embedding_bins: Bins of a piecewise-linear embedding of the conditions, which lets a small network follow
            thresholds and gaps between detector parts; 0 for none.
    """

    hidden: tuple[int, ...] = Field(default=(64, 64), min_length=1)
    activation: Activation = "relu"
    embedding_bins: int = Field(default=64, ge=0)


@final
class EfficiencyModel(Estimator, Classifier):
    """Probability of a 0/1 target given the conditions, by a fully connected network.

    Args:
        config: Configuration.
        layout: Condition variables, and one target that is 1 where an event was reconstructed and 0 where it was lost.

    Raises:
        ConfigError: If there is not exactly one target, or no condition.

    References:
        The cross-entropy is least for the true probability: Bishop, Pattern Recognition and Machine Learning (2006),
        section 4.3.
    """

    Config = EfficiencyModelConfig

    def __init__(self, config: EfficiencyModelConfig, layout: Layout) -> None:
        super().__init__()
        if len(layout.target) != 1:
            raise ConfigError(f"An efficiency has one target, 0 or 1 for each event, not {len(layout.target)}.")
        require_condition(layout.condition)
        self.config, self.layout = config, layout
        self.conditions = ConditionEncoding(layout.condition, config.embedding_bins)
        self.network = MLP(self.conditions.width, 1, config.hidden, final_gain=0.1, activation=config.activation)

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scaling of the conditions; see ``Trainable.prepare``.

        Raises:
            DataError: If a target is neither 0 nor 1, all are equal, or a condition is not finite or constant.
        """
        events = passed = 0
        for batch in stream:
            found = self._found(batch)
            events, passed = events + len(found), passed + int(found.sum())
            self.conditions.update(batch.condition.flat, batch.weight, batch.target.flat)
        if passed in (0, events):
            raise DataError(
                f"The target '{self.layout.target[0].name}' is {int(passed > 0)} for all of {events} events; "
                "an efficiency is learned from events of both kinds."
            )
        self.conditions.finish()

    def objectives(self) -> tuple[Objective, ...]:
        """Return the one objective, the binary cross-entropy per event in nats."""
        return (Objective("cross_entropy", tuple(self.parameters()), self._loss),)

    def logits(self, events: Events) -> Tensor:
        """Return unnormalised log-probabilities of lost and reconstructed, shape ``(events, 2)``.

        Raises:
            DataError: If the conditions do not fit the layout.
        """
        score = self._score(events)
        return torch.stack([torch.zeros_like(score), score], dim=1)

    @torch.no_grad()
    def probability(self, condition: Events) -> Tensor:
        """Return the probability that each event is reconstructed, in [0, 1], shape ``(events,)``.

        Raises:
            DataError: If the conditions do not fit the layout.
        """
        return torch.sigmoid(self._score(condition))

    def _score(self, condition: Events) -> Tensor:
        score: Tensor = self.network(self.conditions(condition.flat)).squeeze(1)
        return score

    def _found(self, batch: Batch) -> Tensor:
        found = batch.target.flat
        wrong = (found != 0) & (found != 1)
        if found.ndim != 2 or found.shape[1] != 1 or bool(wrong.any()):
            raise DataError(
                f"The target '{self.layout.target[0].name}' must be one column of 0 or 1; write 1 where an event was "
                "reconstructed and 0 where it was lost."
            )
        return found.squeeze(1)

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Losses:
        score = self._score(batch.condition)
        return Losses(binary_cross_entropy_with_logits(score, self._found(batch).to(score), reduction="none"))
