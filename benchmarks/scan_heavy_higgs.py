"""Two masses from collider events: ``python benchmarks/scan_heavy_higgs.py [--quick] [--data DIR]``.

gg -> H -> H+- W-+ with a cascade of H+- over h(125), at masses that are to be found, on top of top-quark pairs:
2,000 events among 20,000, behind the parametric detector. Densities are trained by ``castalia scan train``;
pseudo-experiments by ``castalia scan coverage`` draw fresh simulation at three points. Held against them: templates in
two observables from the same simulation, the best of a listed set; and other minimisers of the same likelihood.

The samples are made first (``scan_heavy_higgs_data.py``). Where a pool is too small for the full numbers of events,
both shrink by the same factor until an experiment takes no more than a fifth of a pool; what two experiments then have
in common, and what that does to a coverage, is in the result. That the lowest minimum is found, of 500 data sets, is
the claim of ``scan_analytic.py``; here it is looked for in some. Finished parts are kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.scan.events import read_observed
from castalia.apps.scan.likelihood import Parameter
from castalia.rng import Stream
from collider_samples import make_samples
from record import Goal, add_row, load_rows, write_result
from scan_costs import GRID, NUMERICAL, ZOOM, cost_row
from scan_heavy_higgs_data import FULL as FULL_SAMPLES
from scan_heavy_higgs_data import QUICK as QUICK_SAMPLES
from scan_heavy_higgs_data import Samples, folder_of, scaled_pool
from scan_heavy_higgs_fits import fit_fresh_data, rejections
from scan_heavy_higgs_measures import (
    MASSES,
    OBSERVABLES,
    Opened,
    Pools,
    experiments,
    open_run,
    read_pools,
    read_training,
    train_run,
)
from scan_heavy_higgs_templates import BINNINGS, Binning, Templates, choose, fit_templates, template_estimates

Array = NDArray[np.float64]

PARTS = ("experiments", "templates", "fits", "costs", "tests")
ACCURACY = 0.05  # standard deviations of the estimate, of the rivals in cost
TEMPLATES = "templates"
_99_PERCENT = 2.576  # standard deviations
_SCALED_POOL = 3.0  # background events of the pools with scaled jets, in units of those of a data set
_OWN = ("", "_data", "_fits", "_measures", "_templates")
_CODE = ("rng.py", "nn", "physics", "processes", "detectors", "estimators", "training", "production/collider.py")
PATHS = [
    *(f"src/castalia/{part}" for part in (*_CODE, "metrics/coverage.py", "metrics/goodness.py")),
    *(f"src/castalia/apps/scan/{part}.py" for part in ("config", "coverage", "coverage_run", "density", "descent")),
    *(f"src/castalia/apps/scan/{part}.py" for part in ("events", "expected", "experiment", "fit", "goodness")),
    *(f"src/castalia/apps/scan/{part}.py" for part in ("likelihood", "minimise", "model", "points", "search")),
    *(f"src/castalia/apps/scan/{part}.py" for part in ("support", "surrogate", "train")),
    *(f"benchmarks/scan_heavy_higgs{part}.py" for part in _OWN),
    "benchmarks/collider_samples.py",
    "benchmarks/scan_costs.py",
    "benchmarks/scan_rivals.py",
]


@dataclass(frozen=True)
class Claim:
    """What is demanded; scan.md, or less.

    A few hundred training events are not enough for any coverage, nor a data set of 240 for the test to have power: the
    quick form measures both, and claims neither.
    """

    coverage: bool
    ratio: float
    zoom: float
    numerical: float
    false_rejections: float
    power: float | None


@dataclass(frozen=True)
class Plan:
    """What is measured under one name.

    Attributes:
        name: Name of the result.
        samples: The simulation.
        events: Signal and background events of a data set, where the pools allow them.
        epochs: Passes over the training events.
        experiments: Pseudo-experiments at each point.
        binnings: The rival's listed set.
        trials: Pseudo-experiments with each of them, from which the best is chosen.
        fits: Data sets at each point whose minimum is held against all others.
        tested: How many of them the test of the fit sees.
        wrong: Data sets at each point of each alternative that the test is to reject.
        costs: Data sets at each point that the rivals minimise as well.
        large: Events of these.
        claim: What is demanded.
    """

    name: str
    samples: Samples
    events: tuple[float, float]
    epochs: int
    experiments: int
    binnings: tuple[Binning, ...]
    trials: int
    fits: int
    tested: int
    wrong: int
    costs: int
    large: int
    claim: Claim


FULL = Plan(
    "scan_heavy_higgs",
    FULL_SAMPLES,
    (2_000.0, 20_000.0),
    epochs=40,
    experiments=500,
    binnings=BINNINGS,
    trials=50,
    fits=10,
    tested=10,
    wrong=6,
    costs=1,
    large=10_000,
    claim=Claim(True, ratio=1.5, zoom=20.0, numerical=3.0, false_rejections=0.02, power=0.99),
)
QUICK = Plan(
    "scan_heavy_higgs_quick",
    QUICK_SAMPLES,
    (110.0, 200.0),
    epochs=150,
    experiments=100,
    binnings=BINNINGS[::8],
    trials=20,
    fits=6,
    tested=6,
    wrong=3,
    costs=1,
    large=300,
    claim=Claim(False, ratio=0.5, zoom=10.0, numerical=1.0, false_rejections=0.5, power=None),
)


class Rows:
    """Finished parts of the measurement, each kept in the result file.

    On uncommitted sources, and in the quick form, the file keeps none: they are kept here as well.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.known: dict[str, Any] = {} if plan is QUICK else load_rows(plan.name, PATHS)

    def measure(self, key: str, part: Callable[[], Mapping[str, Any]]) -> None:
        """Measure a part, unless it is known."""
        if key in self.known:
            return
        begin = time.monotonic()
        measured = part()
        row = self.known[key] = {**measured, "wall_seconds": time.monotonic() - begin}
        if self._plan is not QUICK:
            add_row(self._plan.name, key, row, paths=PATHS, seconds=row["wall_seconds"])
        sys.stdout.write(f"{key}: {row['wall_seconds']:.0f} s\n")
        sys.stdout.flush()


