"""Do the errors of unfolded spectra cover? ``python benchmarks/unfold_coverage.py [--quick]``.

A population of unused events is unfolded once, by what ``castalia unfold measure`` calls its first pass: the draws with
weights by which those of other simulated events have the simulation's truth. From it sets are taken with replacement,
of 5,000 events on average and a Poisson number, as an experiment repeated would see; each fills its spectra with the
draws of its events. What an error bar should hold is the truth of the population: its events in the bin, scaled to a
set. Two sources make the two differ:

- the events of a set, whose error is the bootstrap's, as ``UnfoldedSample`` gives it (part "statistics");
- the posterior: the truth of the population is one draw of what its events leave open, of variance ``Σ p (1 − p)``
  over the population, p an event's share in the bin. It falls with the population, and would not be there if the
  spectrum behind the events were known, which only an analytic measurement has.

What is covered is therefore: the posterior is right on average over the events of each bin, under the prior of the
simulation, and the bootstrap is the right error of that. A wrong prior is not covered without iterations: the control
is a population whose truth is another, with the same errors. Nor is a wrong simulation, which is a systematic.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from castalia.apps.unfold.density_ratio import RatioConfig
from castalia.apps.unfold.prior import own_prior, resampled
from castalia.apps.unfold.unfolded_sample import TruthColumn, UnfoldedSample
from castalia.metrics.spectrum import bin_places
from castalia.rng import Stream
from record import Goal, add_row, load_rows, write_result
from unfold_run import prepare
from unfold_stress import LAYOUT, PROCEDURES, REWEIGHTED, SPECTRA, PairEvents, accepted, learned_pairs, unfolded_pairs

Array = NDArray[np.float64]

BINS = 10
"""Bins of each spectrum, with as many simulated events in each."""

DRAWN = 4
"""Draws of each simulated event that tell the model's own prior."""

CONTROL = "heavier pair"
"""The population with another truth."""

PATHS = ["benchmarks/unfold_coverage.py", *PROCEDURES]


def edges_of(truth: Array) -> Array:
    """Return the edges of ``BINS`` bins with as many values in each, shape ``(BINS + 1,)``."""
    edges = np.asarray(np.quantile(truth, np.linspace(0.0, 1.0, BINS + 1)), dtype=np.float64)
    # What lies beyond the simulation belongs to the outer bins; where they end does not matter.
    edges[[0, -1]] += np.array([-10.0, 10.0]) * (edges[-1] - edges[0])
    return edges


def posterior_variance(draws: Array, shares: Array, edges: Array) -> Array:
    """Return the variance of the true contents of bins that the draws of all events leave open, shape ``(bins,)``.

    Args:
        draws: Draws of the quantity, shape ``(events, draws)``, at least two of each.
        shares: Weights of an event's draws, which sum up to one, of the same shape.
        edges: Bin edges.
    """
    # What is counted with shares s of an independent draw each makes p (1 − p) too small by a factor 1 − Σ s².
    own = 1.0 - np.square(shares).sum(axis=1)
    place = bin_places(draws, edges)
    inside = [np.sum(shares * (place == one), axis=1) for one in range(len(edges) - 1)]
    return np.array([np.sum(part * (1.0 - part) / own) for part in inside])


def repeated(population: PairEvents, shares: Array, column: int, edges: Array, size: int, sets: int) -> dict[str, Any]:
    """Measure one spectrum of the population in bootstrap sets.

    Args:
        population: The events.
        shares: Weights of their draws, shape ``(events, draws)``.
        column: The quantity, by its place.
        edges: Bin edges.
        size: Mean number of events in a set.
        sets: Number of sets.

    Returns:
        True contents of a set, contents and statistical error of every set, and the posterior's error.
    """
    events, stream = len(population.truth), Stream(1, "bootstrap sets")
    scale = size / events
    true = np.bincount(bin_places(population.truth[:, column], edges), minlength=BINS) * scale
    values = population.draws[:, :, [column]]
    name = LAYOUT.target[column].name
    contents, errors = [], []
    for number in range(sets):
        # An event that is taken twice is two events.
        rows = np.repeat(np.arange(events), stream.at(number).poisson(scale, events))
        sample = UnfoldedSample((TruthColumn(name),), values[rows], np.ones(len(rows)), shares[rows])
        filled = sample.histogram(name, edges)
        contents.append(filled.contents)
        errors.append(filled.errors)
    posterior = np.sqrt(posterior_variance(values[:, :, 0], shares, edges)) * scale
    return {"true": true, "contents": np.array(contents), "errors": np.array(errors), "posterior": posterior}


