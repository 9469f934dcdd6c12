"""Is the default posterior of the truth calibrated? ``python benchmarks/unfold_calibration.py [--quick]``.

Of 5,000 unused events with 100 draws each: ranks of the truth of all continuous numbers, coverage of central intervals
corrected for the number of draws, and TARP around references that know nothing of the event, and around a regression
on what was measured; the ranks once more in groups of events by jets, missing momentum and lepton. Two controls stand
beside: the truth of random training events, which passes all that does not see the detector, and draws a fifth too
narrow, which nothing may pass. The neutrino's two-fold pseudorapidity is held against a posterior without a model.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.judging import LEVELS
from castalia.apps.unfold.results import CALIBRATED
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.loading import load_arrays
from castalia.errors import DataError
from castalia.metrics.calibration import central_coverage, rank_deviation, truth_ranks
from castalia.metrics.proper_scores import crps, mean_score
from castalia.metrics.tarp import other_truths, tarp_ranks
from castalia.rng import Stream
from record import Goal, add_row, load_rows, write_result
from unfold_neutrino import neutrino_eta, solutions, twofold
from unfold_run import POSTERIOR, UnfoldBench, draw_numbers, prepare, read_unlearned
from unfold_selected import selected_files
from unfold_stress import seen_decay

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

PATHS = [
    "benchmarks/unfold_calibration.py",
    "benchmarks/unfold_neutrino.py",
    "src/castalia/apps/unfold/nearest.py",
    "src/castalia/apps/unfold/results.py",
    "benchmarks/unfold_default.py",
    *POSTERIOR,
]


@dataclass(frozen=True)
class Plan:
    """Size of the measurement.

    Attributes:
        name: Name of the result.
        events: Most events with draws.
        draws: Draws of each.
        neighbours: Simulated events behind a posterior without a model.
        narrowed: Width of the control's draws about their mean, in units of the model's. A model of ten seconds draws
            too wide: a fifth less would not be too narrow.
    """

    name: str
    events: int
    draws: int
    neighbours: int
    narrowed: float


FULL, QUICK = Plan("unfold_calibration", 5_000, 100, 100, 0.8), Plan("unfold_calibration_quick", 400, 50, 40, 0.4)


@dataclass(frozen=True)
class ManyDraws:
    """Events with many draws.

    Attributes:
        names: The continuous numbers.
        truth: Shape ``(events, numbers)``.
        draws: Shape ``(events, draws, numbers)``.
        reference: Regression of the truth on what was measured, fitted to other events, shape of ``truth``.
        groups: Events by groups of what was measured.
    """

    names: list[str]
    truth: Array
    draws: NDArray[np.floating]
    reference: Array
    groups: Mapping[str, Flags]


def groups_of(arrays: FeatureArrays) -> dict[str, Flags]:
    """Return groups of events by number of jets, missing momentum in thirds, and kind of lepton."""
    jets, missing = arrays.objects["jet"].mask.sum(axis=1), arrays.condition[:, 0]
    electron = arrays.objects["electron"].mask.any(axis=1)
    low, high = np.quantile(missing, [1 / 3, 2 / 3])
    return {
        "4 jets": jets == 4,
        "5 jets": jets == 5,
        "6 jets or more": jets >= 6,
        "low missing momentum": missing < low,
        "middle missing momentum": (missing >= low) & (missing < high),
        "high missing momentum": missing >= high,
        "electron": electron,
        "muon": ~electron,
    }


def regression(learned: tuple[Array, Array], measured: Array) -> Array:
    """Return a linear regression of the truth on a detector table.

    Args:
        learned: Table and truth of the events that it is fitted to.
        measured: Table of the events it is for.
    """
    slope, *_ = np.linalg.lstsq(_with_one(learned[0]), learned[1], rcond=None)
    return np.asarray(_with_one(measured) @ slope)


def judged(events: ManyDraws, seed: int) -> dict[str, Any]:
    """Measure the calibration of draws."""
    number, stream = events.draws.shape[1], Stream(seed, "calibration")
    ranks = truth_ranks(events.truth, events.draws, stream.at())
    found = rank_deviation(ranks, number)
    others = other_truths(events.truth, stream.at(1))
    tarp = {
        name: tarp_ranks(events.truth, events.draws, point, stream.at(2 + place))
        for place, (name, point) in enumerate({"other truths": others, "regression": events.reference}.items())
    }
    score = mean_score(crps(events.truth, events.draws))
    return {
        "calibrated": int(np.sum(found.value <= CALIBRATED)),
        "expected_deviation": found.expected,
        "deviation": dict(zip(events.names, found.value.tolist(), strict=True)),
        "coverage": {f"{level:g}": _coverage(ranks, number, level) for level in LEVELS},
        "tarp": {name: float(rank_deviation(one, number).value[0]) for name, one in tarp.items()},
        "crps": {"value": score.value, "error": score.error},
        "groups": {name: _group(ranks[rows], number) for name, rows in events.groups.items()},
    }


def narrowed(events: ManyDraws, width: float) -> ManyDraws:
    """Return the events with draws that are too narrow, of a width in units of what it was."""
    mean = events.draws.mean(axis=1, keepdims=True)
    draws = mean + width * (events.draws - mean)
    return ManyDraws(events.names, events.truth, draws, events.reference, events.groups)


def measure(bench: UnfoldBench, plan: Plan) -> dict[str, dict[str, Any]]:
    """Draw for the events of the test and measure everything; return the rows of the result."""
    model = bench.model
    tree, names = model.coordinates.tree, list(model.coordinates.tree.numbers)
    chosen = [names.index(name) for name in model.coordinates.continuous]
    arrays = read_unlearned(model, bench.samples / "test.parquet")
    first = np.arange(len(arrays.row)) < min(plan.events, 2 * len(arrays.row) // 3)
    few, rest = arrays.take(first), arrays.take(~first)
    numbers = draw_numbers(model, few, plan.draws, lambda drawn: drawn)
    truth = _numbers(bench, few)
    seen, other = seen_decay(few), seen_decay(rest)
    tables = [np.column_stack(list(vars(one).values())) for one in (other, seen)]
    reference = regression((tables[0], _numbers(bench, rest)[:, chosen]), tables[1])
    events = ManyDraws(
        list(model.coordinates.continuous), truth[:, chosen], numbers[:, :, chosen], reference, groups_of(few)
    )
    prior = tree.cartesian(model.prior)[:, chosen]
    blind = prior[Stream(1, "control draws").at().integers(len(prior), size=events.draws.shape[:2])]
    learned = load_arrays(selected_files(bench.samples), model.features).arrays.reconstructed
    eta = (neutrino_eta(names, truth), neutrino_eta(names, numbers.astype(np.float64)))
    simulated = (neutrino_eta(names, _numbers(bench, learned)), solutions(seen_decay(learned)))
    return {
        "posterior": judged(events, 1),
        "control": judged(ManyDraws(events.names, events.truth, blind, reference, {}), 1),
        "narrowed": judged(narrowed(events, plan.narrowed), 1),
        "neutrino": twofold(eta, solutions(seen), simulated, plan.neighbours, 1),
    }


def goals_of(rows: Mapping[str, dict[str, Any]]) -> list[Goal]:
    """State what is claimed, and what the controls must show."""
    own, control, narrow, neutrino = (rows[name] for name in ("posterior", "control", "narrowed", "neutrino"))
    numbers = len(own["deviation"])
    off = {level: 100.0 * abs(one["mean"] - float(level)) for level, one in own["coverage"].items()}
    gain = control["crps"]["value"] - own["crps"]["value"]
    model = neutrino["model"]["reliability"]
    agreement = neutrino["agreement"]
    return [
        Goal(f"numbers of {numbers} with ranks uniform to {CALIBRATED:g}", own["calibrated"], ">=", numbers - 2),
        *(Goal(f"mean coverage of {level}, off by [points]", value, "<=", 2.0) for level, value in off.items()),
        Goal("TARP around a regression, largest deviation", own["tarp"]["regression"], "<=", 0.05),
        Goal("CRPS below that of random truth", gain, ">", 0.0, error=control["crps"]["error"]),
        # Controls: ranks do not see that random truth knows nothing of the event, TARP does; both see a wrong width.
        Goal("random truth: numbers with uniform ranks", control["calibrated"], ">=", numbers - 2),
        Goal("random truth: TARP around a regression", control["tarp"]["regression"], ">=", 0.1),
        Goal("narrow draws: numbers with uniform ranks", narrow["calibrated"], "<=", numbers // 4),
        Goal("neutrino: share of the first solution, off by", model["largest"], "<=", 0.05, model["error"]),
        Goal("neutrino: share beside nearest events, off by", agreement["largest"], "<=", 0.05, agreement["error"]),
        Goal("neutrino: shares of other events, off by", neutrino["control"]["largest"], ">=", 0.1),
    ]


def quick_goals(rows: Mapping[str, dict[str, Any]]) -> list[Goal]:
    """State what a model of some ten seconds can show on some hundred events: that the measures tell controls apart."""
    own, control, narrow, neutrino = (rows[name] for name in ("posterior", "control", "narrowed", "neutrino"))
    gain = control["crps"]["value"] - own["crps"]["value"]
    return [
        Goal("CRPS below that of random truth", gain, ">", 0.0, error=control["crps"]["error"]),
        Goal(
            "random truth: TARP over the model's", control["tarp"]["regression"] / own["tarp"]["regression"], ">", 1.0
        ),
        Goal("narrow draws: calibrated over the model's", narrow["calibrated"] / max(own["calibrated"], 1), "<=", 1.0),
        Goal("neutrino: shares of the nearest, off by", neutrino["nearest"]["reliability"]["largest"], "<=", 0.3),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the result."""
    bench = prepare((__doc__ or "").splitlines()[0], arguments)
    plan = QUICK if bench.quick else FULL
    began = time.monotonic()
    known, key = load_rows(plan.name, PATHS), bench.model.sha256[:8]
    if key not in known:
        known[key] = measure(bench, plan)
        add_row(plan.name, key, known[key], paths=PATHS, seconds=time.monotonic() - began)
    rows = known[key]
    write_result(
        plan.name,
        values={"events": plan.events, "draws": plan.draws, "neighbours": plan.neighbours},
        goals=quick_goals(rows) if bench.quick else goals_of(rows),
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


def _numbers(bench: UnfoldBench, arrays: FeatureArrays) -> Array:
    if arrays.target is None:
        raise DataError("the events hold no columns of the truth to compare with; give simulated ones.")
    return bench.model.coordinates.tree.cartesian(leaves_of_columns(arrays.target))


def _with_one(table: Array) -> Array:
    return np.column_stack([table, np.ones(len(table))])


def _coverage(ranks: NDArray[np.int64], draws: int, level: float) -> dict[str, float]:
    found = central_coverage(ranks, draws, level)
    return {"mean": float(found.value.mean()), "least": float(found.value.min()), "largest": float(found.value.max())}


def _group(ranks: NDArray[np.int64], draws: int) -> dict[str, Any]:
    found = rank_deviation(ranks, draws)
    within = int(np.sum(found.value <= CALIBRATED + found.threshold))
    worst = float(found.value.max())
    return {"events": found.events, "calibrated_beyond_chance": within, "largest": worst, "expected": found.expected}


if __name__ == "__main__":
    main()