def point_name(theta: Sequence[float]) -> str:
    """Return how a point is called in the result."""
    return " ".join(f"{name}={value:.0f}" for name, value in zip(MASSES, theta, strict=True))


def measure_all(plan: Plan, files: Mapping[str, Path], folder: Path, rows: Rows, chosen: int | None) -> None:
    """Train, and measure everything that is not known yet, of one point where one is chosen."""
    run_path, noise = folder / "run", files[plan.samples.pool.name]
    training = (files[plan.samples.signal.name], files[plan.samples.background.name])
    if not run_path.exists():
        rows.known.clear()  # all of it was measured with a run that is elsewhere, or gone
    rows.measure("training", partial(train_run, *training, run_path, plan.epochs, 1))
    run = open_run(run_path)
    for number, (theta, sample) in enumerate(plan.samples.points.items()):
        if chosen not in (None, number):
            continue
        point, pair = point_name(theta), (files[sample.name], noise)
        pools = read_pools(run, *pair, plan.events)
        parts: dict[str, Callable[[], Mapping[str, Any]]] = {
            "experiments": partial(_experiments, plan, run, pools, pair, folder / f"at_{sample.name}"),
            TEMPLATES: partial(_templates, plan, run, pools, training),
            "fits": partial(fit_fresh_data, run, pools, _range(number, plan.fits), plan.tested),
            "costs": partial(_costs, plan, run, pools, number),
            "tests": partial(_tests, plan, run, pools, (*pair, files[plan.samples.wrong.name]), number),
        }
        for name, part in parts.items():
            rows.measure(f"{point}: {name}", part)


def _range(number: int, size: int) -> range:
    return range(number * size, (number + 1) * size)


def _experiments(plan: Plan, run: Opened, pools: Pools, files: tuple[Path, Path], report: Path) -> dict[str, Any]:
    found = experiments(run, pools, files, plan.experiments, report)
    return {
        "signal_events": pools.plan.signal,
        "background_events": pools.plan.background,
        "signal_pool": len(pools.signal),
        "background_pool": len(pools.background),
        "coverage": found["coverage"],
        "rmse": rmse(found["errors"]),
        "seconds": found["seconds"],
    }


