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

from castalia.apps.scan.tensors import background_tensor, events_tensor, float_tensor, weights_tensor
from castalia.errors import ConfigError

__all__ = ["Likelihood", "Parameter", "ParametricDensity"]

Array = NDArray[np.float64]

_ROWS_AT_ONCE = 1 << 14  # (point, event) pairs per pass: activations stay in the cache, and memory flat
_SHORT = 1e-5  # of a parameter's range: the step of first derivatives, and where a search for a step begins
# Steps of differences of gradients, in units of the error that the curvature says: a likelihood of many events is a
# parabola that far. A shorter step takes the kinks of a spline at a few events for the curvature of all.
_WANTED, _MUCH = 0.1, 4.0  # the step, and by what factor it may be off
_LONGEST = 1e-2  # of the range, where there is hardly any curvature
_PASSES = 4
_YIELD_STEPS = 15


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
        weights: Event weights, none negative, shape ``(events,)``; one each if not given. Events of weight zero are
            left out.
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
        self.x = events_tensor(x)
        self.weights = weights_tensor(weights, len(self.x))
        self.log_background = background_tensor(log_background, len(self.x))
        self._leave_out_weightless()
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
        leaf = float_tensor(phi).requires_grad_(True)
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
            points = float_tensor(phi)
            value = torch.zeros(len(points), dtype=torch.float64)
            for terms, weights in self._chunks(points):
                value -= (terms * weights).sum(dim=1)
            if self.expected_signal is not None:
                value += torch.stack(self._coefficients(points)).sum(dim=0)
        return self._constrained(np.asarray(phi, dtype=np.float64), value.numpy(), np.zeros(np.shape(phi)))[0]

    def event_terms(self, phi: Array) -> Array:
        """Return the logarithm of the density of each event, without weights, shape ``(points, events)``."""
        with torch.no_grad():
            return torch.cat([terms for terms, _ in self._chunks(float_tensor(phi))], dim=1).numpy()

    def with_best_yields(self, phi: Array, free: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Return points with signal and background in the best proportion at their theta, and the values there.

        The signal density is computed once. Constraints of the yields have no part in the proportion.

        Args:
            phi: Parameter points, shape ``(points, parameters)``.
            free: Parameters that may move, shape ``(parameters,)``; theta stay in any case.

        References:
            Dempster, Laird and Rubin, Maximum likelihood from incomplete data via the EM algorithm, J. R. Stat. Soc. B
            39 (1977) 1.
        """
        with torch.no_grad():
            points = float_tensor(phi)
            log_signal = torch.cat(
                [self.signal.log_prob(self.x[rows], points[:, : self._thetas]) for rows in self._rows(len(points))],
                dim=1,
            )
            self._set_best_yields(points, log_signal, free)
            value = -(self._terms(points, log_signal, slice(None)) * self.weights).sum(dim=1)
            if self.expected_signal is not None:
                value += torch.stack(self._coefficients(points)).sum(dim=0)
        return points.numpy(), self._constrained(points.numpy(), value.numpy(), np.zeros(np.shape(phi)))[0]

    def hessian(self, phi: Array, estimate: Array | None = None) -> Array:
        """Return the second derivatives at one point: central differences of the gradient, in one batch.

        Steps are a tenth of the errors that the second derivatives say, and are taken again where they turn out to be
        much longer or shorter. Next to a limit they are taken that far inside it.

        Args:
            phi: One parameter point, shape ``(parameters,)``.
            estimate: About what is to be expected; saves evaluations.

        Returns:
            A symmetric matrix, shape ``(parameters, parameters)``.
        """
        step = _SHORT * self.range
        if estimate is not None:
            step = self._steps(estimate, step)
        for _ in range(_PASSES):
            points = self._stencil(phi, step)
            gradient = self.value_and_gradient(points)[1].reshape(2, len(step), len(step))
            matrix = (gradient[0] - gradient[1]) / (2.0 * step[:, None])
            better = self._steps(matrix, step)
            if (np.abs(np.log(better / step)) < np.log(_MUCH)).all():
                break
            step = better
        symmetric: Array = (matrix + matrix.T) / 2.0
        return symmetric

    def scores(self, phi: Array) -> Array:
        """Return the derivatives of each event's log-density at one point, shape ``(events, parameters)``."""
        step = _SHORT * self.range
        points = self._stencil(phi, step)
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
        for rows in self._rows(len(phi)):
            log_signal = self.signal.log_prob(self.x[rows], phi[:, : self._thetas])
            yield self._terms(phi, log_signal, rows), self.weights[rows]

    def _rows(self, points: int) -> Iterator[slice]:
        size = max(1, _ROWS_AT_ONCE // points)
        return (slice(start, start + size) for start in range(0, len(self.x), size))

    def _terms(self, phi: Tensor, log_signal: Tensor, rows: slice) -> Tensor:
        """Return the log-densities of some events, whose signal density is known."""
        if self.log_background is None and self.expected_signal is None:
            return log_signal
        signal, background = self._coefficients(phi)
        log_background = None if self.log_background is None else self.log_background[rows]
        return _log_sum(signal, log_signal, background, log_background)

    def _set_best_yields(self, phi: Tensor, log_signal: Tensor, free: NDArray[np.bool_]) -> None:
        total = self.weights.sum()
        moving = [(kind, place) for kind, place in self._place.items() if kind != "theta" and free[place]]
        share = torch.ones_like(log_signal)  # probability of each event to be signal
        for _ in range(_YIELD_STEPS if moving else 0):
            if self.log_background is not None:
                signal, background = self._coefficients(phi)
                share = torch.sigmoid((signal / background).log()[:, None] + log_signal - self.log_background)
            assigned = share.nan_to_num() @ self.weights
            for kind, place in moving:
                best = total - assigned if kind == "background_yield" else assigned / total
                if kind == "signal_strength" and self.expected_signal is not None:
                    best = assigned / self.expected_signal(phi[:, : self._thetas])
                phi[:, place] = best.clamp(self.parameters[place].low, self.parameters[place].high)

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

    def _stencil(self, phi: Array, step: Array) -> Array:
        """Return the points one step above in each parameter, then those one step below."""
        centre = np.clip(phi, self.low + step, self.low + self.range - step)
        return np.concatenate([centre + np.diag(step), centre - np.diag(step)])

    def _steps(self, hessian: Array, otherwise: Array) -> Array:
        """Return the steps that are right for these second derivatives, and others where they are not of a minimum."""
        curvature = np.diag(hessian)
        wanted = _WANTED / np.sqrt(np.where(curvature > 0.0, curvature, np.nan))
        return np.where(np.isfinite(wanted), np.minimum(wanted, _LONGEST * self.range), otherwise)

    def _leave_out_weightless(self) -> None:
        counts = self.weights > 0.0
        if not counts.all():
            self.x, self.weights = self.x[counts], self.weights[counts]
            self.log_background = None if self.log_background is None else self.log_background[counts]

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


def _log_sum(signal: Tensor, log_signal: Tensor, background: Tensor, log_background: Tensor | None) -> Tensor:
    """Return log(signal p_s + background p_b), with a gradient that stays finite where a coefficient is zero."""
    if log_background is None:
        return signal.log()[:, None] + log_signal
    largest = torch.maximum(log_signal.detach(), log_background)
    mixture = signal[:, None] * (log_signal - largest).exp() + background[:, None] * (log_background - largest).exp()
    return largest + mixture.log()
