"""A process whose likelihood is known exactly: two normal components that move and widen with the parameters.

It stands in for a signal simulation wherever an estimate has to be held against the truth, in any number of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import ConfigError
from castalia.rng import Stream

__all__ = ["AnalyticBackground", "AnalyticMixture", "analytic_mixture"]

_FRACTIONS = (0.6, 0.4)
_BEND = 0.3
_WIDENING = 0.25
_BACKGROUND_WIDTH = 2.0


@final
@dataclass(frozen=True)
class AnalyticMixture:
    """Signal events of a mixture of normal distributions, p(x | theta), with theta in [-1, 1] per parameter.

    Component c has the location ``offset + slope theta + 0.3 sin(2 bend theta)`` and, in each observable, the standard
    deviation ``exp(0.25 tanh(widening theta))``: smooth in theta, and not linear.

    Attributes:
        offset: Location of each component at theta = 0, shape ``(components, observables)``.
        slope: Linear part of the location, shape ``(components, observables, parameters)``.
        bend: Frequencies of the part that is not linear, same shape.
        widening: Dependence of the log-widths, same shape.
    """

    offset: Tensor
    slope: Tensor
    bend: Tensor
    widening: Tensor

    @property
    def parameters(self) -> int:
        """Number of parameters, P."""
        return int(self.slope.shape[2])

    @property
    def observables(self) -> int:
        """Number of observables, D."""
        return int(self.slope.shape[1])

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """Return log p(x | theta) of every event at every parameter point, differentiable in theta.

        Args:
            x: Events, shape ``(events, observables)``, float64.
            theta: Parameter points, shape ``(points, parameters)``, float64.

        Returns:
            Shape ``(points, events)``.
        """
        location, log_width = self._shape(theta)
        pull = (x[None, :, None, :] - location[:, None]) * torch.exp(-log_width[:, None])
        log_component = -0.5 * pull.square().sum(-1) - log_width.sum(-1)[:, None] - 0.5 * self.observables * _LOG_TWO_PI
        return torch.logsumexp(log_component + torch.log(torch.tensor(_FRACTIONS, dtype=x.dtype)), dim=-1)

    def sample(self, theta: NDArray[np.float64], events: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw events.

        Args:
            theta: One parameter point, shape ``(parameters,)``, or several, shape ``(points, parameters)``.
            events: Events drawn at each point.
            rng: Source of randomness.

        Returns:
            Shape ``(points * events, observables)``: all events of the first point, then of the second, and so on.
        """
        points = np.atleast_2d(np.asarray(theta, dtype=np.float64)).repeat(events, axis=0)
        component = (rng.random(len(points)) > _FRACTIONS[0]).astype(np.int64)
        location, log_width = (value.numpy()[np.arange(len(points)), component] for value in self._shape(_f64(points)))
        drawn: NDArray[np.float64] = location + np.exp(log_width) * rng.standard_normal(location.shape)
        return drawn

    def _shape(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and log-width of each component, shape ``(points, components, observables)``."""

        def linear(matrix: Tensor) -> Tensor:
            return torch.einsum("cdp,kp->kcd", matrix, theta)

        location = self.offset + linear(self.slope) + _BEND * torch.sin(2.0 * linear(self.bend))
        return location, _WIDENING * torch.tanh(linear(self.widening))


@final
@dataclass(frozen=True)
class AnalyticBackground:
    """Events that do not depend on the parameters: a normal distribution about zero, twice as wide as the signal.

    Attributes:
        observables: Number of observables, D.
    """

    observables: int

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) per event, shape ``(events,)``, of events of shape ``(events, observables)``."""
        constant = self.observables * (0.5 * _LOG_TWO_PI + float(np.log(_BACKGROUND_WIDTH)))
        return -0.5 * (x / _BACKGROUND_WIDTH).square().sum(-1) - constant

    def sample(self, events: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw events, shape ``(events, observables)``."""
        return _BACKGROUND_WIDTH * rng.standard_normal((events, self.observables))


def analytic_mixture(parameters: int, observables: int | None = None, seed: int = 1) -> AnalyticMixture:
    """Build a mixture in which every parameter can be measured.

    The slopes are orthogonal at first order, so that the information on one parameter hardly depends on their number.

    Args:
        parameters: Number of parameters, at least 1.
        observables: Number of observables, at least ``parameters``; by default the larger of 2 and ``parameters``.
        seed: Chooses the slopes and bends.

    Raises:
        ConfigError: If there are no parameters, or fewer observables than parameters.
    """
    size = max(2, parameters) if observables is None else observables
    if not 1 <= parameters <= size:
        raise ConfigError(
            f"an analytic mixture takes 1 to {size} parameters with {size} observables, not {parameters}."
        )
    rng = Stream(seed, "analytic mixture").at(0)
    shape = (len(_FRACTIONS), size, parameters)
    slope = np.linalg.qr(rng.standard_normal((size, parameters)))[0]
    return AnalyticMixture(
        offset=_f64(0.7 * rng.standard_normal(shape[:2])),
        slope=_f64(np.stack([slope, slope + 0.2 * rng.standard_normal(slope.shape) / np.sqrt(size)])),
        bend=_f64(rng.standard_normal(shape) / np.sqrt(parameters)),
        widening=_f64(rng.standard_normal(shape) / np.sqrt(parameters)),
    )


def _f64(values: NDArray[np.float64]) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


_LOG_TWO_PI = float(np.log(2.0 * np.pi))
