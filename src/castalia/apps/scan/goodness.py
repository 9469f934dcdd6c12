"""Goodness of fit of a fitted scan: observed events against what simulation is expected to look like at the minimum.

There is no simulation at the fitted parameters, but there are the flow's events. What the flow gets wrong is measured
on simulation that it was not fitted to, at the parameter points nearest to the minimum, and taken off. For the
background held-out simulation takes the flow's place. It is kept beside the model: a fit needs no training files.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.fit import FitModel, FitResult
from castalia.errors import ModelError
from castalia.metrics.goodness import Component, GoodnessOfFit, goodness_of_fit
from castalia.rng import Stream
from castalia.runs.kept import load_kept, save_kept, unweighted_rows

__all__ = ["HeldOut", "fitted_goodness", "load_held_out", "save_held_out"]

Array = NDArray[np.float64]

NAME = "held_out.safetensors"

_FEWEST_NEAR = 4_000
_NEAR = 4.0
"""Held-out events used for each expected signal event: the nearest ones, as what a flow gets wrong depends on theta."""


@runtime_checkable
class _Sampler(Protocol):
    @abstractmethod
    def sample(self, theta: Array, events: int, rng: np.random.Generator) -> Array:
        """Draw ``events`` events at each point of ``theta``, shape ``(points, parameters)``."""
        ...


@final
@dataclass(frozen=True)
class HeldOut:
    """Simulated events that no density was fitted to.

    Attributes:
        x: Observables, shape ``(events, observables)``.
        theta: True parameters of each event, shape ``(events, parameters)``; no columns for background.
    """

    x: Array
    theta: Array


def save_held_out(folder: Path, x: Array, theta: Array, weight: Array, seed: int) -> None:
    """Keep unweighted held-out events beside the model in ``folder``; see ``castalia.runs.kept``.

    What the expectation is worth is to be well above the size of the observed samples.

    Args:
        folder: The model's folder.
        x: Observables of the validation events, shape ``(events, observables)``.
        theta: Their parameters, shape ``(events, parameters)``.
        weight: Their weights, not negative, shape ``(events,)``.
        seed: Seed of the run.
    """
    rows = unweighted_rows(weight, Stream(seed, "held-out simulation").at())
    save_kept(folder / NAME, {"x": x[rows], "theta": theta[rows]})


def load_held_out(folder: Path) -> HeldOut | None:
    """Return what ``save_held_out`` kept; ``None`` where nothing was.

    Raises:
        ModelError: If the file is damaged.
    """
    kept = load_kept(folder / NAME, ("x", "theta"))
    return None if kept is None else HeldOut(*kept)


def fitted_goodness(
    model: FitModel,
    result: FitResult,
    parts: Sequence[ExpectedPart],
    names: Sequence[str],
    held_out: Mapping[str, HeldOut],
    seed: int = 1,
) -> GoodnessOfFit:
    """Test the events of a fit against the fitted mixture.

    Args:
        model: The model that was fitted.
        result: Its fit.
        parts: Events drawn from the fitted model, and how many of each kind are expected.
        names: Names of the observables.
        held_out: Held-out simulation by the label of its part. A part without is tested as the model has it, and the
            result is not ``corrected``.
        seed: Seed of the events generated beside the held-out ones.

    Raises:
        DataError: If there are too few events, or an observable is constant.
        ModelError: If the density of the signal cannot be sampled.
    """
    total = sum(part.expected for part in parts)
    theta = result.fitted.phi[: len(model.parameters)]
    components = []
    for part in parts:
        share, known = part.expected / total, held_out.get(part.label)
        if known is None:
            components.append(Component(share, part.events))
        elif known.theta.shape[1] == 0:
            components.append(Component(share, known.x, modelled=False))
        else:
            rows = _nearest(known.theta, theta, int(max(_NEAR * part.expected, _FEWEST_NEAR)))
            again = _regenerated(model, known.theta[rows], seed)
            components.append(Component(share, part.events, known.x[rows], again))
    weights = result.likelihood.weights.numpy() if result.likelihood.weighted else None
    return goodness_of_fit(result.likelihood.x.numpy(), components, names, weights=weights)


def _regenerated(model: FitModel, theta: Array, seed: int) -> Array:
    if not isinstance(model.signal, _Sampler):
        raise ModelError(f"the signal's density {type(model.signal).__name__} cannot be sampled; train one that can.")
    return model.signal.sample(theta, 1, Stream(seed, "goodness of fit").at())


def _nearest(points: Array, theta: Array, count: int) -> NDArray[np.int64]:
    """Return the rows of the ``count`` points nearest to theta, in units of the points' spread."""
    spread = points.std(axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    found = KDTree(points / scale).query(theta / scale, k=min(count, len(points)))[1]
    return np.sort(np.atleast_1d(found)).astype(np.int64)