def rmse(errors: Array) -> dict[str, list[float]]:
    """Return root mean squares of the errors of each parameter, and their standard errors relative to them."""
    squares = np.square(errors)
    relative = squares.std(axis=0, ddof=1) / squares.mean(axis=0) / 2.0 / np.sqrt(len(squares))
    return {"value": np.sqrt(squares.mean(axis=0)).tolist(), "relative_error": relative.tolist()}


def _templates(plan: Plan, run: Opened, pools: Pools, files: tuple[Path, Path]) -> dict[str, Any]:
    """Choose the best binning at this point, by other draws from the very pools it is judged by, and run it."""
    (signal, theta), (background, _) = map(read_training, files)
    parameters = (*run.model.parameters, Parameter("signal_fraction", 0.0, 1.0, kind="signal_fraction"))
    every = [fit_templates(one, OBSERVABLES, signal, theta, background, run.model.parameters) for one in plan.binnings]

    def errors(one: Templates, experiments: range, purpose: str) -> Array:
        events = (pools.signal, pools.background)
        return template_estimates(one, events, pools.plan, pools.truth, parameters, experiments, purpose) - pools.truth

    tried = [errors(one, range(plan.trials), "templates to choose from") for one in every]
    best = every[choose(tried)]
    return {
        "chosen": best.binning.name,
        "tried": {one.binning.name: rmse(off)["value"] for one, off in zip(every, tried, strict=True)},
        "rmse": rmse(errors(best, range(plan.experiments), TEMPLATES)),
    }


def _costs(plan: Plan, run: Opened, pools: Pools, number: int) -> dict[str, Any]:
    """Fit data sets by all arms; the zooming grid runs on the very first only."""
    scale = plan.large / (pools.plan.signal + pools.plan.background)
    sets = _range(number, plan.costs)
    data = [pools.data(Stream(each, "heavy Higgs costs").at(), scale) for each in sets]
    return {"sets": [cost_row(run.fitted, x, ACCURACY, zoom=each == 0) for each, x in zip(sets, data, strict=True)]}


def _tests(plan: Plan, run: Opened, pools: Pools, files: tuple[Path, Path, Path], number: int) -> dict[str, Any]:
    """Put another process in the signal's place, and scale the energy of all jets."""
    most = round(_SCALED_POOL * pools.plan.background)
    signal, background = (scaled_pool(path, OBSERVABLES, most) for path in files[:2])
    alternatives = {
        "another process": replace(pools, signal=read_observed(run.model.config, files[2:]).x),
        "jet energies + 5 %": replace(pools, signal=signal, background=background),
    }
    return {what: rejections(run, one, what, _range(number, plan.wrong)) for what, one in alternatives.items()}


def _rmse_goals(rows: Mapping[str, Any], points: Sequence[str], plan: Plan) -> Iterator[Goal]:
    """Take the geometric mean over the points of templates' over the flow's root mean square errors."""
    for place, mass in enumerate(MASSES):
        pairs = [[rows[f"{point}: {arm}"]["rmse"] for arm in (TEMPLATES, "experiments")] for point in points]
        ratio = float(np.exp(np.mean([np.log(t["value"][place] / f["value"][place]) for t, f in pairs])))
        squares = [one["relative_error"][place] ** 2 for pair in pairs for one in pair]
        error = ratio * float(np.sqrt(np.sum(squares))) / len(points)
        text = f"{mass}: RMSE of the best templates over the flow's, geometric mean of {len(points)} points"
        yield Goal(text, ratio, ">=", plan.claim.ratio, error, peer="binned templates", ratio=1.0 / ratio)


