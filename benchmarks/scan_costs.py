"""What minimising one likelihood costs: ours, and each rival at equal accuracy of the estimate."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.scan.descent import descend
from castalia.apps.scan.fit import FitModel, build_likelihood, fit
from castalia.apps.scan.likelihood import Likelihood
from castalia.apps.scan.search import search
from castalia.rng import Stream
from scan_rivals import RIVALS, Outcome, grid_evaluations, zoom_evaluations

__all__ = ["GRID", "NUMERICAL", "ZOOM", "cost_row"]

Array = NDArray[np.float64]

NUMERICAL, ZOOM, GRID = "MIGRAD with numerical gradients", "zooming grid", "plain grid"


def cost_row(model: FitModel, x: Array, accuracy: float, zoom: bool) -> dict[str, Any]:
    """Fit a data set with MINOS, and minimise the same likelihood by search alone and by the rivals.

    The search by itself is as accurate as what the rivals are asked for; the covariance that follows is no part of the
    comparison. How many points the grids have is known before they run.

    Args:
        model: The model.
        x: Events, shape ``(events, observables)``.
        accuracy: Standard deviations of the estimate that the rivals are brought to.
        zoom: Whether the zooming grid is run, rather than counted.
    """
    result = fit(model, x)
    likelihood = build_likelihood(model, x)
    best = descend(likelihood, result.fitted.phi[None], tolerance=1e-10).phi[0]
    # By the information, which says what to aim for at a limit of the range as well.
    errors = np.sqrt(np.diag(np.linalg.inv(likelihood.information(best))))
    row: dict[str, Any] = {
        "fit": {"seconds": result.seconds, "evaluations": result.evaluations},
        GRID: {"evaluations": grid_evaluations(likelihood, errors, accuracy)},
    }
    for name, arm in {"search": _by_search, **RIVALS}.items():
        if name == ZOOM and not zoom:
            row[name] = {"evaluations": zoom_evaluations(likelihood, errors, accuracy)}
            continue
        found = arm(likelihood, errors, accuracy)
        off = float(np.max(np.abs(found.phi - best) / errors))
        row[name] = {"evaluations": found.evaluations, "seconds": found.seconds, "off": off}
    return row


def _by_search(likelihood: Likelihood, errors: Array, accuracy: float) -> Outcome:
    began = time.perf_counter()
    minima, evaluations = search(likelihood, Stream(1, "scan search"))
    return Outcome(minima[0].phi, evaluations, time.perf_counter() - began)
