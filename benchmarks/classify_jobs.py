"""How the rows of a classification benchmark are made: trials, then trainings by seed, by one process or by several."""

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

import scan_heavy_higgs_data as scan
from classify_data import FULL as FULL_PARTS
from classify_data import QUICK as QUICK_PARTS
from classify_data import make_parts, parts_folder
from classify_measures import Row, Rows, row_of
from classify_plan import Forms, Plan, Size, trials_of
from classify_run import Arm, Bench, Settings, judged, validation_loss
from record import Goal, add_row, load_rows, write_result

__all__ = [
    "Job",
    "Table",
    "best_trial",
    "conduct",
    "jobs",
    "measure",
    "options_of",
    "rows_of",
    "table_of",
    "training_key",
    "trial_key",
]


@dataclass(frozen=True)
class Table:
    """A benchmark.

    Attributes:
        plan: What it trains.
        bench: Where.
        paths: Sources it measures.
    """

    plan: Plan
    bench: Bench
    paths: Sequence[str]

    def trial(self, arm: Arm, size: Size, number: int, rows: Rows) -> Row:
        """Train with the settings of a trial, and score it on validation events."""
        settings = trials_of(arm, size, self.plan.trials)[number]
        run = self.bench.run(options_of(self.plan, arm, size, rows), self.plan.signals[0], size.events, 1, settings)
        return {**settings, "validation_loss": validation_loss(run)}

    def training(self, arm: Arm, signal: str, size: Size, seed: int, rows: Rows) -> Row:
        """Train with the settings of the best trial, and judge it."""
        chosen = options_of(self.plan, arm, size, rows)
        settings = tuned_settings(self.plan, arm, size, rows)
        run = self.bench.run(chosen, signal, size.events, seed, settings)
        return {**row_of(*judged(run)), "options": dict(chosen.options), "settings": dict(settings)}


@dataclass(frozen=True)
class Job:
    """How a row is made.

    Attributes:
        key: Its name.
        arm: Name of what is trained for it.
        events: Training events a class.
        make: Makes it from the rows there are.
        after: Rows that must be there before.
    """

    key: str
    arm: str
    events: int
    make: Callable[[Rows], Row]
    after: tuple[str, ...] = ()


def trial_key(arm: Arm, size: Size, number: int) -> str:
    """Return the name of a trial's row."""
    return f"trial {size.events} {arm.name} {number}"


def training_key(signal: str, size: Size, arm: str, seed: int) -> str:
    """Return the name of a training's row."""
    return f"{signal} {size.events} {arm} {seed}"


def jobs(table: Table) -> Iterator[Job]:
    """Yield how every row of a complete result is made, in order: an arm that is like others comes after these."""
    plan = table.plan
    for size in plan.sizes:
        for arm in plan.arms_at(size):
            tuned = plan.tuned(size)
            of_others = tuple(key for name in arm.like for key in _trial_keys(plan, plan.arm(name), tuned))
            own = _trial_keys(plan, arm, tuned)
            if tuned is size:
                for number, key in enumerate(own):
                    yield Job(key, arm.name, size.events, partial(table.trial, arm, size, number), of_others)
            for signal in plan.signals:
                for seed in range(1, size.seeds + 1):
                    make = partial(table.training, arm, signal, size, seed)
                    yield Job(training_key(signal, size, arm.name, seed), arm.name, size.events, make, own + of_others)


def measure(table: Table, only: Sequence[str], sizes: Sequence[int]) -> tuple[dict[str, Any], list[str]]:
    """Make the rows that are asked for and missing; return all that are there, and the names of those that are not.

    Args:
        table: The benchmark.
        only: Names of the arms to train; none for all.
        sizes: Training events a class of what is to be trained; none for all.
    """
    name, began = table.plan.name, time.monotonic()
    rows = load_rows(name, table.paths)
    for job in jobs(table):
        asked = (not only or job.arm in only) and (not sizes or job.events in sizes)
        if job.key in rows or not asked:
            continue
        if not all(key in rows for key in job.after):
            rows = {**load_rows(name, table.paths), **rows}  # another process may have made them meanwhile
            if job.key in rows or not all(key in rows for key in job.after):
                continue
        sys.stdout.write(f"{job.key}\n")
        sys.stdout.flush()
        used = time.process_time()
        row = job.make(rows)
        rows[job.key] = {**row, "cpu_seconds": round(time.process_time() - used, 1)}
        add_row(name, job.key, rows[job.key], paths=table.paths, seconds=time.monotonic() - began)
    rows = {**load_rows(name, table.paths), **rows}
    return rows, [job.key for job in jobs(table) if job.key not in rows]


