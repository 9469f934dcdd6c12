"""The rival of the heavy-Higgs scan: binned templates in two observables, interpolated between the simulated points.

As templates are made today: histograms of signal and background in two of the masses. The signal was simulated at
scattered points with a few dozen events each, so that no point has a template of its own: the probabilities of all
bins are fitted together, each logarithm a polynomial in the parameters, by maximum likelihood to the very events that
the flow is trained on. A template that is a normal peak moving with theta has a logarithm of second order. The fit of
a data set is that of its counts, with the flow's parameters and by the same minimiser.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import Tensor

from castalia.apps.scan.descent import descend
from castalia.apps.scan.experiment import Plan
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.rng import Stream

__all__ = ["BINNINGS", "Binning", "Templates", "choose", "fit_templates", "template_estimates"]

Array = NDArray[np.float64]
Bins = NDArray[np.int64]

_RIDGE = 1e-3  # of a coefficient's square, in events: keeps finite what a bin without events leaves open
_IN_EACH_BIN = 0.5  # added to each bin of the background, which a mixture must not divide by
_TOLERANCE = 1e-5
_ITERATIONS = 500


@dataclass(frozen=True)
class Binning:
    """How events become counts.

    Attributes:
        axes: Names of the two observables.
        bins: Bins along each, of equal numbers of signal and background events together.
        degree: Total degree of the polynomial in the parameters.
    """

    axes: tuple[str, str]
    bins: int
    degree: int

    @property
    def name(self) -> str:
        """The binning in words."""
        return f"{self.axes[0]} x {self.axes[1]}, {self.bins} x {self.bins}, degree {self.degree}"


_PAIRS = (("m_total", "m_jjbb"), ("m_total", "m_lvbb"), ("m_jjbb", "m_lvbb"), ("ht", "m_total"))
BINNINGS = tuple(Binning(*each) for each in itertools.product(_PAIRS, (8, 12, 18), (2, 4)))
"""The listed set from which the rival's best is chosen."""


@final
@dataclass(frozen=True)
class Templates:
    """Bin probabilities of signal at theta and of background; a density of bin numbers, as ``Likelihood`` takes one.

    Attributes:
        binning: How events become counts.
        columns: Places of the two observables among all.
        edges: Inner edges along each, shape ``(2, bins - 1)``.
        low: Lower corner of the parameters, shape ``(parameters,)``.
        range: Size of their box, same shape.
        coefficients: Of the logarithms before they are normalised, shape ``(terms, bins**2)``.
        log_background: Logarithm of the background's probabilities, shape ``(bins**2,)``.
    """

    binning: Binning
    columns: tuple[int, int]
    edges: Array
    low: Array
    range: Array
    coefficients: Array
    log_background: Array

    def bins_of(self, x: Array) -> Bins:
        """Return the bin of each event, shape ``(events,)``, of events of shape ``(events, observables)``."""
        first, second = (np.searchsorted(e, x[:, c]) for e, c in zip(self.edges, self.columns, strict=True))
        return np.asarray(first * self.binning.bins + second, dtype=np.int64)

    def log_prob(self, x: Tensor, theta: Tensor) -> Tensor:
        """Return the logarithm of the signal's probabilities, shape ``(points, rows)``, of bins in the column ``x``."""
        unit = 2.0 * (theta - torch.as_tensor(self.low)) / torch.as_tensor(self.range) - 1.0
        logits = _monomials(unit, self.binning.degree) @ torch.as_tensor(self.coefficients)
        return torch.log_softmax(logits, dim=1)[:, x[:, 0].long()]


