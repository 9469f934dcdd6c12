"""Is a flow's likelihood as good as the exact one? ``python benchmarks/scan_analytic.py [--quick] [--seed N]``.

A process of two parameters and three observables on a background, all known exactly: theta and the share of signal are
fitted to 1,000 and 10,000 events. The preset ``scan`` is trained three times, on events of its own with theta scattered
per event. Pseudo-experiments are fresh events of the process, never of the flow, drawn from a pool at one true point
for each training; the exact density fits the same ones by the same code, to show that the thresholds can be met.

Biases and root mean squares are taken about the exact estimate of the whole pool, so that the pool's own fluctuation,
which both share, is in neither; it is in the coverage, with the error that is stated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from record import Goal, add_row, load_rows, write_result
from scan_analytic_measures import (
    ACCURACY,
    ALTERNATIVES,
    NAMES,
    NUMERICAL,
    ZOOM,
    Experiments,
    Pool,
    costs,
    global_minima,
    open_pool,
    rejections,
    run_experiments,
)
from scan_analytic_model import EXACT, FRACTION, Sizes, Trained, train, training_settings

TRUTH, FLOW = "exact", "flow"
POINTS = ((0.3, -0.4), (-0.5, 0.2), (0.0, 0.6))
"""True theta of the pseudo-experiments with each training."""

_SCAN = (
    "config",
    "density",
    "descent",
    "expected",
    "experiment",
    "fit",
    "goodness",
    "likelihood",
    "minimise",
    "search",
)
_CODE = ("rng.py", "nn", "processes/mixture.py", "estimators", "training", "metrics/coverage.py", "metrics/goodness.py")
_OWN = ("scan_analytic", "scan_analytic_measures", "scan_analytic_model", "scan_costs", "scan_rivals")
PATHS = [
    *(f"src/castalia/{part}" for part in _CODE),
    "src/castalia/runs/configuration.py",
    *(f"src/castalia/apps/scan/{part}.py" for part in (*_SCAN, "surrogate")),
    *(f"benchmarks/{part}.py" for part in _OWN),
]


@dataclass(frozen=True)
class Claim:
    """What is demanded, first of the exact density and then of the flow; scan.md, or less."""

    bias: float
    ratio: float
    coverage: tuple[float, float]
    found: float
    false_rejections: float
    power: float
    evaluations: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """What is measured under one name.

    Attributes:
        name: Name of the result.
        seeds: One training each.
        sizes: Of the trainings.
        events: Events of a pseudo-experiment, and how many such the pool holds.
        experiments: Pseudo-experiments for each training and number of events.
        searches: Data sets for each training in which all minima are sought.
        fits: Data sets for each training that the rivals minimise as well.
        tests: For each of ``ALTERNATIVES``, how many data sets the test of the fit sees for each training, and of how
            many events.
        large: Events of a data set of the fits.
        claim: What is demanded.
    """

    name: str
    seeds: tuple[int, ...]
    sizes: Sizes
    events: Mapping[int, int]
    experiments: int
    searches: int
    fits: int
    tests: tuple[tuple[int, int], ...]
    large: int
    claim: Claim


FULL = Plan(
    "scan_analytic",
    (1, 2, 3),
    Sizes(signal=3_000_000, background=2_000_000, held_out=100_000, signal_epochs=4, background_epochs=2),
    {1_000: 100, 10_000: 50},
    experiments=2_000,
    searches=167,
    fits=3,
    tests=((100, 10_000), (20, 10_000), (20, 20_000)),
    large=10_000,
    claim=Claim(0.1, 1.1, (0.025, 0.01), 0.99, 0.02, 0.95, {ZOOM: 20.0, NUMERICAL: 3.0}),
)
QUICK = Plan(
    "scan_analytic_quick",
    (1,),
    Sizes(signal=200_000, background=100_000, held_out=20_000, signal_epochs=3, background_epochs=2),
    {1_000: 40},
    experiments=200,
    searches=8,
    fits=1,
    tests=((8, 3_000), (3, 3_000), (2, 20_000)),
    large=3_000,
    claim=Claim(0.4, 1.2, (0.12, 0.06), 0.99, 0.2, 0.6, {ZOOM: 20.0, NUMERICAL: 2.0}),
)


def measure_row(plan: Plan, seed: int) -> dict[str, Any]:
    """Train once, and measure the flow and the exact density on the same data sets."""
    trained = train(plan.sizes, seed)
    exact = Trained(EXACT, trained.held_out, {})
    row: dict[str, Any] = {"training": trained.report, "theta": POINTS[(seed - 1) % len(POINTS)], "experiments": {}}
    _say(f"training {seed}: {trained.report}")
    for events, times in plan.events.items():
        pool = open_pool(row["theta"], events, times, seed)
        pair = {arm: run_experiments(one.model, pool, plan.experiments, seed) for arm, one in _arms(exact, trained)}
        row["experiments"][str(events)] = _compared(pool, pair[TRUTH], pair[FLOW])
        _say(f"training {seed}: pseudo-experiments of {events} events")
    searched = range(seed * plan.searches, (seed + 1) * plan.searches)
    fitted = range(seed * plan.fits, (seed + 1) * plan.fits)
    for arm, one in _arms(exact, trained):
        row[arm] = {"search": global_minima(one.model, 1_000, searched), "costs": costs(one.model, plan.large, fitted)}
        row[arm]["tests"] = {
            what: rejections(one.model, one.held_out, what, events, range(seed * sets, (seed + 1) * sets))
            for what, (sets, events) in zip(ALTERNATIVES, plan.tests, strict=True)
        }
        _say(f"training {seed}: searches, costs and tests, {arm}")
    return row


def _arms(exact: Trained, trained: Trained) -> Iterator[tuple[str, Trained]]:
    yield from ((TRUTH, exact), (FLOW, trained))


def _compared(pool: Pool, exact: Experiments, flow: Experiments) -> dict[str, Any]:
    """Hold the estimates of both against the exact estimate of the pool, in standard deviations of the exact ones."""
    good = exact.converged & flow.converged
    sigma = exact.estimate[good].std(axis=0, ddof=1)
    off = {arm: (one.estimate[good] - pool.best) / sigma for arm, one in ((TRUTH, exact), (FLOW, flow))}
    squares = {arm: np.square(values).mean(axis=0) for arm, values in off.items()}
    ratio = np.sqrt(squares[FLOW] / squares[TRUTH])
    # The delta method, for the ratio of two means over the same experiments.
    scatter = np.square(off[FLOW]) / squares[FLOW] - np.square(off[TRUTH]) / squares[TRUTH]
    ratio_error = 0.5 * ratio * scatter.std(axis=0) / np.sqrt(good.sum())
    found: dict[str, Any] = {TRUTH: exact.summary(), FLOW: flow.summary(), "overlap": flow.overlap}
    for i, name in enumerate(NAMES):
        found[name] = {
            "sigma": sigma[i],
            "rmse_ratio": {"value": ratio[i], "error": ratio_error[i]},
            "bias": {
                arm: {"value": values[:, i].mean(), "error": values[:, i].std() / np.sqrt(len(values))}
                for arm, values in off.items()
            },
        }
    return found


def _bias_goals(rows: Sequence[Mapping[str, Any]], plan: Plan) -> Iterator[Goal]:
    """Take the root mean square over trainings and parameters for the bias, and the worst of all for the ratio."""
    for events in map(str, plan.events):
        measured = [row["experiments"][events][name] for row in rows for name in NAMES]
        for arm in (TRUTH, FLOW):
            values, errors = np.array([[one["bias"][arm][key] for one in measured] for key in ("value", "error")])
            size = float(np.sqrt(np.square(values).mean()))
            error = float(np.sqrt(np.square(values * errors).sum()) / (len(values) * size))
            text = f"{arm}: bias, rms over trainings and parameters, {events} events [sigma]"
            yield Goal(text, size, "<=", plan.claim.bias, error)
        worst = max((one["rmse_ratio"] for one in measured), key=lambda one: float(one["value"]))
        text = f"{FLOW}: largest RMSE over the exact one's, {events} events"
        yield Goal(text, worst["value"], "<=", plan.claim.ratio, worst["error"], peer="exact likelihood")


def _coverage_goals(rows: Sequence[Mapping[str, Any]], plan: Plan) -> Iterator[Goal]:
    """Average the coverage over the trainings, and take the parameter that is farthest off."""
    for events in map(str, plan.events):
        for arm in (TRUTH, FLOW):
            for place, (level, nominal) in enumerate({"68%": 0.6827, "95%": 0.95}.items()):
                means = {}
                for name in NAMES:
                    cells = [row["experiments"][events][arm][name]["profile"][level] for row in rows]
                    squares = [cell["binomial_error"] ** 2 + cell["pool_error"] ** 2 for cell in cells]
                    mean = float(np.mean([cell["value"] for cell in cells]))
                    means[name] = (abs(mean - nominal), float(np.sqrt(np.mean(squares) / len(cells))))
                worst = max(means, key=lambda name: means[name][0])
                text = f"{arm}: {level} coverage off by, {events} events, {worst}"
                yield Goal(text, means[worst][0], "<=", plan.claim.coverage[place], means[worst][1])


def _arm_goals(rows: Sequence[Mapping[str, Any]], plan: Plan, arm: str) -> Iterator[Goal]:
    searched = sum(row[arm]["search"]["sets"] for row in rows)
    missed = sum(len(row[arm]["search"]["missed"]) for row in rows)
    yield Goal(f"{arm}: lowest minimum found, of {searched} data sets", 1.0 - missed / searched, ">=", plan.claim.found)
    for what in ALTERNATIVES:
        sets = sum(row[arm]["tests"][what]["sets"] for row in rows)
        share = sum(row[arm]["tests"][what]["rejected"] for row in rows) / sets
        op, goal = ("<=", plan.claim.false_rejections) if what == next(iter(ALTERNATIVES)) else (">=", plan.claim.power)
        error = float(np.sqrt(max(share * (1.0 - share), 0.01 * 0.99) / sets))
        yield Goal(f"{arm}: rejected at 99 %, {what}, of {sets} data sets", share, op, goal, error)


def _cost_goals(rows: Sequence[Mapping[str, Any]], plan: Plan) -> Iterator[Goal]:
    fits = [one for row in rows for one in row[FLOW]["costs"]]
    seconds = float(np.median([one["fit"]["seconds"] for one in fits]))
    yield Goal(f"{FLOW}: fit of {plan.large} events with MINOS [s]", seconds, "<=", 5.0)
    yield Goal(f"{FLOW}: estimate off by [sigma]", max(one["search"]["off"] for one in fits), "<=", ACCURACY)
    for rival, goal in plan.claim.evaluations.items():
        ratio = float(np.median([one[rival]["evaluations"] / one["search"]["evaluations"] for one in fits]))
        yield Goal(f"{FLOW}: evaluations of the rival over ours", ratio, ">=", goal, peer=rival, ratio=1.0 / ratio)


def _finish(plan: Plan, known: Mapping[str, Any], seconds: float) -> None:
    rows = [known[f"seed {seed}"] for seed in plan.seeds]
    goals = [*_bias_goals(rows, plan), *_coverage_goals(rows, plan)]
    for arm in (TRUTH, FLOW):
        goals += _arm_goals(rows, plan, arm)
    write_result(
        plan.name,
        values={
            "rows": known,
            "fraction": FRACTION,
            "events": {"signal": plan.sizes.signal, "background": plan.sizes.background},
            "training": training_settings(plan.sizes.signal_epochs, plan.seeds[0]).model_dump(),
        },
        goals=[*goals, *_cost_goals(rows, plan)],
        paths=PATHS,
        seeds=plan.seeds,
        seconds=seconds,
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the trainings that are missing, and write the goals when none is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, choices=FULL.seeds, help="only this training, and the goals with the last")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    torch.set_num_threads(1)
    # Rows of this process are kept here as well: on uncommitted sources the file does not keep them.
    known = {} if options.quick else load_rows(plan.name, PATHS)
    for seed in plan.seeds:
        key = f"seed {seed}"
        if key in known or options.seed not in (None, seed):
            continue
        begin = time.monotonic()
        row = measure_row(plan, seed)
        known[key] = {**row, "seconds": time.monotonic() - begin}
        if not options.quick:
            add_row(plan.name, key, known[key], paths=PATHS, seconds=known[key]["seconds"])
    if all(f"seed {seed}" in known for seed in plan.seeds):
        _finish(plan, known, sum(known[f"seed {seed}"]["seconds"] for seed in plan.seeds))


if __name__ == "__main__":
    main()
