"""Trained flows as densities for a fit: in float64, and differentiable in the parameters."""

from __future__ import annotations

import copy
import math
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import ModelError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch, Density, Estimator, Events, Sampler
from castalia.estimators.efficiency import EfficiencyModel

__all__ = ["BackgroundDensity", "Efficiency", "SignalDensity"]

Array = NDArray[np.float64]


@final
class SignalDensity:
    """A flow whose condition is the parameters.

    Args:
        estimator: The trained flow; a copy is used.
    """

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = _frozen(estimator)

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """Return log p(x | theta), shape ``(points, events)``, differentiable in theta.

        Args:
            x: Events, shape ``(events, observables)``, in physical units.
            theta: Parameter points, shape ``(points, parameters)``.
        """
        points, events = len(theta), len(x)
        condition = theta.repeat_interleave(events, dim=0)
        return _log_prob(self._estimator, condition, x.repeat(points, 1)).view(points, events)

    def sample(self, theta: Array, events: int, rng: np.random.Generator) -> Array:
        """Draw events.

        Args:
            theta: One parameter point, shape ``(parameters,)``, or several, shape ``(points, parameters)``.
            events: How many at each point.
            rng: Source of the randomness.

        Returns:
            Observables in physical units, shape ``(points * events, observables)``, those of the first point first.
        """
        points = np.atleast_2d(np.array(theta, dtype=np.float64))
        return _sample(self._estimator, torch.from_numpy(points), events, rng)


@final
class BackgroundDensity:
    """The mean density of flows without a condition.

    Args:
        estimators: The trained flows, at least one; copies are used.
    """

    def __init__(self, *estimators: Estimator) -> None:
        self._estimators = [_frozen(estimator) for estimator in estimators]

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), shape ``(events,)``, of events of shape ``(events, observables)`` in physical units."""
        each = torch.stack([_log_prob(one, x.new_empty((len(x), 0)), x) for one in self._estimators])
        return each.logsumexp(0) - math.log(len(each))

    def sample(self, events: int, rng: np.random.Generator) -> Array:
        """Draw events, shape ``(events, observables)``, in physical units."""
        nothing, flows = torch.empty((1, 0), dtype=torch.float64), self._estimators
        if len(flows) == 1:
            return _sample(flows[0], nothing, events, rng)
        shares = rng.multinomial(events, np.full(len(flows), 1.0 / len(flows)))
        drawn = [_sample(flow, nothing, int(share), rng) for flow, share in zip(flows, shares, strict=True) if share]
        return rng.permutation(np.concatenate(drawn))


@final
class Efficiency:
    """The probability of selection as a function of the parameters.

    Args:
        model: The trained model; a copy is used.
    """

    def __init__(self, model: EfficiencyModel) -> None:
        self._model = copy.deepcopy(model).double().eval().requires_grad_(False)

    def __call__(self, theta: Tensor) -> Tensor:
        """Return the probability, shape ``(points,)``, differentiable in theta, shape ``(points, parameters)``."""
        return torch.sigmoid(self._model.logits(Events(theta))[:, 1])


def _frozen(estimator: Estimator) -> Estimator:
    return copy.deepcopy(estimator).double().eval().requires_grad_(False)


def _log_prob(estimator: Estimator, condition: Tensor, x: Tensor) -> Tensor:
    if not isinstance(estimator, Density):
        raise _not_a(estimator, "density")
    count = len(x)
    batch = Batch(Events(condition), Events(x), x.new_ones(count), torch.arange(count, device=x.device))
    return estimator.log_prob(batch)


def _sample(estimator: Estimator, condition: Tensor, events: int, rng: np.random.Generator) -> Array:
    if not isinstance(estimator, Sampler):
        raise _not_a(estimator, "sampler")
    return np.asarray(to_numpy(estimator.sample(Events(condition), events, rng).flat), dtype=np.float64)


def _not_a(estimator: Estimator, face: str) -> ModelError:
    return ModelError(f"A {type(estimator).__name__} is no {face}, which a fit needs; train with preset 'scan'.")
