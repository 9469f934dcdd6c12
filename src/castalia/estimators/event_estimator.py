"""What the estimators of a flat target given an event with lists of objects share: scaling, encoding, and sampling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Estimator, Events, Sampler
from castalia.estimators.event_encoder import EventEncoder, EventEncoderConfig
from castalia.estimators.four_vector_consistency import FourVectorConsistency
from castalia.estimators.scaling import TargetScaling

__all__ = ["EventEstimator", "EventEstimatorConfig"]

_ROWS = 4096  # rows sampled at a time: the activations of one layer stay in the processor's cache
_ATTEMPTS = 20  # at a draw within what training saw


class EventEstimatorConfig(StrictModel):
    """What every estimator of this family can be told.

    Attributes:
        encoder: How an event is turned into a vector.
        marginals: How each target is scaled: to zero mean and unit variance, or to a standard normal distribution.
    """

    encoder: EventEncoderConfig = EventEncoderConfig()
    marginals: Literal["standardise", "gaussianise"] = "gaussianise"


class EventEstimator(Estimator, Sampler):
    """A sampler of flat targets given an encoded event; a subclass says what is sampled and how it is trained.

    Between the edges of what training saw in any target a network knows what it does; beyond, some draws in ten
    thousand run away, by hundreds of widths. A draw that is farther out than those edges by more than half their
    distance is drawn anew, and after 20 attempts moved to the nearest place within.

    Args:
        config: Configuration, an instance of the class's ``Config``.
        layout: Condition, which may have lists of objects, and target variables.

    Raises:
        ConfigError: If a side of the layout is empty, or the configuration is another model's.

    Attributes:
        consistency: Relations between the targets that a subclass holds against what it predicts, if any.
    """

    Config: type[EventEstimatorConfig]
    takes_lists: ClassVar[bool] = True
    lowest: Tensor
    highest: Tensor

    def __init__(self, config: EventEstimatorConfig, layout: Layout) -> None:
        super().__init__()
        if not isinstance(config, self.Config):
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not a {type(config).__name__}.")
        self.config, self.layout = config, layout
        self.encoder = EventEncoder(layout, config.encoder)
        self.targets = TargetScaling(layout.target, gaussianise=config.marginals == "gaussianise")
        self.register_buffer("lowest", torch.full((len(layout.target),), torch.inf))
        self.register_buffer("highest", torch.full((len(layout.target),), -torch.inf))
        self.consistency: FourVectorConsistency | None = None

    @abstractmethod
    def draw(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw one scaled target for each encoded event.

        Args:
            vectors: Shape ``(events, width)``.
            rng: Source of the noise, which is drawn in float32, whatever the model's precision.

        Returns:
            Shape ``(events, T)``.
        """

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scalings; see ``Trainable.prepare``.

        Raises:
            DataError: If a value is not finite or outside what its variable declares, or a variable is constant.
        """
        for batch in stream:
            target = self.targets.check_shape(batch.target.flat)
            self.encoder.update(batch.condition, batch.weight)
            self.targets.update(target, batch.weight)
            self.lowest.copy_(torch.minimum(self.lowest, target.amin(0)))
            self.highest.copy_(torch.maximum(self.highest, target.amax(0)))
            if self.consistency is not None:
                self.consistency.update(batch.target.flat, batch.weight)
        self.encoder.finish()
        self.targets.finish()
        if self.consistency is not None:
            self.consistency.finish()

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw targets; see ``Sampler.sample``. An event is encoded once, however often it is drawn.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the condition does not fit the layout.
        """
        self.targets.require_prepared()
        starts = range(0, max(len(condition), 1), _ROWS)
        pieces = [condition.map(lambda v, at=at: v[at : at + _ROWS]) for at in starts]  # type: ignore[misc]
        vectors = torch.cat([self.encoder(piece) for piece in pieces]).repeat_interleave(draws, dim=0)
        drawn = [self._within(piece, rng) for piece in torch.split(vectors, _ROWS)]
        return Events(self.targets.to_sample(torch.cat(drawn)))

    def _within(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw targets that are not far outside what training saw, shape ``(events, T)``."""
        reach = 0.5 * (self.highest - self.lowest)
        low, high = self.lowest - reach, self.highest + reach
        drawn = self.targets.inverse(self.draw(vectors, rng))
        for _ in range(_ATTEMPTS):
            outside = ~((drawn >= low) & (drawn <= high)).all(1)
            if not bool(outside.any()):
                return drawn
            drawn[outside] = self.targets.inverse(self.draw(vectors[outside], rng))
        return torch.clamp(drawn, low, high)
