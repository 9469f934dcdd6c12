"""What a fit costs in one to eight parameters: ``python benchmarks/scan_dimensions.py [--quick]``.

The density is exact: the analytic mixture in eight observables, of which one to eight parameters are fitted. Ours
(search, MIGRAD with the exact gradient, HESSE) is held against MIGRAD by differences and a zooming grid, all to 0.05
standard deviations of the exact minimum; where a grid takes too long, its points are counted instead.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.scan.descent import descend
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.processes.mixture import analytic_mixture
from castalia.rng import Stream
from record import Goal, write_result
from scan_rivals import (
    RIVALS,
    VALUES_PER_GRADIENT,
    by_gradient,
    grid_evaluations,
    zoom_evaluations,
)

Array = NDArray[np.float64]

OBSERVABLES = 8
ACCURACY = 0.05  # standard deviations of the estimate
ZOOM_UP_TO = 3  # parameters: beyond, a data set takes minutes


def data_set(parameters: int, events: int, seed: int) -> tuple[Likelihood, Array]:
    """Draw a data set at a random point; return its likelihood and the point."""
    mixture = analytic_mixture(parameters, OBSERVABLES)
    rng = Stream(seed, "scan dimensions", str(parameters)).at(0)
    truth = rng.uniform(-0.8, 0.8, parameters)
    names = [Parameter(f"theta_{i}", -1.0, 1.0) for i in range(parameters)]
    return Likelihood(mixture, mixture.sample(truth, events, rng), names), truth


def measure(parameters: int, events: int, seed: int) -> dict[str, Any]:
    """Fit one data set by all arms."""
    likelihood, truth = data_set(parameters, events, seed)
    # The reference descends from the truth itself: an arm that ends lower elsewhere has found a better minimum.
    exact = descend(likelihood, truth[None], tolerance=1e-10)
    errors = np.sqrt(np.diag(np.linalg.inv(likelihood.hessian(exact.phi[0]))))
    row: dict[str, Any] = {
        "plain grid": {"evaluations": grid_evaluations(likelihood, errors, ACCURACY)},
        "zooming grid": {"evaluations": zoom_evaluations(likelihood, errors, ACCURACY)},
    }
    for name, arm in {"gradient": by_gradient, **RIVALS}.items():
        if name == "zooming grid" and parameters > ZOOM_UP_TO:
            continue
        found = arm(likelihood, errors, ACCURACY)
        row[name] = {
            "evaluations": found.evaluations,
            "seconds": found.seconds,
            "off": float(np.max(np.abs(found.phi - exact.phi[0]) / errors)),
            "global": bool(likelihood.value(found.phi[None])[0] < exact.value[0] + 0.5),
        }
    return row


def exponent(parameters: list[int], cost: list[float]) -> tuple[float, float]:
    """Return the power of the dimension that the cost follows, with its error, by a straight line of logarithms."""
    (slope, _), covariance = np.polyfit(np.log(parameters), np.log(cost), 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))


def main() -> None:
    """Measure every dimension and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    dimensions = [1, 2, 4, 8] if quick else [1, 2, 3, 4, 5, 6, 7, 8]
    events, seeds = (1000, [1, 2]) if quick else (10000, list(range(1, 9)))
    began = time.monotonic()
    by_gradient(data_set(2, events, 0)[0], np.full(2, 0.1), ACCURACY)  # warm-up
    rows = {str(p): [measure(p, events, seed) for seed in seeds] for p in dimensions}

    def mean(arm: str, key: str) -> list[float]:
        return [float(np.mean([row[arm][key] for row in rows[str(p)]])) for p in dimensions]

    power, power_error = exponent(dimensions, mean("gradient", "evaluations"))
    ours = [row["gradient"] for p in dimensions for row in rows[str(p)]]
    numeric = "MIGRAD with numerical gradients"
    arms = ("gradient", numeric, "zooming grid", "plain grid")
    ratio = {
        arm: float(np.median(np.array(mean(arm, "evaluations")) / np.array(mean("gradient", "evaluations"))))
        for arm in (numeric, "zooming grid")
    }
    goals = [
        Goal("exponent of the evaluations in the dimension", power, "<=", 1.0, error=power_error),
        Goal("global minimum found, fraction of data sets", float(np.mean([o["global"] for o in ours])), ">=", 0.99),
        Goal("largest distance from the exact estimate [sigma]", max(o["off"] for o in ours), "<=", ACCURACY),
        Goal("evaluations, numerical gradients over ours", ratio[numeric], ">=", 3.0, peer=numeric),
        Goal("evaluations, zooming grid over ours", ratio["zooming grid"], ">=", 20.0, peer="zooming grid"),
    ]
    seconds = time.monotonic() - began
    write_result(
        "scan_dimensions_quick" if quick else "scan_dimensions",
        values={
            "events": events,
            "accuracy": ACCURACY,
            "values_per_gradient": VALUES_PER_GRADIENT,
            "dimensions": dimensions,
            "evaluations": {arm: mean(arm, "evaluations") for arm in arms},
            "seconds": {arm: mean(arm, "seconds") for arm in ("gradient", numeric)},
            "exponent_of_seconds": exponent(dimensions, mean("gradient", "seconds")),
            "rows": rows,
        },
        goals=goals,
        paths=["src/castalia/apps/scan", "src/castalia/processes/mixture.py", "benchmarks/scan_rivals.py"],
        seeds=seeds,
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