def best_trial(plan: Plan, arm: Arm, size: Size, rows: Rows) -> int | None:
    """Return the trial with the lowest validation loss, or ``None`` while one is missing."""
    keys = _trial_keys(plan, arm, size)
    if not all(key in rows for key in keys):
        return None
    return int(np.argmin([rows[key]["validation_loss"] for key in keys]))


def tuned_settings(plan: Plan, arm: Arm, size: Size, rows: Rows) -> Settings:
    """Return the settings of the best trial; at a size without trials, those of another with its own epochs."""
    tuned = plan.tuned(size)
    best = trials_of(arm, tuned, plan.trials)[best_trial(plan, arm, tuned, rows) or 0]
    if tuned is size or not arm.is_network:
        return best
    return {**best, "epochs": size.epochs[0], "batch_size": size.batch_size}


def options_of(plan: Plan, arm: Arm, size: Size, rows: Rows) -> Arm:
    """Return an arm with the options of the one that it is like; itself where it is like none."""
    if not arm.like:
        return arm
    best = best_like(plan, arm, size, rows)
    return replace(arm, options={**arm.options, **best.options})


def best_like(plan: Plan, arm: Arm, size: Size, rows: Rows) -> Arm:
    """Return which of the arms that an arm is like has the lowest loss on validation events of the first seed."""
    tuned = plan.tuned(size)
    arms = [plan.arm(name) for name in arm.like]
    losses = [min(rows[key]["validation_loss"] for key in _trial_keys(plan, one, tuned)) for one in arms]
    return arms[int(np.argmin(losses))]


def rows_of(plan: Plan, rows: Rows, signal: str, size: Size, arm: str) -> list[Row]:
    """Return the rows of an arm's trainings, one a seed; none while one is missing."""
    keys = [training_key(signal, size, arm, seed) for seed in range(1, size.seeds + 1)]
    return [rows[key] for key in keys] if all(key in rows for key in keys) else []


def table_of(plan: Plan, rows: Rows, signal: str) -> dict[str, dict[int, list[Row]]]:
    """Return the rows of complete sets of seeds, by arm and training events a class."""
    return {
        arm.name: {size.events: found for size in plan.sizes if (found := rows_of(plan, rows, signal, size, arm.name))}
        for arm in plan.arms
    }


def _trial_keys(plan: Plan, arm: Arm, size: Size) -> tuple[str, ...]:
    return tuple(trial_key(arm, size, number) for number in range(plan.trials))


def conduct(
    description: str,
    plans: Callable[[bool], tuple[Plan, Forms]],
    paths: Sequence[str],
    claims: Callable[[Plan, Rows], tuple[dict[str, Any], list[Goal]]],
) -> None:
    """Read the command line of a benchmark, train and judge what is missing, and write the result.

    Args:
        description: What the benchmark is for.
        plans: Its plan, quick or not, with the form of all benchmarks that it is made in.
        paths: Sources it measures.
        claims: Sums up the rows that are there, and states the goals.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, help="folder of the samples, instead of the user's cache")
    parser.add_argument("--scan-data", type=Path, help="folder of the scan benchmark's samples")
    parser.add_argument("--only", action="append", default=[], metavar="ARM", help="an arm to train; may be repeated")
    parser.add_argument("--size", action="append", default=[], type=int, help="a size to train; may be repeated")
    parser.add_argument("--workers", type=int, default=2, help="processes that make samples")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began, (plan, form) = time.monotonic(), plans(asked.quick)
    unknown = set(asked.only) - {one.name for one in plan.arms}
    if unknown:
        parser.error(f"there is no arm '{min(unknown)}'; there are {', '.join(one.name for one in plan.arms)}")
    samples = parts_folder(asked.data, asked.quick)
    of_scan = scan.folder_of(asked.scan_data, scan.QUICK if asked.quick else scan.FULL)
    make_parts(QUICK_PARTS if asked.quick else FULL_PARTS, samples, of_scan, asked.workers)
    table = Table(plan, Bench(samples, form.cuts, form.backbone, form.pretraining), paths)
    rows, missing = measure(table, asked.only, asked.size)
    values, goals = claims(plan, rows)
    write_result(
        plan.name,
        values={**values, "trials": _listed(plan), "missing": missing},
        goals=goals,
        paths=paths,
        seeds=list(range(1, max(size.seeds for size in plan.sizes) + 1)),
        seconds=time.monotonic() - began,
    )


def _listed(plan: Plan) -> Mapping[str, Any]:
    """List what is tried, for networks and for boosted trees, at every size."""
    kinds = {"boosted trees" if not arm.is_network else "networks": arm for arm in plan.arms}
    return {
        kind: {str(size.events): list(trials_of(arm, size, plan.trials)) for size in plan.sizes if not size.tuned_at}
        for kind, arm in kinds.items()
    }
