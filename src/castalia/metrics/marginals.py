"""How far drawn events are from true ones, component by component, beside what truth against truth shows.

These are the source's six measures: Wasserstein, energy and Kolmogorov–Smirnov distances, and divergences in 64, 128
and 256 bins, in physical units and summed over components. None of them sees the detector: the truth of a random other
event is perfect in all six. See ``castalia.metrics.proper_scores`` and ``castalia.metrics.joint`` for measures that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights, effective_events
from castalia.metrics.cumulative import pool
from castalia.metrics.divergence import binned_divergence, cells, cells_range, fill
from castalia.metrics.floors import FlooredDistance
from castalia.rng import Stream

__all__ = ["FlooredMarginals", "FlooredSums", "MarginalDistances", "floored_marginals", "marginal_distances"]

_BINS = 256
_HALF = np.array([0.5**0.5, 0.5**0.5, 0.5**0.5, 0.5, 0.5, 0.5])
"""What a measure between two samples is at twice their size: distances fall as 1/sqrt(n), divergences as 1/n."""

Weights = tuple[NDArray[np.float64], NDArray[np.float64]]


@final
@dataclass(frozen=True)
class MarginalDistances:
    """Six measures of every component.

    Attributes:
        wasserstein: Wasserstein-1 distances in the components' units, shape ``(components,)``.
        energy: Energy distances, square-root form, in the square roots of the components' units, same shape.
        kolmogorov_smirnov: Largest gaps of the cumulative distributions, same shape.
        kl64: Divergences of the truth from the draws in 64 bins, in nats, same shape; see ``kl_divergence``.
        kl128: The same in 128 bins.
        kl256: The same in 256 bins.
    """

    wasserstein: NDArray[np.float64]
    energy: NDArray[np.float64]
    kolmogorov_smirnov: NDArray[np.float64]
    kl64: NDArray[np.float64]
    kl128: NDArray[np.float64]
    kl256: NDArray[np.float64]

    def summed(self, columns: Sequence[int] | None = None) -> dict[str, float]:
        """Add up each measure over ``columns``, all components by default, by the measure's name."""
        chosen = slice(None) if columns is None else list(columns)
        return {field.name: float(getattr(self, field.name)[chosen].sum()) for field in fields(self)}


@final
@dataclass(frozen=True)
class FlooredSums:
    """Six measures, each summed over components, beside its floor.

    Attributes:
        wasserstein: Sum of the Wasserstein-1 distances.
        energy: Sum of the energy distances.
        kolmogorov_smirnov: Sum of the Kolmogorov–Smirnov distances.
        kl64: Sum of the divergences in 64 bins.
        kl128: Sum of the divergences in 128 bins.
        kl256: Sum of the divergences in 256 bins.
    """

    wasserstein: FlooredDistance
    energy: FlooredDistance
    kolmogorov_smirnov: FlooredDistance
    kl64: FlooredDistance
    kl128: FlooredDistance
    kl256: FlooredDistance


@final
@dataclass(frozen=True)
class FlooredMarginals:
    """The six measures of every component with what their errors and floors come from.

    Attributes:
        distances: The measures of truth and draws.
        replicas: The same in bootstrap samples of the events, shape ``(repeats, 6, components)``.
        floors: Truth against truth at the size of ``events``, same shape; half splits, scaled.
        events: Number of events in each compared sample.
    """

    distances: MarginalDistances
    replicas: NDArray[np.float64]
    floors: NDArray[np.float64]
    events: int

    def summed(self, columns: Sequence[int] | None = None) -> FlooredSums:
        """Add up the measures over ``columns``, all components by default, with errors and floors of the sums."""
        chosen = slice(None) if columns is None else list(columns)
        errors = self.replicas[:, :, chosen].sum(axis=2).std(axis=0, ddof=1)
        floors = self.floors[:, :, chosen].sum(axis=2)
        repeats = len(floors)
        spread, mean = floors.std(axis=0, ddof=1), floors.mean(axis=0)
        values = self.distances.summed(columns)
        return FlooredSums(
            **{
                name: FlooredDistance(
                    value=value,
                    error=float(errors[i]),
                    floor=float(mean[i]),
                    floor_error=float(spread[i]) / repeats**0.5,
                    floor_spread=float(spread[i]),
                    excess=value - float(mean[i]),
                    excess_error=float(np.hypot(errors[i], spread[i] / repeats**0.5)),
                    ratio=value / float(mean[i]) if mean[i] > 0.0 else float("nan"),
                    events=self.events,
                    pairs=repeats,
                )
                for i, (name, value) in enumerate(values.items())
            }
        )


