"""How many pixels of each sensor are hit: negative binomial numbers whose rate is a sum of what the sources give."""

from __future__ import annotations

from typing import Literal, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor, nn

from castalia.data.layout import Layout
from castalia.errors import DataError, ModelError
from castalia.estimators.pixels.hits import SensorArray
from castalia.estimators.pixels.rate_components import RateComponents

__all__ = ["CountModel", "Law", "negative_binomial_log_prob"]

Law = Literal["additive", "log_affine"]
"""``additive``: a sum of non-negative components; ``log_affine``: a product of powers of the conditions."""

Floats = NDArray[np.float64]

_ROUNDS = 4
_RIDGE = 1e-4  # relative; components that no event tells apart share what there is
_LEAST_EXCESS = 1e-3
_LEAST_CONDITION = 1e-3
_FULLEST = 0.99


@final
class CountModel(nn.Module):
    """Numbers of hit pixels, by sensor, given the conditions of an event.

    Sources give a sensor of ``N`` pixels ``r`` charges above threshold; pixels that are hit twice count once, so that
    ``N (1 - exp(-r / N))`` are hit. The number is negative binomial with a variance of ``1 + excess`` times its mean,
    as clusters make it. Its mean is multiplied by a factor that all sensors of the event share, where ``common_mode``
    says so.

    Args:
        layout: Names the conditions, which may be none, and the array of sensors.
        law: How the rate depends on the conditions.
        common_mode: Whether to fit the variance that all sensors of an event have in common; otherwise each sensor's
            excess includes it.

    Attributes:
        rates: Coefficient of each component (``additive``) or logarithm (``log_affine``), ``(sensors, components)``.
        excess: Variance over mean of the numbers, less 1, shape ``(sensors,)``.
        common_variance: Variance of the common factor, shape ``()``.
    """

    rates: Tensor
    excess: Tensor
    common_variance: Tensor
    prepared: Tensor

    def __init__(self, layout: Layout, law: Law, common_mode: bool) -> None:
        super().__init__()
        array = SensorArray.of(layout)
        self.law, self._common_mode, self._cells = law, common_mode, array.u * array.v
        self.conditions = len(layout.condition)
        self.components = RateComponents.of([one.name for one in layout.condition])
        columns = len(self.components.names) if law == "additive" else 1 + self.conditions
        self.register_buffer("rates", torch.zeros(array.sensors, columns))
        self.register_buffer("excess", torch.ones(array.sensors))
        self.register_buffer("common_variance", torch.zeros(()))
        self.register_buffer("prepared", torch.tensor(False))
        self._seen: list[tuple[Floats, Floats, Floats]] = []

    def update(self, condition: Tensor, counts: Tensor, weight: Tensor) -> None:
        """Take in events.

        Args:
            condition: Shape ``(events, conditions)``.
            counts: Hits by sensor, shape ``(events, sensors)``.
            weight: Shape ``(events,)``.
        """
        self._seen.append((_floats(condition), _floats(counts), np.abs(_floats(weight))))

    def finish(self) -> None:
        """Fit rates and variances to what was taken in.

        Raises:
            DataError: If there were fewer than two events, or a condition is not finite.
        """
        seen, self._seen = self._seen, []
        if sum(len(one[0]) for one in seen) < 2:
            raise DataError("fewer than two pixel events give no spread of their numbers of hits; give more of them.")
        condition, counts, weight = (np.concatenate(part) for part in zip(*seen, strict=True))
        if not np.isfinite(condition).all():
            raise DataError("a condition of the pixel events is not finite; drop or mend those events.")
        columns = self._columns(condition)
        fitted = _additive if self.law == "additive" else _log_affine
        raw = self.unmerged(counts)
        rates = np.stack([fitted(columns, raw[:, sensor], weight) for sensor in range(raw.shape[1])])
        self.rates.copy_(torch.from_numpy(rates))
        self.prepared.fill_(True)
        self._fit_variances(counts, self.mean(condition), weight)

    def _fit_variances(self, counts: Floats, mean: Floats, weight: Floats) -> None:
        """Fit the common variance by what pairs of sensors share, and the excess by what is left."""
        residual, by = counts - mean, weight[:, None]
        common = 0.0
        if self._common_mode:
            shared = weight @ (residual.sum(1) ** 2 - (residual**2).sum(1))
            of = weight @ (mean.sum(1) ** 2 - (mean**2).sum(1))
            common = max(float(shared / of), 0.0) if of > 0.0 else 0.0
        left = (by * (residual**2 - common * mean**2)).sum(0) / np.maximum((by * mean).sum(0), 1e-12)
        self.common_variance.fill_(common)
        self.excess.copy_(torch.from_numpy(np.maximum(left - 1.0, _LEAST_EXCESS)))

    def rate(self, condition: Tensor | Floats) -> Floats:
        """Return the charges above threshold that sources give, ``(events, sensors)``, of conditions ``(events, C)``.

        Raises:
            ModelError: If the model was never prepared.
            DataError: If the number of conditions is another one.
        """
        if not bool(self.prepared):
            raise ModelError("the model of pixel counts was never prepared; train it first.")
        columns = self._columns(_floats(condition))
        product: Floats = columns @ self.rates.cpu().numpy().T
        return product if self.law == "additive" else np.exp(np.minimum(product, 30.0))

    @property
    def shares_known(self) -> int:
        """Length of the last axis of ``shares``."""
        return len(self.components.names) if self.law == "additive" else self.conditions

    def shares(self, condition: Tensor | Floats) -> Floats:
        """Return what part of each sensor's rate each component is: numbers that stay in [0, 1] when extrapolated.

        Where the law knows no components, the logarithms of the conditions are returned instead.

        Args:
            condition: Shape ``(events, C)``.

        Returns:
            Shape ``(events, sensors, shares_known)``.
        """
        columns = self._columns(_floats(condition))
        if self.law != "additive":
            return np.repeat(columns[:, None, 1:], len(self.rates), axis=1)
        parts = columns[:, None, :] * self.rates.cpu().numpy()
        return np.asarray(parts / np.maximum(parts.sum(2, keepdims=True), 1e-12))

    def mean(self, condition: Tensor | Floats) -> Floats:
        """Return the mean number of hits, shape ``(events, sensors)``."""
        return self.merged(self.rate(condition))

    def merged(self, rate: Floats) -> Floats:
        """Return how many pixels ``rate`` charges hit on average."""
        return -self._cells * np.expm1(-rate / self._cells)

    def unmerged(self, hits: Floats) -> Floats:
        """Return how many charges it takes to hit ``hits`` pixels."""
        return -self._cells * np.log1p(-np.minimum(hits / self._cells, _FULLEST))

    def draw(
        self, condition: Tensor | Floats, rng: np.random.Generator, factor: Floats | None = None
    ) -> NDArray[np.int64]:
        """Draw numbers of hits.

        Args:
            condition: Shape ``(events, C)``.
            rng: Random numbers.
            factor: On the rates, shape ``(events, sensors)``; ``None`` to draw the common factor.

        Returns:
            Shape ``(events, sensors)``, at most the pixels that there are.
        """
        rate, common = self.rate(condition), float(self.common_variance)
        if factor is None and common > 0.0:
            factor = (rng.gamma(1.0 / common, size=len(rate)) * common)[:, None]
        mean = self.merged(rate if factor is None else rate * factor)
        excess = self.excess.cpu().numpy()
        drawn = rng.poisson(rng.gamma(mean / excess) * excess)
        return np.asarray(np.minimum(drawn, int(_FULLEST * self._cells)), dtype=np.int64)

    def _columns(self, condition: Floats) -> Floats:
        if condition.ndim != 2 or condition.shape[1] != self.conditions:
            raise DataError(f"pixel events need {self.conditions} conditions, not an array of shape {condition.shape}.")
        if self.law == "additive":
            return self.components(condition)
        return np.column_stack([np.ones(len(condition)), np.log(np.maximum(condition, _LEAST_CONDITION))])


