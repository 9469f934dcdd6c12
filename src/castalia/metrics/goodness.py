"""Goodness of fit of events in many observables: a smooth test with a p-value for each data set.

Every observable is mapped to its rank in the expected distribution. The means of Legendre polynomials of the ranks, and
of products over pairs of observables, are compared with the expected ones: location, width and shape of each observable
and how each pair moves together. What is expected comes from a model, and a model is imperfect: with 20,000 events a
test sees a density that is off by a hundredth of a nat. So the expected means are corrected by what the same model gets
wrong on simulation that it never saw, and the statistical error of that correction enters the covariance. The null
hypothesis is then "the events are simulation at the fitted point", not "the events are the model's".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from castalia.errors import DataError
from castalia.metrics.arrays import as_columns, as_weights, effective_events
from castalia.metrics.chi_squared import squared_distance, tail_probability

__all__ = ["Component", "GoodnessOfFit", "goodness_of_fit"]

_ORDERS = ((6, 3), (4, 2), (2, 0))
"""Highest order in one observable, and highest total order in a pair, from most to least features."""

_EVENTS_PER_FEATURE = 10
"""Fewer events than this for each feature, and the means are not normal enough for the statistic's distribution."""

_CHUNK = 16_384


@final
@dataclass(frozen=True)
class Component:
    """One component of the expected distribution, such as the signal at the fitted parameters.

    Attributes:
        share: Fraction of the events that it is expected to be, in [0, 1].
        events: Events of the component, shape ``(events, observables)``.
        simulated: Simulation that no training saw, shape ``(held_out, observables)``; ``None`` where ``events`` need no
            correction.
        regenerated: One model event for each of ``simulated``, at that event's own condition, same shape.
        modelled: Whether ``events`` were drawn from a model, rather than simulated.
    """

    share: float
    events: NDArray[np.float64]
    simulated: NDArray[np.float64] | None = None
    regenerated: NDArray[np.float64] | None = None
    modelled: bool = True


@final
@dataclass(frozen=True)
class GoodnessOfFit:
    """Outcome of the test of one data set.

    Attributes:
        p_value: Probability of a statistic at least as large, if the events are what was expected. Parameters fitted to
            the same events make it larger, by about their number in the statistic: the test is conservative.
        statistic: Squared distance of the means from those expected, in units of its covariance.
        features: Number of independent features, the statistic's mean under the null hypothesis.
        events: Effective number of observed events.
        reference: Effective number of events that the expectation stands on.
        corrected: Whether every component that a model made was corrected by held-out simulation. Without it the
            p-value is also that of the model's own faults.
        observables: p-value of each observable by itself, by name.
    """

    p_value: float
    statistic: float
    features: int
    events: float
    reference: float
    corrected: bool
    observables: dict[str, float]

    def rejects(self, level: float = 0.99) -> bool:
        """Tell whether the expected distribution is rejected at confidence ``level``."""
        return self.p_value < 1.0 - level


def goodness_of_fit(
    observed: ArrayLike,
    components: Sequence[Component],
    names: Sequence[str],
    *,
    weights: ArrayLike | None = None,
) -> GoodnessOfFit:
    """Test observed events against a mixture of components.

    The statistic is Hotelling's for the means of the features; for independent observables and an exactly known
    expectation it is Neyman's smooth test. The covariance has three parts: that of the observed means under the
    mixture, that of each component's events, and that of the correction, all from the expected side.

    Args:
        observed: Observed events, shape ``(events, observables)``; of few events lower orders are tested.
        components: What is expected; the shares sum to one.
        names: Names of the observables.
        weights: Weights of the observed events, shape ``(events,)``.

    Raises:
        DataError: If columns, rows or shares do not match, a value is not finite, or there are too few events.

    References:
        Neyman, "Smooth test" for goodness of fit, Skandinavisk Aktuarietidskrift 20 (1937);
        Rayner, Thas and Best, Smooth Tests of Goodness of Fit (2nd ed., 2009), chapters 4 and 7: polynomials, groups.
        Anderson, An Introduction to Multivariate Statistical Analysis (3rd ed., 2003), section 5.2: the F distribution.
    """
    data = as_columns(observed, "the observed events")
    weight = as_weights(weights, len(data), "the observed events")
    parts = _checked(components, data.shape[1], len(names))
    effective, reference = effective_events(weight), 1.0 / sum(c.share**2 / _rows(c) for c in parts if c.share > 0.0)
    features = _Features(parts, names, *_orders(min(effective, reference), data.shape[1]))
    expected, covariance = _expected(features, parts, effective)
    difference = features.mean(data, weight) - expected
    statistic, count, _ = squared_distance(difference, covariance)
    corrected = all(part.simulated is not None or not part.modelled for part in parts)
    single = {}
    for name, block in zip(names, features.blocks, strict=True):
        alone, directions, _ = squared_distance(difference[block], covariance[np.ix_(block, block)])
        single[name] = tail_probability(alone, directions, reference)
    p_value = tail_probability(statistic, count, reference)
    return GoodnessOfFit(p_value, statistic, count, effective, reference, corrected, single)


