"""Shapes of a pull, response over resolution: densities, probabilities and exact sampling of one pull or of a pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, owens_t

__all__ = ["CoreAndTail", "DoubleCrystalBall", "Gaussian", "PullShape", "normal_log_density", "normal_pair_inside"]

_HALF_LOG_TWO_PI: Final = 0.5 * np.log(2.0 * np.pi)


class PullShape(ABC):
    """Distribution of one pull: a number without unit whose core has mean 0 and width 1."""

    @abstractmethod
    def from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn independent uniform numbers in (0, 1) into independent pulls, one from one; any shape."""

    @abstractmethod
    def log_density(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of the density at each pull; any shape."""

    @abstractmethod
    def cdf(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of a smaller pull, in [0, 1]; any shape."""

    @abstractmethod
    def outside(self, bound: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability that the pull's magnitude exceeds ``bound`` > 0, without cancellation; any shape."""


@final
class Gaussian(PullShape):
    """The standard normal distribution."""

    def from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn uniform numbers in (0, 1) into normal ones by the inverse distribution function."""
        return np.asarray(ndtri(uniform), dtype=np.float64)

    def log_density(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of the normal density."""
        return normal_log_density(pull)

    def cdf(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the normal distribution function."""
        return np.asarray(ndtr(pull), dtype=np.float64)

    def outside(self, bound: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of both tails."""
        return np.asarray(2.0 * ndtr(-bound), dtype=np.float64)


@final
@dataclass(frozen=True)
class CoreAndTail(PullShape):
    """A standard normal core and a wider normal tail on the low side: N(0, 1) and N(-3, 3).

    Attributes:
        tail_area: Probability of the tail, in (0, 1).

    References:
        Generative Machine Learning for Detector Response Modeling with a Conditional Normalizing Flow, section 3.5.
    """

    tail_area: float
    tail_mean: float = -3.0
    tail_width: float = 3.0

    @classmethod
    def from_amplitudes(cls, core: float, tail: float) -> CoreAndTail:
        """Read the two weights as heights of the two curves: the wider tail has the more area per height."""
        area = tail * cls.tail_width
        return cls(area / (core + area))

    def from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn uniform numbers into pulls: the number's place picks the component, what is left of it the value."""
        in_tail = uniform < self.tail_area
        left = np.where(in_tail, uniform / self.tail_area, (uniform - self.tail_area) / (1.0 - self.tail_area))
        # A number on the border leaves exactly 0 or 1, whose normal quantile is infinite.
        normal = ndtri(np.clip(left, 2.0**-54, 1.0 - 2.0**-53))
        pull = np.where(in_tail, self.tail_mean + self.tail_width * normal, normal)
        return np.asarray(pull, dtype=np.float64)

    def log_density(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of the sum of both densities."""
        core = np.log1p(-self.tail_area) + normal_log_density(pull)
        tail = np.log(self.tail_area / self.tail_width) + normal_log_density(self._tail(pull))
        return np.asarray(np.logaddexp(core, tail), dtype=np.float64)

    def cdf(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of both distribution functions."""
        value = (1.0 - self.tail_area) * ndtr(pull) + self.tail_area * ndtr(self._tail(pull))
        return np.asarray(value, dtype=np.float64)

    def outside(self, bound: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of both sides."""
        above = (1.0 - self.tail_area) * ndtr(-bound) + self.tail_area * ndtr(-self._tail(bound))
        return np.asarray(self.cdf(-bound) + above, dtype=np.float64)

    def _tail(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((pull - self.tail_mean) / self.tail_width, dtype=np.float64)


@final
@dataclass(frozen=True)
class DoubleCrystalBall(PullShape):
    """A standard normal core with a power law on each side, joined with equal value and slope.

    The density is proportional to exp(-z**2 / 2) for ``-alpha_low < z < alpha_high`` and to (A + B abs(z))**-n outside.
    The defaults are of the size that experiments fit to H -> gamma gamma: a pronounced tail towards low energy, from
    conversions and leakage, and a slight one towards high energy. With these powers mean and width are finite.

    Attributes:
        alpha_low: Where the low power law begins, in core widths, positive.
        n_low: Its power, greater than 1.
        alpha_high: Where the high power law begins, in core widths, positive.
        n_high: Its power, greater than 1.

    References:
        M. Oreglia, SLAC-R-236 (1980), appendix D, on each side.
    """

    alpha_low: float = 1.5
    n_low: float = 8.0
    alpha_high: float = 2.0
    n_high: float = 12.0

    def from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn uniform numbers into pulls by the inverse distribution function, in three pieces."""
        low, core, high = self._areas
        total = low + core + high
        below, above = uniform * total, (1.0 - uniform) * total
        # Each piece is computed for every number and picked afterwards: clip what belongs to another piece.
        left = -self._tail_quantile(np.minimum(below, low), low, self.alpha_low, self.n_low)
        right = self._tail_quantile(np.minimum(above, high), high, self.alpha_high, self.n_high)
        inner = ndtr(-self.alpha_low) + np.clip(below - low, 0.0, core) / np.sqrt(2.0 * np.pi)
        return np.where(below < low, left, np.where(above < high, right, ndtri(inner)))

    def log_density(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm of the normalised density."""
        low = self._log_tail(np.maximum(-pull, self.alpha_low), self.alpha_low, self.n_low)
        high = self._log_tail(np.maximum(pull, self.alpha_high), self.alpha_high, self.n_high)
        core = -0.5 * pull * pull
        shape = np.where(pull < -self.alpha_low, low, np.where(pull > self.alpha_high, high, core))
        return np.asarray(shape - np.log(sum(self._areas)), dtype=np.float64)

    def cdf(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distribution function: the low side up to the high join, and one less the high tail beyond."""
        inside = np.minimum(pull, self.alpha_high)
        return np.where(pull < self.alpha_high, self._below(inside), 1.0 - self._above(np.maximum(pull, inside)))

    def outside(self, bound: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of both sides."""
        return self._below(-bound) + self._above(bound)

    @cached_property
    def _areas(self) -> tuple[float, float, float]:
        """Areas of low tail, core and high tail under the curve whose height is 1 at 0."""
        low = np.exp(-0.5 * self.alpha_low**2) * self.n_low / (self.alpha_low * (self.n_low - 1.0))
        high = np.exp(-0.5 * self.alpha_high**2) * self.n_high / (self.alpha_high * (self.n_high - 1.0))
        core = np.sqrt(2.0 * np.pi) * (ndtr(self.alpha_high) - ndtr(-self.alpha_low))
        return float(low), float(core), float(high)

    def _below(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        low, core, high = self._areas
        tail = self._tail_area(np.maximum(-pull, self.alpha_low), low, self.alpha_low, self.n_low)
        edge = np.maximum(pull, -self.alpha_low)
        inner = np.sqrt(2.0 * np.pi) * (ndtr(np.minimum(edge, self.alpha_high)) - ndtr(-self.alpha_low))
        beyond = high - self._tail_area(np.maximum(pull, self.alpha_high), high, self.alpha_high, self.n_high)
        return np.asarray((tail + inner + beyond) / (low + core + high), dtype=np.float64)

    def _above(self, pull: NDArray[np.float64]) -> NDArray[np.float64]:
        mirrored = DoubleCrystalBall(self.alpha_high, self.n_high, self.alpha_low, self.n_low)
        return mirrored._below(-pull)

    @staticmethod
    def _log_tail(distance: NDArray[np.float64], alpha: float, n: float) -> NDArray[np.float64]:
        """Logarithm of the curve at ``distance`` >= alpha from 0 on its side."""
        return np.asarray(-0.5 * alpha**2 - n * np.log1p(alpha / n * (distance - alpha)), dtype=np.float64)

    @staticmethod
    def _tail_area(distance: NDArray[np.float64], area: float, alpha: float, n: float) -> NDArray[np.float64]:
        """Area of the curve beyond ``distance`` >= alpha, of ``area`` beyond alpha."""
        return np.asarray(area * np.exp((1.0 - n) * np.log1p(alpha / n * (distance - alpha))), dtype=np.float64)

    @staticmethod
    def _tail_quantile(beyond: NDArray[np.float64], area: float, alpha: float, n: float) -> NDArray[np.float64]:
        """Distance from 0 that leaves the area ``beyond`` outside; inverse of :meth:`_tail_area`."""
        return np.asarray(alpha + n / alpha * np.expm1(np.log(beyond / area) / (1.0 - n)), dtype=np.float64)


def normal_log_density(pull: ArrayLike) -> NDArray[np.float64]:
    """Return the logarithm of the standard normal density; any shape."""
    z = np.asarray(pull, dtype=np.float64)
    return np.asarray(-0.5 * z * z - _HALF_LOG_TWO_PI, dtype=np.float64)


def normal_pair_inside(
    first: NDArray[np.float64], second: NDArray[np.float64], correlation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability that both of two correlated standard normal numbers lie inside symmetric bounds.

    With Owen's function T, the probability outside is 2 (T(h, a+) + T(h, a-) + T(k, b+) + T(k, b-)), where
    a+- = (k -+ r h) / (h q), b+- = (h -+ r k) / (k q) and q = sqrt(1 - r**2): exact for every correlation, where a
    quadrature rule would need more nodes as r nears 1.

    Args:
        first: Bounds of the first number, positive, any shape.
        second: Bounds of the second number, positive, same shape.
        correlation: Their correlation r, in (-1, 1), same shape.

    References:
        D. B. Owen, Tables for computing bivariate normal probabilities, Ann. Math. Stat. 27 (1956) 1075.
    """
    # Beyond 40 widths nothing is left in double precision, and infinite bounds would give inf / inf.
    h, k = np.minimum(first, 40.0), np.minimum(second, 40.0)
    q = np.sqrt((1.0 - correlation) * (1.0 + correlation))
    outside = np.zeros(np.broadcast_shapes(h.shape, k.shape))
    for r in (correlation, -correlation):
        outside += 2.0 * (owens_t(h, (k - r * h) / (h * q)) + owens_t(k, (h - r * k) / (k * q)))
    return np.asarray(1.0 - outside, dtype=np.float64)