def marginal_distances(
    truth: ArrayLike,
    drawn: ArrayLike,
    weights_truth: ArrayLike | None = None,
    weights_drawn: ArrayLike | None = None,
) -> MarginalDistances:
    """Measure the six distances of every component.

    Args:
        truth: True values, shape ``(events, components)``, in physical units.
        drawn: Drawn values, shape ``(others, components)``, in the same units.
        weights_truth: Weights of ``truth``, shape ``(events,)``; their sum must be positive.
        weights_drawn: Weights of ``drawn``, shape ``(others,)``.

    Raises:
        DataError: If a sample is empty or holds NaN, or components or weights do not fit.

    References:
        End-To-End Latent Variational Diffusion Models for Inverse Problems in High Energy Physics, whose measures
        these are.
    """
    true, made = as_columns(truth, "the truth"), as_columns(drawn, "the draws")
    if true.shape[1] != made.shape[1]:
        raise DataError(f"truth and draws have {true.shape[1]} and {made.shape[1]} components; compare equal ones.")
    one = as_weights(weights_truth, len(true), "the truth")
    other = as_weights(weights_drawn, len(made), "the draws")
    return MarginalDistances(*_measure(true, made, [(one, other)])[0])


def floored_marginals(
    truth: ArrayLike, drawn: ArrayLike, *, weights: ArrayLike | None = None, repeats: int = 20, seed: int = 0
) -> FlooredMarginals:
    """Measure the six distances of every component with bootstrap errors and floors.

    Errors come from the Poisson bootstrap of events, truth and draw of an event together; near the floor they are
    conservative, since a resampled distance has the noise of both. The floor is that of two independent truth samples:
    random halves of the truth, scaled to the full size (where bins hold few events the scaled divergence is low: in 256
    bins by 6 % with 5,000 events, by 2 % with 20,000). Draws are made for the true events' own detector events, which
    ties them together: perfect draws lie below the floor where the detector tells much, and a ratio below one is no
    mistake.

    Args:
        truth: True values, shape ``(events, components)``, in physical units.
        drawn: One draw for each event, same shape and units.
        weights: Weights of the events, shape ``(events,)``; their sum must be positive.
        repeats: Number of bootstrap samples and of half splits, at least 10.
        seed: Seed of both.

    Raises:
        DataError: If shapes differ, a value is NaN, or there are fewer than 10 repeats or 100 events.

    References:
        Chamandy et al., Estimating Uncertainty for Massive Data Streams (Google, 2012): the Poisson bootstrap.
    """
    true, made = as_columns(truth, "the truth"), as_columns(drawn, "the draws")
    if true.shape != made.shape or repeats < 10 or len(true) < 100:
        raise DataError(
            f"truth of shape {true.shape}, draws of shape {made.shape} and {repeats} repeats give no distance with a "
            "floor; give one draw for each of 100 or more events, and 10 or more repeats."
        )
    weight, events = as_weights(weights, len(true), "the truth"), len(true)
    one, other = Stream(seed, "marginal bootstrap"), Stream(seed, "marginal halves")
    resampled = [weight * one.at(i).poisson(1.0, events) for i in range(repeats)]
    halves = [other.at(i).permutation(events) < events // 2 for i in range(repeats)]
    measured = _measure(true, made, [(weight, weight), *((sample, sample) for sample in resampled)])
    floors = _measure(true, true, [(weight * half, weight * ~half) for half in halves])
    return FlooredMarginals(MarginalDistances(*measured[0]), measured[1:], floors * _HALF[:, None], events)


def _measure(truth: NDArray[np.float64], drawn: NDArray[np.float64], weights: Sequence[Weights]) -> NDArray[np.float64]:
    """Return the measures for each pair of weights, shape ``(pairs, 6, components)``."""
    table = np.empty((len(weights), len(_HALF), truth.shape[1]))
    for i, (x, y) in enumerate(zip(truth.T, drawn.T, strict=True)):
        column, ends = pool(x, y), cells_range(x)
        places = cells(x, ends, _BINS), cells(y, ends, _BINS)
        for j, (one, other) in enumerate(weights):
            gap = column.gap(one, other)
            p, q = fill(places[0], one, _BINS), fill(places[1], other, _BINS)
            distances = column.wasserstein(gap), column.energy(gap), column.kolmogorov_smirnov(gap)
            events = effective_events(other)
            divergences = [binned_divergence(_merged(p, k), _merged(q, k), events) for k in (4, 2, 1)]
            table[j, :, i] = *distances, *divergences
    return table


def _merged(contents: NDArray[np.float64], together: int) -> NDArray[np.float64]:
    """Add up neighbouring bins, under- and overflow left alone."""
    inner = contents[1:-1].reshape(-1, together).sum(axis=1)
    return np.concatenate([contents[:1], inner, contents[-1:]])