def _checked(components: Sequence[Component], columns: int, names: int) -> list[Component]:
    shares = [component.share for component in components]
    if not shares or min(shares) < 0.0 or abs(sum(shares) - 1.0) > 1e-6:
        raise DataError(f"the components' shares are {shares}; give shares from 0 to 1 that sum to one.")
    checked = []
    for component in components:
        events = as_columns(component.events, "the expected events")
        pair = [component.simulated, component.regenerated]
        tables = [as_columns(table, "the held-out simulation") for table in pair if table is not None]
        if names != columns or any(table.shape[1] != columns for table in (events, *tables)):
            raise DataError(
                f"{names} names, and components of other columns, for {columns} observables; give the same."
            )
        if len(tables) == 1 or (tables and len(tables[0]) != len(tables[1])):
            raise DataError("held-out simulation needs one model event for each of its events, at the same condition.")
        simulated, regenerated = tables or (None, None)
        checked.append(Component(component.share, events, simulated, regenerated, component.modelled))
    return checked


def _rows(component: Component) -> float:
    """Number of events that the component's expectation is worth."""
    if component.simulated is None:
        return float(len(component.events))
    return 1.0 / (1.0 / len(component.events) + 2.0 / len(component.simulated))


def _orders(events: float, columns: int) -> tuple[int, int]:
    for single, pair in _ORDERS:
        if _EVENTS_PER_FEATURE * (columns * single + len(_pairs(columns, pair))) <= events:
            return single, pair
    single, pair = _ORDERS[-1]
    raise DataError(
        f"{events:.0f} effective events are too few for a goodness of fit in {columns} observables; "
        f"give at least {_EVENTS_PER_FEATURE * columns * single}, observed and expected."
    )


def _pairs(columns: int, total: int) -> list[tuple[int, int, int, int]]:
    """Return (column, order, other column, other order) of all products up to a total order."""
    orders = [(a, b) for a in range(1, total) for b in range(1, total) if a + b <= total]
    return [(i, a, j, b) for i, j in itertools.combinations(range(columns), 2) for a, b in orders]


@final
class _Features:
    """Legendre polynomials of the ranks in the expected mixture, and their products over pairs of observables."""

    def __init__(self, components: Sequence[Component], names: Sequence[str], single: int, pair: int) -> None:
        columns = len(names)
        self._single = single
        self._pairs = _pairs(columns, pair)
        self._ranks = [_rank_function(components, column, name) for column, name in enumerate(names)]
        self.blocks = [np.arange(i * single, (i + 1) * single) for i in range(columns)]
        self.count = columns * single + len(self._pairs)

    def chunks(self, table: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """Yield the features of the rows, shape ``(rows, count)``, chunk by chunk."""
        for start in range(0, len(table), _CHUNK):
            yield self._of(table[start : start + _CHUNK])

    def mean(self, table: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weighted mean of every feature."""
        starts = range(0, len(table), _CHUNK)
        total = sum(
            (weight[i : i + _CHUNK] @ rows for i, rows in zip(starts, self.chunks(table), strict=True)),
            start=np.zeros(self.count),
        )
        return np.asarray(total / weight.sum())

    def _of(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = np.sqrt(2.0 * np.arange(self._single + 1) + 1.0)
        single = [
            legendre.legvander(2.0 * np.interp(column, *ranks) - 1.0, self._single) * scale
            for column, ranks in zip(rows.T, self._ranks, strict=True)
        ]
        table = np.empty((len(rows), self.count))
        for block, values in zip(self.blocks, single, strict=True):
            table[:, block] = values[:, 1:]
        for place, (i, a, j, b) in enumerate(self._pairs, start=len(single) * self._single):
            table[:, place] = single[i][:, a] * single[j][:, b]
        return table


def _rank_function(
    components: Sequence[Component], column: int, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values and their ranks in (0, 1); tied values have the middle of their ranks."""
    values = np.concatenate([component.events[:, column] for component in components])
    weight = np.concatenate([np.full(len(c.events), c.share / len(c.events)) for c in components])
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) == 1:
        raise DataError(
            f"observable '{name}' is expected to be {distinct[0]:g} in every event; leave it out of the test."
        )
    mass = np.bincount(place, weights=weight)
    return distinct, np.cumsum(mass) - 0.5 * mass


def _expected(
    features: _Features, components: Sequence[Component], events: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the expected means and the covariance of (observed − expected) for ``events`` observed events."""
    mean, second = np.zeros(features.count), np.zeros((features.count, features.count))
    covariance = np.zeros_like(second)
    for component in components:
        centre, spread = _moments(features.chunks(component.events), features.count)
        covariance += component.share**2 * spread / len(component.events)
        if component.simulated is not None and component.regenerated is not None:
            pairs = zip(features.chunks(component.simulated), features.chunks(component.regenerated), strict=True)
            shift, scatter = _moments((true - made for true, made in pairs), features.count)
            centre = centre + shift
            covariance += component.share**2 * scatter / len(component.simulated)
        mean += component.share * centre
        second += component.share * (spread + np.outer(centre, centre))
    return mean, covariance + (second - np.outer(mean, mean)) / events


def _moments(chunks: Iterator[NDArray[np.float64]], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and covariance of the rows of all chunks; features are of order one, so sums of squares are exact."""
    rows, total, squares = 0, np.zeros(count), np.zeros((count, count))
    for chunk in chunks:
        rows, total, squares = rows + len(chunk), total + chunk.sum(axis=0), squares + chunk.T @ chunk
    mean = total / rows
    return mean, squares / rows - np.outer(mean, mean)