def covered(found: dict[str, Any]) -> dict[str, Any]:
    """Return how often the errors hold the truth, bin by bin, and what the unfolded contents are off by.

    Args:
        found: What ``repeated`` returned.

    Returns:
        By bin: coverage of 68 % by the errors of both sources and by the bootstrap alone; bias² and variance in units
        of the variance of both sources; and the bias in units of the true content.
    """
    off = found["contents"] - found["true"]
    both = np.hypot(found["errors"], found["posterior"])
    total = np.square(both).mean(axis=0)
    return {
        "coverage": np.mean(np.abs(off) < both, axis=0).tolist(),
        "coverage_bootstrap_alone": np.mean(np.abs(off) < found["errors"], axis=0).tolist(),
        "bias2": (np.square(off.mean(axis=0)) / total).tolist(),
        "relative_bias": (off.mean(axis=0) / found["true"]).tolist(),
        "variance": (off.var(axis=0, ddof=1) / total).tolist(),
        "posterior_share": (np.square(found["posterior"]) / total).tolist(),
    }


def coverage_error(shares: Sequence[float]) -> float:
    """Return the standard error of the mean coverage over bins, of a procedure that is right.

    What the posterior leaves open is common to all sets: in a bin it shifts all of them by as much. That is far more
    than the number of sets leaves. Bins are taken as independent.

    Args:
        shares: Share of the posterior in the variance, by bin.
    """
    common = np.sqrt(np.clip(np.asarray(shares), 0.0, 0.99))
    shift = common * Stream(1, "common shifts").at().standard_normal((2_000, len(common)))
    own = np.sqrt(1.0 - np.square(common))
    inside = ndtr((1.0 - shift) / own) - ndtr((-1.0 - shift) / own)
    return float(inside.mean(axis=1).std())


def goals_of(rows: dict[str, dict[str, Any]], tolerance: float) -> list[Goal]:
    """State the coverage of every spectrum, and of the control."""
    goals = []
    for name in SPECTRA:
        one = rows["unshifted"][name]
        off = 100.0 * abs(float(np.mean(one["coverage"])) - 0.6827)
        error = 100.0 * coverage_error(one["posterior_share"])
        goals.append(Goal(f"{name}: coverage of 68 %, off by [points]", off, "<=", tolerance, error))
    worst = min(float(np.mean(rows[CONTROL][name]["coverage"])) for name in SPECTRA)
    goals.append(Goal("another truth, without iterations: least coverage", worst, "<=", 0.5))
    halved = max(float(np.mean(rows["unshifted"][name]["coverage_halved"])) for name in SPECTRA)
    goals.append(Goal("errors half as large: largest coverage", halved, "<=", 0.5))
    return goals


def measured(population: PairEvents, shares: Array, edges: Sequence[Array], size: int, sets: int) -> dict[str, Any]:
    """Measure all spectra of a population, its draws weighed by shares."""
    row = {}
    for column, name in enumerate(SPECTRA):
        found = repeated(population, shares, column, edges[column], size, sets)
        half = {**found, "errors": 0.5 * found["errors"], "posterior": 0.5 * found["posterior"]}
        row[name] = {"edges": edges[column].tolist(), **covered(found), "coverage_halved": covered(half)["coverage"]}
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Unfold the population once, measure the sets and write the result."""
    bench = prepare((__doc__ or "").splitlines()[0], arguments)
    name = "unfold_coverage_quick" if bench.quick else "unfold_coverage"
    draws, size, sets, tolerance = (20, 300, 100, 25.0) if bench.quick else (40, 5_000, 300, 5.0)
    began = time.monotonic()
    data = unfolded_pairs(bench.model, bench.samples / "data.parquet", draws, bench.kept)
    simulated = unfolded_pairs(bench.model, bench.samples / "test.parquet", DRAWN, bench.kept)
    truth = learned_pairs(bench.model, bench.samples).truth
    edges = [edges_of(truth[:, column]) for column in range(len(SPECTRA))]
    one = np.ones(len(simulated.truth))
    own = own_prior(simulated.truth, simulated.draws, one, LAYOUT.target, RatioConfig(), 1)
    shares = resampled(data.draws)(own).weights
    other = accepted(REWEIGHTED[CONTROL](data.truth), Stream(1, "control population").at())
    populations = {"unshifted": (data, shares), CONTROL: (data.take(other), shares[other])}
    rows, known = {}, load_rows(name, PATHS)
    for which, (population, its_shares) in populations.items():
        key = f"{bench.model.sha256[:8]}, {which}"
        if key not in known:
            known[key] = measured(population, its_shares, edges, size, sets)
            add_row(name, key, known[key], paths=PATHS, seconds=time.monotonic() - began)
        rows[which] = known[key]
    write_result(
        name,
        values={"population": len(data.truth), "events": size, "sets": sets, "draws": draws},
        goals=goals_of(rows, tolerance),
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
