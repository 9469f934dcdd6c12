"""Fits of many data sets of the heavy-Higgs scan benchmark: is the minimum the lowest, and is the model accepted?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from castalia.apps.scan.descent import descend
from castalia.apps.scan.expected import expected_parts
from castalia.apps.scan.fit import FitModel, FitResult, FitSettings, fit
from castalia.apps.scan.goodness import fitted_goodness
from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.support import Support
from castalia.rng import Stream
from scan_heavy_higgs_measures import OBSERVABLES, Opened, Pools

__all__ = ["MassGrid", "fit_fresh_data", "mass_grid", "rejections"]

Array = NDArray[np.float64]

_MESH = 11  # points in each mass of the exhaustive search
_FRACTIONS = np.array([0.01, 0.03, 0.05, 0.08, 0.11, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9])  # and in the share of signal
_FOLLOWED = 6  # lowest local minima of that grid that descend
_MISSED = 0.01  # of the log-likelihood: a minimum found higher by more is not the lowest
_PAIRS = 1 << 14  # of points and events at a time: activations stay in the cache
_REJECTED = 0.01
_SETTINGS = FitSettings(minos=False)


@final
@dataclass(frozen=True)
class MassGrid:
    """Signal over background density of every event of the pools, at a mesh of masses where training points are.

    Attributes:
        points: Mesh points, shape ``(_MESH**2, 2)``.
        holds: Which of them lie among training points, shape ``(_MESH**2,)``.
        ratio: p_s / p_b at those, for signal events first, shape ``(points that hold, events)``, float32.
        support: Where training points are.
    """

    points: Array
    holds: NDArray[np.bool_]
    ratio: NDArray[np.float32]
    support: Support

    def lowest(self, likelihood: Likelihood, rows: NDArray[np.int64]) -> float:
        """Return the lowest minimum of a data set: descents from all deep minima of the mesh, its fractions included.

        Args:
            likelihood: The likelihood of the data set.
            rows: Its events among those of the pools, signal first.
        """
        value = np.full((len(self.points), len(_FRACTIONS)), np.inf)
        ratio = self.ratio[:, rows]
        for place, fraction in enumerate(_FRACTIONS):
            value[self.holds, place] = -np.log1p(fraction * (ratio - 1.0)).sum(axis=1, dtype=np.float64)
        mesh = value.reshape(_MESH, _MESH, -1)
        deep = np.argwhere((mesh == minimum_filter(mesh, size=3, mode="nearest")) & np.isfinite(mesh))
        deep = deep[np.argsort(mesh[tuple(deep.T)])][:_FOLLOWED]
        starts = np.column_stack([self.points[deep[:, 0] * _MESH + deep[:, 1]], _FRACTIONS[deep[:, 2]]])
        ended = descend(likelihood, starts, tolerance=1e-5)
        supported = self.support.holds(ended.phi[:, : self.points.shape[1]])
        return float(ended.value[supported].min(initial=np.inf))


def mass_grid(model: FitModel, pools: Pools) -> MassGrid:
    """Evaluate the densities of the pools' events on the mesh; takes a value of each for each point."""
    low, high = (np.array([getattr(p, end) for p in model.parameters]) for end in ("low", "high"))
    axes = [np.linspace(start, stop, _MESH) for start, stop in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    support = Support(model.support, low, high)
    holds = support.holds(points)
    events = np.concatenate([pools.signal, pools.background])
    theta, ratio = torch.as_tensor(points[holds]), np.empty((int(holds.sum()), len(events)), dtype=np.float32)
    background = model.background
    if background is None:
        raise ValueError("the benchmark's model has a background")
    rows = _PAIRS // len(theta)
    with torch.no_grad():
        for start in range(0, len(events), rows):
            x = torch.as_tensor(events[start : start + rows])
            log_ratio = model.signal.log_prob(x, theta) - background.log_prob(x)
            # Above any power of ten that float32 holds, an event is signal with certainty.
            ratio[:, start : start + rows] = log_ratio.clamp(max=80.0).exp().numpy()
    return MassGrid(points, holds, ratio, support)


def fit_fresh_data(run: Opened, pools: Pools, sets: range, tested: int) -> dict[str, Any]:
    """Fit data sets of fresh events, hold each against its lowest minimum, and test the first of them.

    Args:
        run: The trained run.
        pools: Where the events come from.
        sets: Numbers of the data sets.
        tested: How many of them the test of the fit sees.
    """
    grid, above, p_values, seconds, evaluations = mass_grid(run.fitted, pools), [], [], [], []
    begin = time.process_time()
    for number in sets:
        rng = Stream(number, "heavy Higgs data").at()
        signal, background = pools.draw(rng)
        result = fit(run.fitted, np.concatenate([pools.signal[signal], pools.background[background]]), None, _SETTINGS)
        lowest = grid.lowest(result.likelihood, np.concatenate([signal, len(pools.signal) + background]))
        above.append(result.fitted.value - lowest if result.converged else np.inf)
        seconds.append(result.seconds)
        evaluations.append(result.evaluations)
        if number - sets.start < tested:
            p_values.append(_p_value(run, result, number))
    missed = [number for number, value in zip(sets, above, strict=True) if not value <= _MISSED]
    return {
        "sets": len(sets),
        "missed": missed,
        "fit_seconds": float(np.median(seconds)),
        "fit_evaluations": float(np.median(evaluations)),
        "tests": _counted(p_values),
        "seconds": time.process_time() - begin,
    }


def rejections(run: Opened, pools: Pools, what: str, sets: range) -> dict[str, Any]:
    """Fit data sets that are not what the model describes, and count those that the test rejects at 99 %."""
    p_values, begin = [], time.process_time()
    for number in sets:
        result = fit(run.fitted, pools.data(Stream(number, f"heavy Higgs data, {what}").at()), None, _SETTINGS)
        p_values.append(_p_value(run, result, number))
    return {**_counted(p_values), "seconds": time.process_time() - begin}


def _p_value(run: Opened, result: FitResult, seed: int) -> float:
    parts = expected_parts(run.fitted, result, seed)
    return fitted_goodness(run.fitted, result, parts, OBSERVABLES, run.held_out, seed=seed).p_value


def _counted(p_values: list[float]) -> dict[str, Any]:
    return {
        "sets": len(p_values),
        "rejected": int(np.sum(np.array(p_values) < _REJECTED)),
        "median_p_value": float(np.median(p_values)) if p_values else None,
    }
