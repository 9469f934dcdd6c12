"""A measurement whose unfolding is known exactly: normal truth, seen through a linear response with normal noise.

Prior, posterior and unfolded distribution are all normal, and stay so however often an unfolding is iterated. So not
only its end is known but every pass of it, and a procedure can be held against the exact answer pass by pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.errors import ConfigError

__all__ = ["GaussianSmearing", "KnownMeasurement", "Normal", "known_measurement"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Normal:
    """A normal distribution.

    Attributes:
        mean: Shape ``(columns,)``.
        covariance: Shape ``(columns, columns)``.
    """

    mean: Array
    covariance: Array

    def sample(self, events: int, rng: np.random.Generator) -> Array:
        """Draw events, shape ``(events, columns)``."""
        return self.mean + rng.standard_normal((events, len(self.mean))) @ np.linalg.cholesky(self.covariance).T


@final
@dataclass(frozen=True)
class GaussianSmearing:
    """A detector that measures ``response @ truth`` with normal noise.

    Attributes:
        response: Shape ``(measured, columns)``.
        noise: Covariance of the noise, shape ``(measured, measured)``.
    """

    response: Array
    noise: Array

    def detect(self, truth: Array, rng: np.random.Generator) -> Array:
        """Draw one measurement of each event, shape ``(events, measured)``."""
        noise = Normal(np.zeros(len(self.noise)), self.noise)
        return truth @ self.response.T + noise.sample(len(truth), rng)

    def detected(self, truth: Normal) -> Normal:
        """Return the distribution of measurements of truth that is distributed like ``truth``."""
        return Normal(self.response @ truth.mean, self.response @ truth.covariance @ self.response.T + self.noise)

    def posterior(self, measured: Array, prior: Normal) -> tuple[Array, Array]:
        """Return what each measurement says of its truth.

        Args:
            measured: Shape ``(events, measured)``.
            prior: Distribution of the truth in simulation.

        Returns:
            Mean of each event, shape ``(events, columns)``, and the covariance that all have in common.

        References:
            Bishop, Pattern Recognition and Machine Learning (2006), section 2.3.3.
        """
        seen = self.detected(prior)
        gain = self._gain(prior)
        return prior.mean + (measured - seen.mean) @ gain.T, prior.covariance - gain @ self.response @ prior.covariance

    def draws(self, measured: Array, prior: Normal, count: int, rng: np.random.Generator) -> Array:
        """Draw truths from each event's posterior, shape ``(events, count, columns)``."""
        means, covariance = self.posterior(measured, prior)
        around = Normal(np.zeros(len(prior.mean)), covariance).sample(len(means) * count, rng)
        return means[:, None, :] + around.reshape(len(means), count, -1)

    def unfolded(self, prior: Normal, truth: Normal, passes: int) -> Normal:
        """Return the unfolded distribution of endless data after a number of passes, each with the last one as prior.

        A pass averages the posteriors of the data: their means, spread over the data, and their covariance.

        Args:
            prior: Distribution of the truth in simulation, the answer of no pass at all.
            truth: Distribution of the truth in data.
            passes: Number of passes.
        """
        data = self.detected(truth)
        for _ in range(passes):
            gain = self._gain(prior)
            mean = prior.mean + gain @ (data.mean - self.response @ prior.mean)
            spread = prior.covariance - gain @ self.response @ prior.covariance + gain @ data.covariance @ gain.T
            prior = Normal(mean, 0.5 * (spread + spread.T))
        return prior

    def _gain(self, prior: Normal) -> Array:
        seen = self.detected(prior)
        return np.asarray(np.linalg.solve(seen.covariance, self.response @ prior.covariance).T, dtype=np.float64)


@final
@dataclass(frozen=True)
class KnownMeasurement:
    """A detector, and truths of which the simulation has the wrong one.

    Attributes:
        detector: The response, right in the simulation.
        simulated: Distribution of the truth in simulation.
        true: That in data.
    """

    detector: GaussianSmearing
    simulated: Normal
    true: Normal

    def unfolded(self, passes: int) -> Normal:
        """Return the exact answer after a number of passes; see `GaussianSmearing.unfolded`."""
        return self.detector.unfolded(self.simulated, self.true, passes)


def known_measurement(columns: int) -> KnownMeasurement:
    """Return a measurement whose plain unfolding is visibly wrong, and right after some six passes.

    Args:
        columns: 1, or 2 for truths that are correlated in data though not in simulation, in a detector that mixes them.

    Raises:
        ConfigError: If ``columns`` is another number.
    """
    if columns == 1:
        detector = GaussianSmearing(np.eye(1), 0.5 * np.eye(1))
        true = Normal(np.array([0.5]), np.array([[0.6]]))
    elif columns == 2:
        detector = GaussianSmearing(np.array([[1.0, 0.2], [0.0, 1.0]]), np.array([[0.4, 0.1], [0.1, 0.4]]))
        true = Normal(np.array([0.4, -0.3]), np.array([[0.8, 0.35], [0.35, 0.7]]))
    else:
        raise ConfigError(f"there is a known measurement of 1 and of 2 columns, not of {columns}.")
    return KnownMeasurement(detector, Normal(np.zeros(columns), np.eye(columns)), true)
