"""Does an unfolding reach a truth that it was not trained on? ``python benchmarks/unfold_prior_bias.py [--quick]``.

Three arms unfold the stress samples of ``unfold_stress``: draws of the default model whose prior is removed by
importance weights, OmniFold, and iterative Bayesian unfolding of each spectrum by itself. The first is there a second
time as if the prior of the model's draws were the simulation's truth, which it is not quite. Bias is the Wasserstein
distance of the unfolded spectrum from that of the same events' truth, in standard deviations of the truth and averaged
over the mass of the pair, the top quark's transverse momentum and the pair's rapidity. Beyond what it is in the
unshifted sample, the floor, it is what the wrong prior does; one pass is the uncorrected unfolding. The error is that
of a bootstrap of the data, each replica unfolded anew from the same draws.

A change of the shower's tune is no change of the prior: its bias is reported, and no claim is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.binning import Binning, binning
from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, measured_events, simulated_events
from castalia.apps.unfold.iterative_bayes import iterative_bayes
from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold
from castalia.apps.unfold.prior import ClassifierRatio, begun_with, iterate_prior, own_prior, resampled
from castalia.metrics.distances import wasserstein
from castalia.rng import Stream
from record import Goal, add_row, load_rows, write_result
from unfold_run import prepare
from unfold_stress import (
    LAYOUT,
    PROCEDURES,
    SPECTRA,
    STRESSES,
    PairEvents,
    learned_pairs,
    stress_samples,
    unfolded_pairs,
)

Array = NDArray[np.float64]

PASSES = 5
DRAWN = 4
"""Draws of each simulated event that tell the model's own prior."""

BINS = (20, 30)
"""Bins of iterative Bayesian unfolding at truth and at detector level, each with as many simulated events."""

PATHS = ["benchmarks/unfold_prior_bias.py", *PROCEDURES]


@dataclass(frozen=True)
class Simulation:
    """What data are unfolded with.

    Attributes:
        events: Simulated events at both levels.
        unlearned: Simulated events that the model has not learned from, with its draws: they tell its own prior.
    """

    events: SimulatedEvents
    unlearned: PairEvents


def distances(values: Array, weights: Array, data: PairEvents, counts: Array) -> list[float]:
    """Return how far unfolded spectra are from the truth, in its standard deviations.

    Args:
        values: The unfolded truth, the columns of ``SPECTRA`` first, shape ``(rows, columns)``.
        weights: Their weights, shape ``(rows,)``.
        data: The events.
        counts: How often each of them counts, shape ``(events,)``.
    """
    true = data.truth[:, : len(SPECTRA)]
    away = wasserstein(values[:, : len(SPECTRA)], true, weights, counts)
    return [float(one) for one in away / true.std(axis=0)]


def by_draws(
    simulation: Simulation, data: PairEvents, counts: Array, seed: int, from_own_prior: bool = True
) -> list[list[float]]:
    """Unfold by posterior draws with importance weights; return the distances after 1, 2, … passes.

    Args:
        simulation: What was simulated, and what the model makes of it.
        data: The events.
        counts: How often each of them counts.
        seed: Seed of the ratios.
        from_own_prior: Take the draws for simulated events as the model's prior, instead of the simulation's truth.
    """
    truth = (simulation.events.truth, simulation.events.weights)
    others = simulation.unlearned
    drawn, one = others.draws.reshape(-1, others.draws.shape[2]), np.ones(len(others.truth))
    posterior = resampled(data.draws)
    if from_own_prior:
        own = own_prior(others.truth, others.draws, one, LAYOUT.target, RatioConfig(), seed)
        posterior = begun_with(posterior, own)
    passes = iterate_prior(
        posterior,
        counts,
        (drawn, np.ones(len(drawn))) if from_own_prior else truth,
        ClassifierRatio(LAYOUT.target, RatioConfig(), seed),
        passes=PASSES,
        rng=Stream(seed, "prior passes").at(),
    )
    flat = data.draws.reshape(-1, data.draws.shape[2])
    return [distances(flat, (one.posterior.weights * counts[:, None]).ravel(), data, counts) for one in passes]


