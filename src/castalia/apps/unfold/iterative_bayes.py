"""Iterative Bayesian unfolding of histograms in one or more dimensions: the reference that experiments know.

The share of a truth bin in a detector bin follows from Bayes' theorem, with the last unfolded spectrum as prior. Errors
come from a Poisson bootstrap of measured and simulated events: it contains the correlations that iterating brings
about, which the usual formula for one pass leaves out, and the statistics of the simulation.

Missed events enter by the efficiency, fakes by the fraction of a detector bin's simulated events that they are, and
background as a further expectation in the denominator: nothing is subtracted, and no bin can turn negative.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.binning import Binning
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents
from castalia.errors import DataError
from castalia.metrics.spectrum import spread_covariance

__all__ = ["IterativeBayesResult", "iterative_bayes"]

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_LARGEST_NEGATIVE = 0.001
"""Largest negative part of a histogram, in bins with a few events of both signs; what is below it counts as zero."""

_LARGEST_LOST = 0.001
"""Largest part of the simulated truth in bins without a selected event: stray events in the tails."""


@final
@dataclass(frozen=True)
class IterativeBayesResult:
    """Outcome of iterative Bayesian unfolding; in every array, row k belongs to k iterations.

    Attributes:
        truth: Bins of the truth columns.
        contents: Unfolded contents, shape ``(iterations + 1, truth bins)``; row 0 is the simulation's truth, scaled.
        replicas: Those of bootstrap replicas, shape ``(replicas, iterations + 1, truth bins)``.
        refolded: What the contents lead to at detector level, fakes and background included, shape
            ``(iterations + 1, detector bins)``.
        chi2: Squared distance of ``refolded`` from the data per detector bin, in units of the statistical errors of
            data and simulation, shape ``(iterations + 1,)``. Where the response is right it falls to one or less.
        changes: Root mean square over truth bins of each iteration's change in units of the bootstrap error, shape
            ``(iterations,)``, the first iteration first; NaN without replicas. See
            `castalia.apps.unfold.settling.settled_at`.
        simulated: The simulation's own truth contents, shape ``(truth bins,)``.
    """

    truth: Binning
    contents: Array
    replicas: Array
    refolded: Array
    chi2: Array
    changes: Array
    simulated: Array

    def covariance(self, iterations: int) -> Array:
        """Return the statistical covariance of the contents after ``iterations``, shape ``(truth bins, truth bins)``.

        Raises:
            DataError: If there are fewer than two replicas.
        """
        return spread_covariance(self.replicas[:, iterations])

    def weights(self, iterations: int, truth: Array) -> Array:
        """Return the factors that turn simulated events into the unfolded ones, shape ``(events,)``.

        Args:
            iterations: Number of iterations.
            truth: Truth columns, shape ``(events, columns)``; outside the bins the factor is 0.
        """
        place = self.truth.place(truth)
        return np.where(place < 0, 0.0, _ratio(self.contents[iterations], self.simulated)[place])


@final
@dataclass(frozen=True)
class _Counts:
    """Sums of weights in the bins.

    Attributes:
        data: Shape ``(detector bins,)``.
        background: Same shape.
        migration: Matched events, shape ``(detector bins, truth bins)``.
        truth: All fiducial events, shape ``(truth bins,)``.
        fakes: Shape ``(detector bins,)``.
    """

    data: Array
    background: Array
    migration: Array
    truth: Array
    fakes: Array

    def floored(self) -> _Counts:
        """Return the counts with nothing below zero."""
        return _Counts(*(np.maximum(sums, 0.0) for sums in vars(self).values()))

    @property
    def response(self) -> Array:
        """Probability of a detector bin for events of a truth bin, shape of ``migration``."""
        return _ratio(self.migration, self.truth)

    @property
    def purity(self) -> Array:
        """Fraction of a detector bin's simulated events that are no fakes, shape ``(detector bins,)``."""
        matched = self.migration.sum(axis=1)
        return _ratio(matched, matched + self.fakes)

    def refolded(self, contents: Array) -> Array:
        """Return what truth contents are expected to look like at detector level, shape ``(detector bins,)``."""
        return _ratio(self.response @ contents, self.purity) + self.background


@final
@dataclass(frozen=True)
class _Places:
    """The bin of every event, -1 for none.

    Attributes:
        seen: Of simulated events at detector level.
        true: Of simulated events at truth level.
        data: Of measured events.
        background: Of background events.
        bins: Number of detector bins and of truth bins.
    """

    seen: Integers
    true: Integers
    data: Integers
    background: Integers
    bins: tuple[int, int]

    def counts(self, simulation: Array, data: Array, background: Array) -> _Counts:
        """Sum up the weights of simulated, measured and background events."""
        rows, columns = self.bins
        cell = np.where((self.seen < 0) | (self.true < 0), -1, self.seen * columns + self.true)
        return _Counts(
            _sums(self.data, data, rows),
            _sums(self.background, background, rows),
            _sums(cell, simulation, rows * columns).reshape(rows, columns),
            _sums(self.true, simulation, columns),
            _sums(np.where(self.true < 0, self.seen, -1), simulation, rows),
        )