def _coverage_goals(rows: Mapping[str, Any], points: Sequence[str]) -> Iterator[Goal]:
    """Average the coverage over the points, and allow for 99 % of the fluctuations.

    Those of the experiments are independent, those of the pools are not: all points have the one of top-quark pairs.
    """
    summaries = [rows[f"{point}: experiments"]["coverage"]["parameters"] for point in points]
    for each in zip(*summaries, strict=True):
        for cells in zip(*(one["profile"] for one in each), strict=True):
            level, covered = cells[0]["level"], sum(cell["covered"] for cell in cells)
            # An experiment whose fit failed has no interval, and does not cover.
            number = sum(cell["experiments"] + cell["left_out"] for cell in cells)
            pool = float(np.mean([cell["pool_error"] for cell in cells]))
            error = float(np.hypot(np.sqrt(level * (1.0 - level) / number), pool))
            text = f"{each[0]['name']}: {level:.0%} coverage off by, mean of {len(points)} points"
            yield Goal(text, abs(covered / number - level), "<=", _99_PERCENT * error, error)


def _test_goals(rows: Mapping[str, Any], points: Sequence[str], plan: Plan) -> Iterator[Goal]:
    fits = [rows[f"{point}: fits"] for point in points]
    sets = sum(one["sets"] for one in fits)
    missed = sum(len(one["missed"]) for one in fits)
    yield Goal(f"lowest minimum found, of {sets} data sets", 1.0 - missed / sets, ">=", 0.99)
    yield _rejected("the process itself", [one["tests"] for one in fits], "<=", plan.claim.false_rejections)
    if plan.claim.power is None:
        return
    for what in ("another process", "jet energies + 5 %"):
        yield _rejected(what, [rows[f"{point}: tests"][what] for point in points], ">=", plan.claim.power)


def _rejected(what: str, tests: Sequence[Mapping[str, Any]], op: str, goal: float) -> Goal:
    sets = sum(one["sets"] for one in tests)
    share = sum(one["rejected"] for one in tests) / sets
    error = float(np.sqrt(max(share * (1.0 - share), 0.01 * 0.99) / sets))
    return Goal(f"rejected at 99 %, {what}, of {sets} data sets", share, op, goal, error)


def _cost_goals(rows: Mapping[str, Any], points: Sequence[str], plan: Plan) -> Iterator[Goal]:
    sets = [one for point in points for one in rows[f"{point}: costs"]["sets"]]
    seconds = float(np.median([one["fit"]["seconds"] for one in sets]))
    yield Goal(f"fit of {plan.large} events with MINOS [s]", seconds, "<=", 5.0)
    yield Goal("estimate off by [sigma]", max(one["search"]["off"] for one in sets), "<=", ACCURACY)
    for rival, goal in ((GRID, plan.claim.zoom), (ZOOM, plan.claim.zoom), (NUMERICAL, plan.claim.numerical)):
        ratio = float(np.median([one[rival]["evaluations"] / one["search"]["evaluations"] for one in sets]))
        yield Goal("evaluations of the rival over ours", ratio, ">=", goal, peer=rival, ratio=1.0 / ratio)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the samples, measure what is missing and write the goals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, help="folder of the samples, instead of the user's cache")
    parser.add_argument("--workers", type=int, default=2, help="processes that make samples")
    parser.add_argument("--point", type=int, choices=range(3), help="only this point, and the goals with the last")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    torch.set_num_threads(1)
    folder = folder_of(options.data, plan.samples)
    begin = time.monotonic()
    files = make_samples(plan.samples.every, folder, options.workers)
    generation = time.monotonic() - begin
    rows = Rows(plan)
    measure_all(plan, files, folder, rows, options.point)
    points = [point_name(theta) for theta in plan.samples.points]
    if options.point is not None:
        rows.known |= load_rows(plan.name, PATHS)  # of other processes
        if not all(f"{point}: {part}" in rows.known for point in points for part in PARTS):
            return
    write_result(
        plan.name,
        values={
            "rows": rows.known,
            "observables": list(OBSERVABLES),
            "generated_events": {sample.name: sample.events for sample in plan.samples.every},
            "generation_seconds": generation,
        },
        goals=[
            *_rmse_goals(rows.known, points, plan),
            *(_coverage_goals(rows.known, points) if plan.claim.coverage else ()),
            *_test_goals(rows.known, points, plan),
            *_cost_goals(rows.known, points, plan),
        ],
        paths=PATHS,
        seeds=[1],
        seconds=generation + sum(row["wall_seconds"] for row in rows.known.values()),
    )


if __name__ == "__main__":
    main()
