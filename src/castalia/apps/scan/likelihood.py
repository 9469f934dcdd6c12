"""The likelihood of observed events, with its gradient, at many parameter points at once and for any densities."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.errors import ConfigError, DataError

__all__ = ["Likelihood", "Parameter", "ParametricDensity"]

Array = NDArray[np.float64]

_ROWS_AT_ONCE = 1 << 14  # (point, event) pairs per pass: activations stay in the cache, and memory flat
# Of a parameter's range, for differences of gradients: a spline's log-density has kinks, over which a short step would
# take the second derivative of a few events for that of all; right to 1e-3 where densities change over a tenth of it.
_STEP = 3e-3


class ParametricDensity(Protocol):
    """A density of events that depends on parameters, in float64."""

    @abstractmethod
    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """Return log p(x | theta), shape ``(points, events)``, differentiable in theta.

        Args:
            x: Events, shape ``(events, observables)``.
            theta: Parameter points, shape ``(points, parameters)``.
        """


@final
@dataclass(frozen=True)
class Parameter:
    """One parameter of a fit.

    Attributes:
        name: Name, as in the results.
        low: Lower limit: for a theory parameter the lowest value that was trained on.
        high: Upper limit.
        unit: Unit; empty where there is none.
        kind: A condition of the signal density (``theta``), the fraction of events that are signal, the signal yield
            over its prediction, or the expected number of background events.
        constraint: Mean and standard deviation of a Gaussian constraint from elsewhere.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    kind: Literal["theta", "signal_fraction", "signal_strength", "background_yield"] = "theta"
    constraint: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse a parameter that cannot vary.

        Raises:
            ConfigError: If the limits are equal, swapped or not finite, or a constraint has no width.
        """
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ConfigError(
                f"parameter {self.name!r} is constant: it ranges from {self.low:g} to {self.high:g}; "
                "leave it out, or train on events in which it varies."
            )
        if self.constraint is not None and not self.constraint[1] > 0:
            raise ConfigError(
                f"the constraint of {self.name!r} has the width {self.constraint[1]:g}; give one above zero."
            )


@final
class Likelihood:
    """The negative logarithm of the likelihood of observed events.

    Of a fixed number of events, ``-sum w log[f p_s(x | theta) + (1 - f) p_b(x)]``. With ``expected_signal`` it is
    extended, ``nu_s + nu_b - sum w log[nu_s p_s + nu_b p_b]`` with ``nu_s = mu * expected_signal(theta)``.
    Gaussian constraints are added to either. A parameter point phi holds all parameters in the order given.

    Args:
        signal: Density of the signal.
        x: Observed events, shape ``(events, observables)``.
        parameters: The theta of the signal in its own order, then at most one parameter of each other kind.
        weights: Event weights, shape ``(events,)``; one each if not given.
        log_background: log p_b of each event, shape ``(events,)``, where there is background.
        expected_signal: Expected number of signal events of points of shape ``(points, parameters)``, differentiable.

    Attributes:
        evaluations: Values with gradient computed so far, one per point.

    Raises:
        DataError: If there are no events, or a value or weight cannot be used.
        ConfigError: If the parameters do not go with what is given.

    References:
        Barlow, Extended maximum likelihood, Nucl. Instrum. Meth. A 297 (1990) 496.
    """

    def __init__(
        self,
        signal: ParametricDensity,
        x: Array,
        parameters: Sequence[Parameter],
        *,
        weights: Array | None = None,
        log_background: Array | None = None,
        expected_signal: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.signal, self.parameters, self.expected_signal = signal, tuple(parameters), expected_signal
        self.x = _checked_events(x)
        self.weights = _checked_weights(weights, len(self.x))
        self.log_background = None if log_background is None else _tensor(log_background)
        self.low = np.array([parameter.low for parameter in self.parameters])
        self.range = np.array([parameter.high for parameter in self.parameters]) - self.low
        self._thetas = sum(parameter.kind == "theta" for parameter in self.parameters)
        self._place = {parameter.kind: place for place, parameter in enumerate(self.parameters)}
        self._check_parameters()
        held = [(i, *parameter.constraint) for i, parameter in enumerate(self.parameters) if parameter.constraint]
        self._held = np.array([i for i, _, _ in held], dtype=np.int64)
        self._mean, self._width = (np.array([row[k] for row in held]) for k in (1, 2))
        self.evaluations = 0

    def __len__(self) -> int:
        return len(self.x)

    @property
    def weighted(self) -> bool:
        """Whether any event counts other than one."""
        return bool((self.weights != 1.0).any())

    def value_and_gradient(self, phi: Array) -> tuple[Array, Array]:
        """Return the negative log-likelihood and its gradient.

        Args:
            phi: Parameter points, shape ``(points, parameters)``.

        Returns:
            Values, shape ``(points,)``, infinite where an event is impossible, and gradients, shape
            ``(points, parameters)``.
        """
        leaf = _tensor(phi).requires_grad_(True)
        value = torch.zeros(len(leaf), dtype=torch.float64)
        gradient = torch.zeros_like(leaf)
        for terms, weights in self._chunks(leaf):
            part = -(terms * weights).sum(dim=1)
            gradient += torch.autograd.grad(part.sum(), leaf)[0]
            value += part.detach()
        if self.expected_signal is not None:
            signal, background = self._coefficients(leaf)
            total = signal + background
            gradient += torch.autograd.grad(total.sum(), leaf)[0]
            value += total.detach()
        self.evaluations += len(leaf)
        return self._constrained(np.asarray(phi, dtype=np.float64), value.numpy(), gradient.numpy())

    def value(self, phi: Array) -> Array:
        """Return the negative log-likelihood alone, shape ``(points,)``, at about a third of the cost."""
        with torch.no_grad():
            points = _tensor(phi)
            value = torch.zeros(len(points), dtype=torch.float64)
            for terms, weights in self._chunks(points):
                value -= (terms * weights).sum(dim=1)
            if self.expected_signal is not None:
                value += torch.stack(self._coefficients(points)).sum(dim=0)
        return self._constrained(np.asarray(phi, dtype=np.float64), value.numpy(), np.zeros(np.shape(phi)))[0]

    def event_terms(self, phi: Array) -> Array:
        """Return the logarithm of the density of each event, without weights, shape ``(points, events)``."""
        with torch.no_grad():
            return torch.cat([terms for terms, _ in self._chunks(_tensor(phi))], dim=1).numpy()

    def hessian(self, phi: Array) -> Array:
        """Return the second derivatives at one point: central differences of the gradient, in one batch.

        Next to a limit they are taken that far inside it.

        Args:
            phi: One parameter point, shape ``(parameters,)``.

        Returns:
            A symmetric matrix, shape ``(parameters, parameters)``.
        """
        points, step = self._stencil(phi)
        gradient = self.value_and_gradient(points)[1].reshape(2, len(step), len(step))
        matrix = (gradient[0] - gradient[1]) / (2.0 * step[:, None])
        symmetric: Array = (matrix + matrix.T) / 2.0
        return symmetric

    def scores(self, phi: Array) -> Array:
        """Return the derivatives of each event's log-density at one point, shape ``(events, parameters)``."""
        points, step = self._stencil(phi)
        terms = self.event_terms(points).reshape(2, len(step), -1)
        self.evaluations += len(points)
        scores: Array = ((terms[0] - terms[1]) / (2.0 * step[:, None])).T
        return scores

    def information(self, phi: Array, power: int = 1) -> Array:
        """Return the sum of the outer products of the scores, and what the constraints add.

        With ``power`` 1 it estimates the Fisher information; with 2, the variance of the slope of a likelihood of
        weighted events.

        Args:
            phi: One parameter point, shape ``(parameters,)``.
            power: Power of the weights.

        Returns:
            Shape ``(parameters, parameters)``.
        """
        scores = self.scores(phi)
        matrix: Array = (scores * self.weights.numpy()[:, None] ** power).T @ scores
        matrix[self._held, self._held] += self._width**-2
        return matrix

    def take(self, rows: NDArray[np.int64]) -> Likelihood:
        """Return the likelihood of some of the events, with their weights raised to the same sum as all."""
        places = torch.as_tensor(rows)
        weights = self.weights[places]
        background = None if self.log_background is None else self.log_background[places].numpy()
        return Likelihood(
            self.signal,
            self.x[places].numpy(),
            self.parameters,
            weights=(weights * (self.weights.sum() / weights.sum())).numpy(),
            log_background=background,
            expected_signal=self.expected_signal,
        )

    def with_signal(self, signal: ParametricDensity) -> Likelihood:
        """Return the likelihood of the same events with another signal density, such as a member of an ensemble."""
        return Likelihood(
            signal,
            self.x.numpy(),
            self.parameters,
            weights=self.weights.numpy(),
            log_background=None if self.log_background is None else self.log_background.numpy(),
            expected_signal=self.expected_signal,
        )

    def _chunks(self, phi: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield log-densities, shape ``(points, some events)``, with the weights of those events."""
        size = max(1, _ROWS_AT_ONCE // len(phi))
        for start in range(0, len(self.x), size):
            rows = slice(start, start + size)
            log_signal = self.signal.log_prob(self.x[rows], phi[:, : self._thetas])
            if self.log_background is None and self.expected_signal is None:
                yield log_signal, self.weights[rows]
            else:
                signal, background = self._coefficients(phi)
                log_background = None if self.log_background is None else self.log_background[rows]
                yield _log_sum(signal, log_signal, background, log_background), self.weights[rows]

    def _coefficients(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Return what multiplies the densities of signal and background: yields, or fractions; shape ``(points,)``."""
        if self.expected_signal is None:
            fraction = phi[:, self._place["signal_fraction"]]
            return fraction, 1.0 - fraction
        signal = self.expected_signal(phi[:, : self._thetas])
        if "signal_strength" in self._place:
            signal = signal * phi[:, self._place["signal_strength"]]
        if "background_yield" in self._place:
            return signal, phi[:, self._place["background_yield"]]
        return signal, torch.zeros_like(signal)

    def _constrained(self, phi: Array, value: Array, gradient: Array) -> tuple[Array, Array]:
        pull = (phi[:, self._held] - self._mean) / self._width
        gradient[:, self._held] += pull / self._width
        value = value + 0.5 * (pull**2).sum(axis=1)
        return np.where(np.isfinite(value), value, np.inf), gradient

    def _stencil(self, phi: Array) -> tuple[Array, Array]:
        """Return the points one step above in each parameter, then those one step below, and the steps."""
        step = _STEP * self.range
        centre = np.clip(phi, self.low + step, self.low + self.range - step)
        return np.concatenate([centre + np.diag(step), centre - np.diag(step)]), step

    def _check_parameters(self) -> None:
        kinds = [parameter.kind for parameter in self.parameters]
        background = self.log_background is not None
        wanted = {"background_yield" if self.expected_signal else "signal_fraction"} if background else set()
        allowed = wanted | ({"signal_strength"} if self.expected_signal else set())
        others = kinds[self._thetas :]
        if "theta" in others or not wanted <= set(others) <= allowed or len(set(others)) < len(others):
            form = "extended" if self.expected_signal else "not extended"
            ground = "with" if background else "without"
            raise ConfigError(
                f"a likelihood that is {form}, {ground} background, takes the theta first and then "
                f"{', '.join(sorted(allowed)) or 'nothing else'}; got {', '.join(kinds) or 'no parameters'}."
            )
        if self.log_background is not None and len(self.log_background) != len(self.x):
            raise DataError(f"{len(self.x)} events have {len(self.log_background)} background densities.")


def _log_sum(signal: Tensor, log_signal: Tensor, background: Tensor, log_background: Tensor | None) -> Tensor:
    """Return log(signal p_s + background p_b), with a gradient that stays finite where a coefficient is zero."""
    if log_background is None:
        return signal.log()[:, None] + log_signal
    largest = torch.maximum(log_signal.detach(), log_background)
    mixture = signal[:, None] * (log_signal - largest).exp() + background[:, None] * (log_background - largest).exp()
    return largest + mixture.log()


def _checked_events(x: Array) -> Tensor:
    if len(x) == 0:
        raise DataError("there are no events to fit: 0 rows are left of the observed files; check their selection.")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        raise DataError(
            f"observable {bad[0][1]} of the observed events is not finite in row {bad[0][0]} ({len(bad)} such values); "
            "drop or mend those rows."
        )
    return _tensor(x)


def _checked_weights(weights: Array | None, events: int) -> Tensor:
    if weights is None:
        return torch.ones(events, dtype=torch.float64)
    if len(weights) != events or not np.isfinite(weights).all() or not np.sum(weights) > 0:
        raise DataError(
            f"the weights of {events} observed events cannot be used: {len(weights)} values with the sum "
            f"{np.sum(weights):g}; each event needs a finite weight, and their sum is to be above zero."
        )
    return _tensor(weights)


def _tensor(values: Array) -> Tensor:
    return torch.tensor(np.ascontiguousarray(values), dtype=torch.float64)