def by_omnifold(simulation: Simulation, data: PairEvents, counts: Array, seed: int) -> list[list[float]]:
    """Unfold by OmniFold; return as `by_draws`."""
    measured, events = measured_events(data.detector, counts), simulation.events
    result = omnifold(events, measured, LAYOUT, OmniFoldConfig(iterations=PASSES), seed)
    return [distances(events.truth, events.weights * one(events.truth), data, counts) for one in result.functions]


def by_histograms(simulation: Simulation, data: PairEvents, counts: Array, seed: int) -> list[list[float]]:
    """Unfold each spectrum by iterative Bayesian unfolding; return as `by_draws`."""
    columns = []
    for place in range(len(SPECTRA)):
        events = simulation.events
        one = simulated_events(events.truth[:, place], events.detector[:, place])
        measured = MeasuredEvents(data.detector[:, place : place + 1], counts)
        bins = [even_bins(level[:, 0], number) for level, number in zip((one.truth, one.detector), BINS, strict=True)]
        rng = Stream(seed, "no bootstrap").at()
        result = iterative_bayes(one, measured, *bins, iterations=PASSES, replicas=0, rng=rng)
        weights = [result.weights(k, one.truth) for k in range(1, PASSES + 1)]
        columns.append([distances(events.truth, weight, data, counts)[place] for weight in weights])
    return [list(one) for one in zip(*columns, strict=True)]


Arm = Callable[[Simulation, PairEvents, Array, int], list[list[float]]]
ARMS: dict[str, Arm] = {
    "default": by_draws,
    "default, truth as prior": partial(by_draws, from_own_prior=False),
    "OmniFold": by_omnifold,
    "iterative Bayes": by_histograms,
}


def even_bins(values: Array, number: int) -> Binning:
    """Return bins with as many of the values in each, the outer ones open."""
    inner = np.quantile(values, np.linspace(0.0, 1.0, number + 1)[1:-1])
    return binning(np.concatenate([[-np.inf], inner, [np.inf]]))


def counts_of(events: int, replica: int) -> Array:
    """Return how often each event counts: once in replica 0, as in a bootstrap sample in the others."""
    if replica == 0:
        return np.ones(events)
    return Stream(1, "bootstrap of the data").at(replica).poisson(1.0, events).astype(np.float64)


def experiment(simulation: Simulation, data: PairEvents, replica: int) -> dict[str, Any]:
    """Unfold a replica of a sample by all arms."""
    counts = counts_of(len(data.truth), replica)
    row: dict[str, Any] = {"prior": distances(simulation.events.truth, simulation.events.weights, data, counts)}
    for name, arm in ARMS.items():
        began = time.monotonic()
        row[name] = {"distances": arm(simulation, data, counts, replica + 1)}
        row[name]["seconds"] = round(time.monotonic() - began, 2)
    return row


def summary(rows: dict[str, list[dict[str, Any]]], arm: str) -> dict[str, dict[str, Any]]:
    """Return by sample the bias of one arm beyond the floor, pass by pass, and what is left of it.

    Args:
        rows: The experiments of every sample, those on the sample itself first.
        arm: The arm.
    """
    found = {name: np.array([row[arm]["distances"] for row in several]) for name, several in rows.items()}
    sizes = {name: one.mean(axis=2) for name, one in found.items()}  # replicas, passes
    floor = sizes["unshifted"]
    result: dict[str, dict[str, Any]] = {
        "unshifted": {
            "distance": found["unshifted"][0].tolist(),
            "distance_error": found["unshifted"].std(axis=0, ddof=1).tolist(),
            "prior": rows["unshifted"][0]["prior"],
            "size": floor[0].tolist(),
            "size_error": floor.std(axis=0, ddof=1).tolist(),
        }
    }
    for name, size in sizes.items():
        if name == "unshifted":
            continue
        excess = size - floor
        left = excess[:, -1] / excess[:, 0]
        result[name] = {
            "distance": found[name][0].tolist(),
            "distance_error": found[name].std(axis=0, ddof=1).tolist(),
            "prior": rows[name][0]["prior"],
            "excess": excess[0].tolist(),
            "excess_error": excess.std(axis=0, ddof=1).tolist(),
            "left": float(left[0]),
            "left_error": float(left.std(ddof=1)),
        }
    return result