def negative_binomial_log_prob(counts: Tensor, mean: Tensor, excess: Tensor) -> Tensor:
    """Return the log-probability of a negative binomial number of variance ``mean * (1 + excess)``.

    Args:
        counts: Any shape.
        mean: Positive, same shape.
        excess: Positive, of a shape that fits.
    """
    size = mean / excess
    combinations = torch.lgamma(counts + size) - torch.lgamma(size) - torch.lgamma(counts + 1.0)
    return combinations + counts * torch.log(excess / (1.0 + excess)) - size * torch.log1p(excess)


def _additive(columns: Floats, rate: Floats, weight: Floats) -> Floats:
    """Fit non-negative coefficients by least squares whose weights are one over the fitted rate."""
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-12)
    scaled, fitted = columns / scale, np.full(len(rate), max(rate.mean(), 1e-6))
    found = np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weight / np.maximum(fitted, 1e-3 * max(rate.mean(), 1e-6)))
        ridge = _RIDGE * np.sqrt(np.sum(root**2)) * np.eye(len(found))
        matrix = np.concatenate([scaled * root[:, None], ridge])
        found, _ = nnls(matrix, np.concatenate([rate * root, np.zeros(len(found))]))
        fitted = scaled @ found
    return np.asarray(found / scale)


def _log_affine(columns: Floats, rate: Floats, weight: Floats) -> Floats:
    """Fit the logarithm of a Poisson rate by Newton's method."""
    found = np.zeros(columns.shape[1])
    found[0] = np.log(max(np.average(rate, weights=weight), 1e-6))
    ridge = _RIDGE**2 * max(float(weight @ rate), 1e-6) * np.eye(len(found))
    ridge[0, 0] *= 1e-3
    for _ in range(6 * _ROUNDS):
        fitted = np.exp(np.clip(columns @ found, -30.0, 30.0))
        gradient = columns.T @ (weight * (rate - fitted))
        found = found + np.linalg.solve(columns.T @ (columns * (weight * fitted)[:, None]) + ridge, gradient)
    return found


def _floats(values: Tensor | NDArray[np.float64]) -> Floats:
    return values.detach().cpu().numpy().astype(np.float64) if isinstance(values, Tensor) else np.asarray(values, float)