def iterative_bayes(
    simulation: SimulatedEvents,
    data: MeasuredEvents,
    truth: Binning,
    detector: Binning,
    *,
    iterations: int,
    replicas: int,
    rng: np.random.Generator,
    background: MeasuredEvents | None = None,
) -> IterativeBayesResult:
    """Unfold the spectrum of measured events.

    An event outside the bins of one level is as if it were not there: it is missed, or a fake. Truth bins that the
    simulation does not fill stay empty.

    Args:
        simulation: Simulated events.
        data: Measured events.
        truth: Bins of the truth columns.
        detector: Bins of the observables; as many as truth bins or more.
        iterations: Passes; fewer leave more of the simulation's spectrum, more amplify fluctuations.
        replicas: Bootstrap replicas; 0 for no errors.
        rng: Randomness of the bootstrap.
        background: Events expected in the data that are not in the simulation.

    Raises:
        DataError: If there are fewer detector bins than truth bins, more than 0.1 % of a histogram is negative, no data
            are left beside the background, or truth bins with more than 0.1 % of the simulated events are never
            selected.

    References:
        D'Agostini, A multidimensional unfolding method based on Bayes' theorem, Nucl. Instrum. Meth. A 362 (1995) 487.
        Shepp and Vardi, Maximum likelihood reconstruction for emission tomography (1982): the same iteration, which
        climbs to the maximum of the Poisson likelihood.
        Poisson bootstrap: Chamandy et al., Estimating Uncertainty for Massive Data Streams (Google, 2012).
    """
    if detector.bins < truth.bins:
        raise DataError(
            f"{detector.bins} detector bins cannot tell {truth.bins} truth bins apart; merge truth bins, or take "
            "observables of more values."
        )
    expected = MeasuredEvents(data.detector[:0], data.weights[:0]) if background is None else background
    weights = (simulation.weights, data.weights, expected.weights)
    places = _Places(
        detector.place(simulation.detector, simulation.selected),
        truth.place(simulation.truth, simulation.fiducial),
        detector.place(data.detector),
        detector.place(expected.detector),
        (detector.bins, truth.bins),
    )
    counts = places.counts(*weights)
    _check(counts)
    nominal = counts.floored()
    contents = _unfold(nominal, iterations)
    repeated = np.empty((replicas, iterations + 1, truth.bins))
    for number in range(replicas):
        again = places.counts(*(one * rng.poisson(1.0, len(one)) for one in weights))
        repeated[number] = _unfold(again.floored(), iterations)
    refolded = np.stack([nominal.refolded(one) for one in contents])
    squares = places.counts(*(np.square(one) for one in weights))
    chi2 = [_chi2(nominal, squares, *pair) for pair in zip(contents, refolded, strict=True)]
    changes = _changes(contents, repeated)
    return IterativeBayesResult(truth, contents, repeated, refolded, np.array(chi2), changes, nominal.truth)


def _sums(place: Integers, weights: Array, bins: int) -> Array:
    return np.bincount(place[place >= 0], weights[place >= 0], bins).astype(np.float64, copy=False)


def _ratio(above: Array, below: Array) -> Array:
    """Divide, with 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0.0)


def _check(counts: _Counts) -> None:
    for name, sums in vars(counts).items():
        negative = -float(sums[sums < 0.0].sum())
        if negative > _LARGEST_NEGATIVE * abs(float(sums.sum())):
            raise DataError(
                f"{int((sums < 0.0).sum())} bins of the {name} histogram have negative sums of weights, {negative:g} "
                "in all; take wider bins or more events."
            )
    if counts.data.sum() <= counts.background.sum():
        raise DataError(
            f"{counts.data.sum():g} data events lie inside the bins, and {counts.background.sum():g} are expected from "
            "background; check the bins and the background's normalisation."
        )
    lost = np.flatnonzero((counts.truth > 0.0) & (counts.migration.sum(axis=0) <= 0.0))
    part = float(counts.truth[lost].sum() / counts.truth.sum())
    if part > _LARGEST_LOST:
        raise DataError(
            f"{len(lost)} truth bins (first bin {lost[0]}) with {part:.2%} of the simulated events have none that is "
            "selected inside the detector bins, so that nothing can be said of them; merge them with others."
        )
    if len(lost):
        logger.warning("%d truth bins with %.3g of the events are never selected, and stay empty", len(lost), part)


def _unfold(counts: _Counts, iterations: int) -> Array:
    """Iterate from the simulation's truth; return the contents after each iteration, the beginning included."""
    response = counts.response
    efficiency = response.sum(axis=0)
    simulated = counts.migration.sum() + counts.fakes.sum()
    found = [counts.truth * max(counts.data.sum() - counts.background.sum(), 0.0) / simulated]
    for _ in range(iterations):
        share = response.T @ _ratio(counts.data, counts.refolded(found[-1]))
        found.append(found[-1] * _ratio(share, efficiency))
    return np.stack(found)


def _chi2(counts: _Counts, squares: _Counts, contents: Array, refolded: Array) -> float:
    """Return the squared distance from the data per bin; ``squares`` are sums of squared weights."""
    # The expected variance, not the observed one, which is too small where data fluctuate downwards.
    variance = refolded * squares.data.sum() / counts.data.sum() + squares.background
    factors = np.square(_ratio(contents, counts.truth))
    variance += _ratio(squares.migration @ factors, np.square(counts.purity))
    used = refolded > 0.0
    return float(np.mean(np.square(counts.data - refolded)[used] / variance[used]))


def _changes(contents: Array, replicas: Array) -> Array:
    if len(replicas) < 2:
        return np.full(len(contents) - 1, np.nan)
    error = replicas[:, 1:].std(axis=0, ddof=1)
    filled = contents[1:] > 0.0
    pulls = np.where(filled, _ratio(np.diff(contents, axis=0), error), 0.0)
    return np.asarray(np.sqrt(np.square(pulls).sum(axis=1) / filled.sum(axis=1)))