def goals_of(found: dict[str, dict[str, Any]]) -> list[Goal]:
    """State what is claimed of the default model, and the controls without which it would mean nothing."""
    goals = []
    for name in STRESSES:
        one = found[name]
        before, error = one["excess"][0], one["excess_error"][0]
        goals += [
            Goal(f"{name}: bias left after {PASSES} passes", one["left"], "<=", 0.2, one["left_error"], "one pass"),
            # Control: without iterations there is a bias, so that there was one to remove.
            Goal(f"{name}: bias of one pass, less five errors", before - 5.0 * error, ">", 0.0),
        ]
    least = min(found[name]["distance"][0][0] for name in STRESSES)
    own = found["unshifted"]
    floor = Goal(
        "unshifted: distance in m_tt, of the least of a stress sample's",
        own["distance"][0][0] / least,
        "<=",
        0.5,
        error=own["distance_error"][0][0] / least,
    )
    return [*goals, floor]


def quick_goals(found: dict[str, dict[str, dict[str, Any]]]) -> list[Goal]:
    """State what some hundred events can show, of the mass of the pair: a stress, and what is left of it."""
    one = {arm: several["heavier pair"] for arm, several in found.items()}
    prior = one["default"]["prior"][0]
    ratio = {arm: several["distance"][-1][0] / prior for arm, several in one.items()}
    return [
        Goal("heavier pair: distance of the simulation in m_tt", prior, ">=", 0.2),
        *(
            Goal(f"heavier pair, {arm}: distance in m_tt", ratio[arm], "<=", 1.0, peer="simulation")
            for arm in ("default", "iterative Bayes")
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Unfold every sample and write the result."""
    bench = prepare((__doc__ or "").splitlines()[0], arguments)
    name = "unfold_prior_bias_quick" if bench.quick else "unfold_prior_bias"
    draws, replicas = (20, 2) if bench.quick else (40, 4)
    began = time.monotonic()
    known = learned_pairs(bench.model, bench.samples)
    unlearned = unfolded_pairs(bench.model, bench.samples / "test.parquet", DRAWN, bench.kept)
    simulation = Simulation(simulated_events(known.truth, known.detector), unlearned)
    files = [bench.samples / f"{one}.parquet" for one in ("data", "zprime", "a14")]
    data, zprime, tune = (unfolded_pairs(bench.model, file, draws, bench.kept) for file in files)
    samples = stress_samples(data, zprime, tune, seed=1)
    rows = load_rows(name, PATHS)
    keys = {sample: [f"{bench.model.sha256[:8]}, {sample}, {r}" for r in range(replicas + 1)] for sample in samples}
    for sample, several in keys.items():
        for replica, key in enumerate(several):
            if key not in rows:
                rows[key] = experiment(simulation, samples[sample], replica)
                add_row(name, key, rows[key], paths=PATHS, seconds=time.monotonic() - began)
    by_sample = {sample: [rows[key] for key in several] for sample, several in keys.items()}
    found = {arm: summary(by_sample, arm) for arm in ARMS}
    write_result(
        name,
        values={"events": len(samples["unshifted"].truth), "passes": PASSES, "draws": draws, **found},
        goals=quick_goals(found) if bench.quick else goals_of(found["default"]),
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
