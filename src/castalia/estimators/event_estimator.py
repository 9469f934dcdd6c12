"""What the estimators of a flat target given an event with lists of objects share: scaling, encoding, and sampling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Estimator, Events, Losses, Sampler
from castalia.estimators.event_encoder import EventEncoder, EventEncoderConfig
from castalia.estimators.four_vector_consistency import FourVectorConsistency
from castalia.estimators.object_choice import ObjectChoice
from castalia.estimators.scaling import TargetScaling
from castalia.estimators.supported_losses import supported_losses

__all__ = ["EventEstimator", "EventEstimatorConfig"]

_ROWS = 4096  # rows sampled at a time: the activations of one layer stay in the processor's cache
_ATTEMPTS = 20  # at a draw within what training saw
_AGAIN = 256  # draws made at once of events that are drawn anew, as soon as so many wait for it, or at the end


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

    Targets that are places in a list are drawn first, and what else is drawn is given them: the distribution of a
    quark's momentum has as many peaks as there are jets, and one peak once it is known which jet is its own. A subclass
    sees the other targets only, and the event with its choices as one vector.

    Args:
        config: Configuration, an instance of the class's ``Config``.
        layout: Condition, which may have lists of objects, and target variables.

    Raises:
        ConfigError: If a side of the layout is empty, or the configuration is another model's.

    Attributes:
        variables: The targets that are no places.
        width: Length of the vector that a subclass is given.
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
        names = [variable.name for variable in layout.target]
        self._place_columns = [names.index(name) for name in layout.places]
        self._value_columns = [place for place in range(len(names)) if place not in self._place_columns]
        self.variables = tuple(layout.target[place] for place in self._value_columns)
        self.encoder = EventEncoder(layout, config.encoder)
        self.choice = ObjectChoice(layout, self.encoder) if layout.places else None
        self.width = self.encoder.width if self.choice is None else self.choice.width
        self.targets = TargetScaling(self.variables, gaussianise=config.marginals == "gaussianise")
        self.register_buffer("lowest", torch.full((len(self.variables),), torch.inf))
        self.register_buffer("highest", torch.full((len(self.variables),), -torch.inf))
        self.consistency: FourVectorConsistency | None = None

    @abstractmethod
    def draw(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw one scaled target for each encoded event.

        Args:
            vectors: Shape ``(events, width)``.
            rng: Source of the noise, which is drawn in float32, whatever the model's precision.

        Returns:
            Shape ``(events, len(self.variables))``.
        """

    @property
    def event_parameters(self) -> tuple[nn.Parameter, ...]:
        """What makes the vector of an event."""
        return (*self.encoder.parameters(), *(() if self.choice is None else self.choice.parameters()))

    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure the scalings; see ``Trainable.prepare``.

        Raises:
            DataError: If a value is not finite or outside what its variable declares, a variable is constant, or there
                is no object at a place.
        """
        for batch in stream:
            target = self.values(batch)
            self.encoder.update(batch.condition, batch.weight)
            self.targets.update(target, batch.weight)
            self.lowest.copy_(torch.minimum(self.lowest, target.amin(0)))
            self.highest.copy_(torch.maximum(self.highest, target.amax(0)))
            if self.consistency is not None:
                self.consistency.update(target, batch.weight)
            if self.choice is not None:
                self.choice.check(batch.target.flat[:, self._place_columns], batch.condition)
        self.encoder.finish()
        self.targets.finish()
        if self.consistency is not None:
            self.consistency.finish()

    def values(self, batch: Batch) -> Tensor:
        """Return the values of ``variables``, shape ``(events, len(self.variables))``.

        Raises:
            DataError: If the targets have a wrong shape.
        """
        target = batch.target.flat
        if self._place_columns and target.ndim == 2 and target.shape[1] == len(self.layout.target):
            target = target[:, self._value_columns]
        return self.targets.check_shape(target)

    def in_order(self, values: Tensor, places: Tensor) -> Tensor:
        """Return targets in the layout's order, shape ``(events, T)``, of values of ``variables`` and places."""
        result = values.new_empty((len(values), len(self.layout.target)))
        result[:, self._value_columns] = values
        result[:, self._place_columns] = places.to(result)
        return result

    def given(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the vectors of events with their choices, and the log-probability of these, where there are any."""
        if self.choice is None:
            return self.encoder(batch.condition), None
        vectors, log_prob = self.choice(self.encoder.encode(batch.condition), batch.target.flat[:, self._place_columns])
        return vectors, log_prob

    def event_losses(
        self, batch: Batch, rng: np.random.Generator, of: Callable[[Tensor, Tensor, Tensor], Losses]
    ) -> Losses:
        """Return the losses of scaled targets given their events, and of the choices where there are any.

        Args:
            batch: The events.
            rng: Source of all randomness.
            of: From scaled targets, the log of the scaling's Jacobian determinant, and the events' vectors to losses;
                see ``supported_losses``.
        """
        self.targets.require_prepared()
        vectors, log_prob = self.given(batch)
        losses = supported_losses(
            self.targets, self.values(batch), rng, lambda scaled, log_jacobian: of(scaled, log_jacobian, vectors)
        )
        if log_prob is None:
            return losses
        return Losses(losses.total - log_prob, {**losses.terms, "choice": -log_prob})

    @torch.no_grad()
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw targets; see ``Sampler.sample``. An event is encoded once, however often it is drawn.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the condition does not fit the layout.
        """
        self.targets.require_prepared()
        step = max(1, _ROWS // draws)
        chosen, drawn, inside, again, waiting = [], [], [], [], []
        for start in range(0, max(len(condition), 1), step):
            piece = condition.map(lambda values, at=start: values[at : at + step])  # type: ignore[misc]
            vectors, places = self._vectors(piece, draws, rng)
            chosen.append(places)
            for rows in torch.split(vectors, _ROWS):
                drawn.append(self.targets.inverse(self.draw(rows, rng)))
                inside.append(self._within(drawn[-1]))
                waiting.append(rows[~inside[-1]])
                if sum(map(len, waiting)) >= _AGAIN:
                    again.append(self._drawn_again(torch.cat(waiting), rng))
                    waiting = []
        values = torch.cat(drawn)
        values[~torch.cat(inside)] = torch.cat([*again, self._drawn_again(torch.cat([vectors[:0], *waiting]), rng)])
        values = self.targets.to_sample(torch.clamp(values, *self._limits()))
        return Events(self.in_order(values, torch.cat(chosen)))

    def _vectors(self, condition: Events, draws: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return vectors and places of a few events, each so many times one after the other."""
        if self.choice is not None:
            return self.choice.draw(self.encoder.encode(condition).repeated(draws), rng)
        vectors = self.encoder(condition).repeat_interleave(draws, dim=0)
        return vectors, vectors[:, :0]

    def _limits(self) -> tuple[Tensor, Tensor]:
        """Return between what values a draw counts."""
        reach = 0.5 * (self.highest - self.lowest)
        return self.lowest - reach, self.highest + reach

    def _within(self, values: Tensor) -> Tensor:
        """Return which draws count, shape ``(…)`` of values of shape ``(…, len(self.variables))``."""
        low, high = self._limits()
        return ((values >= low) & (values <= high)).all(-1)

    def _drawn_again(self, vectors: Tensor, rng: np.random.Generator) -> Tensor:
        """Draw targets that count, where 20 attempts are enough, shape ``(events, len(self.variables))``."""
        drawn = vectors.new_empty((len(vectors), len(self.variables)))
        outside, left = torch.arange(len(vectors), device=vectors.device), _ATTEMPTS
        while left > 0 and len(outside):
            times = min(left, max(1, _AGAIN // len(outside)))  # few draws take as long as one
            again = self.targets.inverse(self.draw(vectors[outside].repeat_interleave(times, dim=0), rng))
            again = again.view(len(outside), times, -1)
            counts = self._within(again)
            first = counts.byte().argmax(1)  # of those within, if there is one
            drawn[outside] = again[torch.arange(len(outside)), first]
            outside = outside[~counts.any(1)]
            left -= times
        return drawn
