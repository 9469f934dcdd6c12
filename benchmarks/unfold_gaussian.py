"""Do unfoldings reach the truth from a wrong prior? ``python benchmarks/unfold_gaussian.py [--quick]``.

The measurement is known exactly, pass by pass: normal truth of one column, and of two that are correlated in data but
not in simulation, smeared by a linear detector. Three arms unfold the same events: iterative Bayesian unfolding of
histograms, OmniFold, and per-event posterior draws (exact ones, under the simulation's prior) whose prior is removed by
importance weights; what trained models make of a known posterior is for the tests. In each pass, bias and width of the
unfolded mean and covariance are taken over experiments.

The uncorrected bias is that of one pass: what an unfolding has that does not iterate.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.unfold.binning import binning
from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, measured_events, simulated_events
from castalia.apps.unfold.iterative_bayes import iterative_bayes
from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold
from castalia.apps.unfold.prior import ClassifierRatio, iterate_prior, resampled
from castalia.data.layout import Layout, Variable
from castalia.processes.gaussian_smearing import KnownMeasurement, Normal, known_measurement
from castalia.rng import Stream
from record import Goal, add_row, load_rows, write_result

Array = NDArray[np.float64]

PASSES = 7
DRAWS = 80
BINS = {1: (41, 51), 2: (25, 31)}
"""Edges of each column, from -4 to 4 at truth level and from -5 to 5 at detector level."""

PATHS = [
    "src/castalia/apps/unfold",
    "src/castalia/estimators/efficiency.py",
    "src/castalia/metrics/moments.py",
    "src/castalia/metrics/spectrum.py",
    "src/castalia/nn/mlp.py",
    "src/castalia/processes/gaussian_smearing.py",
    "src/castalia/rng.py",
    "src/castalia/training",
]


def in_widths(answer: Normal, truth: Normal) -> list[float]:
    """Return mean and covariance in units of the true standard deviations, one after the other."""
    width = np.sqrt(np.diag(truth.covariance))
    covariance = answer.covariance / np.outer(width, width)
    return [*(answer.mean / width).tolist(), *covariance[np.triu_indices(len(width))].tolist()]


def moments(values: Array, weights: Array, truth: Normal) -> list[float]:
    """Return mean and covariance of unfolded events in units of the true standard deviations."""
    covariance = np.atleast_2d(np.cov(values.T, aweights=weights))
    return in_widths(Normal(np.average(values, axis=0, weights=weights), covariance), truth)


def by_histograms(
    known: KnownMeasurement, simulation: SimulatedEvents, data: MeasuredEvents, seed: int
) -> list[list[float]]:
    """Unfold by iterative Bayesian unfolding; return the moments after 0, 1, … passes."""
    columns = data.detector.shape[1]
    truth, detector = (
        binning(*[np.linspace(-end, end, edges)] * columns) for end, edges in zip((4, 5), BINS[columns], strict=True)
    )
    rng = Stream(seed, "no bootstrap").at()
    result = iterative_bayes(simulation, data, truth, detector, iterations=PASSES, replicas=0, rng=rng)
    weights = [result.weights(k, simulation.truth) for k in range(PASSES + 1)]
    return [moments(simulation.truth, one, known.true) for one in weights]


def by_omnifold(
    known: KnownMeasurement, simulation: SimulatedEvents, data: MeasuredEvents, seed: int
) -> list[list[float]]:
    """Unfold by OmniFold; return as `by_histograms`."""
    layout = Layout(variables("x", data.detector.shape[1]), variables("z", simulation.truth.shape[1]))
    result = omnifold(simulation, data, layout, OmniFoldConfig(iterations=PASSES), seed)
    weights = [simulation.weights, *(function(simulation.truth) for function in result.functions)]
    return [moments(simulation.truth, one, known.true) for one in weights]


def by_draws(
    known: KnownMeasurement, simulation: SimulatedEvents, data: MeasuredEvents, seed: int
) -> list[list[float]]:
    """Unfold by posterior draws with importance weights; return as `by_histograms`."""
    rng = Stream(seed, "posterior draws").at()
    draws = known.detector.draws(data.detector, known.simulated, DRAWS, rng)
    columns = draws.shape[2]
    passes = iterate_prior(
        resampled(draws),
        data.weights,
        (simulation.truth, simulation.weights),
        ClassifierRatio(variables("z", columns), RatioConfig(), seed),
        passes=PASSES,
        rng=rng,
    )
    flat = draws.reshape(-1, columns)
    unfolded = [moments(flat, one.posterior.weights.ravel(), known.true) for one in passes]
    return [moments(simulation.truth, simulation.weights, known.true), *unfolded]


Arm = Callable[[KnownMeasurement, SimulatedEvents, MeasuredEvents, int], list[list[float]]]
ARMS: dict[str, Arm] = {"iterative Bayes": by_histograms, "OmniFold": by_omnifold, "importance weights": by_draws}


def variables(letter: str, columns: int) -> tuple[Variable, ...]:
    """Name the columns of one level."""
    return tuple(Variable(f"{letter}{i}") for i in range(columns))


def experiment(columns: int, events: int, seed: int) -> dict[str, Any]:
    """Unfold the events of one seed by all arms."""
    known, rng = known_measurement(columns), Stream(seed, "known measurement", str(columns)).at()
    truth = known.simulated.sample(events, rng)
    simulation = simulated_events(truth, known.detector.detect(truth, rng))
    data = measured_events(known.detector.detect(known.true.sample(events, rng), rng))
    row: dict[str, Any] = {}
    for name, arm in ARMS.items():
        began = time.monotonic()
        row[name] = {"moments": arm(known, simulation, data, seed), "seconds": round(time.monotonic() - began, 2)}
    return row


def summary(columns: int, rows: list[dict[str, Any]], arm: str) -> dict[str, Any]:
    """Return bias, its error and the width over experiments of each moment, pass by pass from none."""
    known = known_measurement(columns)
    found = np.array([row[arm]["moments"] for row in rows])  # experiments, passes, moments
    true = np.array(in_widths(known.true, known.true))
    exact = np.array([in_widths(known.unfolded(k), known.true) for k in range(PASSES + 1)]) - true
    bias, width = found.mean(axis=0) - true, found.std(axis=0, ddof=1)
    return {
        "bias": bias,
        "bias_error": width / np.sqrt(len(rows)),
        "width": width,
        "exact_bias": exact,
        "size": np.linalg.norm(bias, axis=1),
        "exact_size": np.linalg.norm(exact, axis=1),
        "seconds": float(np.mean([row[arm]["seconds"] for row in rows])),
    }


def goals_of(columns: int, arm: str, found: dict[str, Any], largest_off: float) -> list[Goal]:
    """State what is claimed of one arm."""
    size, error = found["size"], np.linalg.norm(found["bias_error"], axis=1)
    off = np.abs(found["bias"] - found["exact_bias"])
    worst = np.unravel_index(np.argmax(off), off.shape)
    name = f"{columns}-D, {arm}"
    return [
        Goal(
            f"{name}: bias left after {PASSES} passes",
            float(size[-1] / size[1]),
            "<=",
            0.2,
            error=float(error[-1] / size[1]),
            peer="one pass",
        ),
        Goal(
            f"{name}: distance from exact passes [sd]",
            float(off[worst]),
            "<=",
            largest_off,
            error=float(found["bias_error"][worst]),
        ),
    ]


def main() -> None:
    """Unfold every experiment and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    name = "unfold_gaussian_quick" if quick else "unfold_gaussian"
    events, seeds, largest_off = (20_000, [1, 2], 0.1) if quick else (100_000, list(range(1, 11)), 0.03)
    began = time.monotonic()
    rows = load_rows(name, PATHS)
    for columns in (1, 2):
        for seed in seeds:
            key = f"{columns}-D, seed {seed}"
            if key not in rows:
                rows[key] = experiment(columns, events, seed)
                add_row(name, key, rows[key], paths=PATHS, seconds=time.monotonic() - began)
    values: dict[str, Any] = {"events": events, "passes": PASSES, "draws": DRAWS}
    goals: list[Goal] = []
    for columns in (1, 2):
        of_columns = [rows[f"{columns}-D, seed {seed}"] for seed in seeds]
        for arm in ARMS:
            found = summary(columns, of_columns, arm)
            values[f"{columns}-D, {arm}"] = found
            goals += goals_of(columns, arm, found, largest_off)
    seconds = time.monotonic() - began
    write_result(name, values=values, goals=goals, paths=PATHS, seeds=seeds, seconds=seconds)


if __name__ == "__main__":
    main()