def fit_templates(
    binning: Binning,
    names: Sequence[str],
    signal: Array,
    theta: Array,
    background: Array,
    parameters: Sequence[Parameter],
) -> Templates:
    """Fit the templates of one binning to simulation.

    Args:
        binning: How events become counts.
        names: Names of the observables.
        signal: Signal events, shape ``(events, observables)``.
        theta: Their parameters, shape ``(events, parameters)``; the events of a point lie together.
        background: Background events, shape ``(events, observables)``.
        parameters: The parameters, with their ranges.
    """
    columns = (names.index(binning.axes[0]), names.index(binning.axes[1]))
    share = np.linspace(0.0, 1.0, binning.bins + 1)[1:-1]
    edges = np.stack([np.quantile(_alike(signal[:, column], background[:, column]), share) for column in columns])
    low = np.array([parameter.low for parameter in parameters])
    width = np.array([parameter.high for parameter in parameters]) - low
    size = binning.bins**2
    empty = Templates(binning, columns, edges, low, width, np.zeros((0, size)), np.zeros(size))
    points, place = np.unique(theta, axis=0, return_inverse=True)
    counts = np.zeros((len(points), size))
    np.add.at(counts, (place, empty.bins_of(signal)), 1.0)
    terms = _monomials(torch.as_tensor(2.0 * (points - low) / width - 1.0), binning.degree).numpy()
    held = np.bincount(empty.bins_of(background), minlength=size) + _IN_EACH_BIN
    coefficients = _regression(terms, counts)
    return Templates(binning, columns, edges, low, width, coefficients, np.log(held / held.sum()))


def template_estimates(
    templates: Templates,
    pools: tuple[Array, Array],
    plan: Plan,
    truth: Array,
    parameters: tuple[Parameter, ...],
    experiments: range,
    purpose: str,
) -> Array:
    """Fit pseudo-experiments, drawn as ``castalia scan coverage`` draws them; start from the truth, as that does.

    Args:
        templates: The templates.
        pools: Signal and background events, each of shape ``(events, observables)``.
        plan: Numbers of events of an experiment.
        truth: True parameters, shape ``(parameters,)``.
        parameters: The parameters of the fit, the fraction of signal last.
        experiments: Numbers of the experiments.
        purpose: Name of their random numbers.

    Returns:
        Estimates, shape ``(experiments, parameters)``.
    """
    held = [templates.bins_of(pool) for pool in pools]
    stream, found = Stream(1, purpose), []
    for number in experiments:
        rng = stream.at(number)
        drawn = [rng.choice(bins, events, replace=False) for bins, events in zip(held, plan.draw(rng), strict=True)]
        counts = np.bincount(np.concatenate(drawn))
        there = np.flatnonzero(counts)
        likelihood = Likelihood(
            templates,
            there[:, None].astype(np.float64),
            parameters,
            weights=counts[there].astype(np.float64),
            log_background=templates.log_background[there],
        )
        found.append(descend(likelihood, truth[None], tolerance=_TOLERANCE).phi[0])
    return np.stack(found)


def choose(errors: Sequence[Array]) -> int:
    """Return which of several binnings is best, by the product of the root mean squares of all parameters' errors.

    Args:
        errors: For each binning, estimate minus truth, shape ``(experiments, parameters)``.
    """
    return int(np.argmin([np.log(np.square(one).mean(axis=0)).sum() for one in errors]))


def _alike(first: Array, second: Array) -> Array:
    """Return as many values of one sample as of the other."""
    size = min(len(first), len(second))
    return np.concatenate([first[:size], second[:size]])


def _monomials(unit: Tensor, degree: int) -> Tensor:
    """Return all monomials up to a total degree, shape ``(points, terms)``."""
    powers = [p for p in itertools.product(range(degree + 1), repeat=unit.shape[1]) if sum(p) <= degree]
    return torch.stack([(unit ** torch.as_tensor(each, dtype=unit.dtype)).prod(dim=1) for each in powers], dim=1)


def _regression(terms: Array, counts: Array) -> Array:
    """Fit ``log p = terms @ coefficients``, normalised over the bins, to counts at each point: a convex problem."""
    shape, total = (terms.shape[1], counts.shape[1]), counts.sum(axis=1, keepdims=True)

    def loss(flat: Array) -> tuple[float, Array]:
        coefficients = flat.reshape(shape)
        log_p = log_softmax(terms @ coefficients, axis=1)
        gradient = terms.T @ (total * np.exp(log_p) - counts) + 2.0 * _RIDGE * coefficients
        value = -float((counts * log_p).sum()) + _RIDGE * float(np.square(coefficients).sum())
        return value, gradient.ravel()

    start = np.zeros(shape)
    start[0] = np.log(counts.sum(axis=0) + _IN_EACH_BIN)
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS})
    return np.asarray(found.x, dtype=np.float64).reshape(shape)
