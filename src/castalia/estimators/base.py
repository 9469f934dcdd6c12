"""The estimator contract: what a batch is, and the small faces a model can show to training and to its users."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

__all__ = [
    "Batch",
    "Classifier",
    "Density",
    "Estimator",
    "Events",
    "Losses",
    "ObjectSet",
    "Objective",
    "Sampler",
    "Trainable",
]


@dataclass(frozen=True)
class ObjectSet:
    """A padded list of objects per event.

    Attributes:
        values: Shape ``(events, objects, features)``.
        mask: True where an object exists, shape ``(events, objects)``.
    """

    values: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Events:
    """One side of a batch, in physical units.

    Attributes:
        flat: Fixed-length features, shape ``(events, features)``.
        objects: Variable-length lists by collection name.
    """

    flat: Tensor
    objects: Mapping[str, ObjectSet] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.flat.shape[0])

    def map(self, change: Callable[[Tensor], Tensor]) -> Events:
        """Apply ``change`` to every tensor, such as a selection along the events or a move to a device."""
        objects = {name: ObjectSet(change(o.values), change(o.mask)) for name, o in self.objects.items()}
        return Events(change(self.flat), objects)


@dataclass(frozen=True)
class Batch:
    """Events with their condition, target, weight and position in the data set.

    Attributes:
        condition: What is given.
        target: What is to be modelled.
        weight: Event weights, shape ``(events,)``.
        index: Row number of each event in the data set, shape ``(events,)``, integer.
    """

    condition: Events
    target: Events
    weight: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Apply ``change`` to every tensor of both sides, the weights and the indices."""
        return Batch(self.condition.map(change), self.target.map(change), change(self.weight), change(self.index))

    def take(self, rows: Tensor) -> Batch:
        """Return the events at ``rows``, an integer or boolean tensor."""
        return self.map(lambda values: values[rows])

    def chunks(self, size: int) -> Iterator[Batch]:
        """Yield consecutive pieces of at most ``size`` events, as views."""
        for start in range(0, len(self), size):
            yield self.map(lambda values, at=start: values[at : at + size])  # type: ignore[misc]


@dataclass(frozen=True)
class Losses:
    """Per-event losses; ``fit`` weights and averages them.

    Attributes:
        total: What is minimised, shape ``(events,)``.
        terms: Named parts for the history, each of shape ``(events,)``.
    """

    total: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """One loss with the parameters it trains. A flow has one, a GAN two that alternate, pre-training a second phase.

    Attributes:
        name: Name in the history.
        parameters: What the optimiser of this objective changes.
        loss: Per-event losses of a batch; the random sequence is the only source of randomness.
        phase: Objectives of phase 0 are trained together first, then those of phase 1, and so on.
        rates: Factor on the learning rate of each parameter; empty for one on all.
        betas: Decays of the optimiser's averages of gradient and squared gradient.
    """

    name: str
    parameters: tuple[nn.Parameter, ...]
    loss: Callable[[Batch, np.random.Generator], Losses]
    phase: int = 0
    rates: tuple[float, ...] = ()
    betas: tuple[float, float] = (0.9, 0.999)


class Trainable(ABC):
    """A model that ``training.fit`` can train."""

    @abstractmethod
    def prepare(self, stream: Iterable[Batch]) -> None:
        """Measure scaling statistics in one pass over training batches and store them as buffers."""

    @abstractmethod
    def objectives(self) -> tuple[Objective, ...]:
        """Return what is to be minimised; empty where ``prepare`` is all the training there is."""


class Sampler(ABC):
    """A model that draws targets."""

    @abstractmethod
    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw ``draws`` targets per event, in physical units.

        Returns:
            ``events * draws`` rows: all draws of the first event, then those of the second, and so on.
        """


class Density(ABC):
    """A model that knows its probability density."""

    @abstractmethod
    def log_prob(self, batch: Batch) -> Tensor:
        """Return the log-density of each target given its condition, in physical units, shape ``(events,)``.

        Minus infinity outside the model's support.
        """


class Classifier(ABC):
    """A model that scores classes."""

    @abstractmethod
    def logits(self, events: Events) -> Tensor:
        """Return unnormalised log-probabilities, shape ``(events, classes)``."""


class Estimator(nn.Module, Trainable, ABC):
    """A trainable torch module that ``estimators.registry`` can build, save and load.

    A final subclass also takes the faces it truly has (``Sampler``, ``Density``, ``Classifier``). It is built by
    ``Class(config, layout)`` where ``config`` is an instance of its frozen pydantic ``Config``; its state
    dictionary holds all that training changed, scaling included.

    Attributes:
        takes_lists: True for an estimator whose condition may hold lists of objects, and angles.
    """

    takes_lists: ClassVar[bool] = False
