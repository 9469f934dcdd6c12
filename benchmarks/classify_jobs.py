"""How the rows of a classification benchmark are made: trials, then trainings by seed, by one process or by several."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import scan_heavy_higgs_data as scan
from castalia.errors import MachineError
from classify_cuts import digest_of
from classify_data import FULL as FULL_PARTS
from classify_data import QUICK as QUICK_PARTS
from classify_data import make_parts, parts_folder
from classify_measures import GROUPS, Row, Rows, cpu_hours, row_of
from classify_plan import Forms, Plan, Size, prolonged, trials_of
from classify_run import Arm, Bench, Pretext, Settings, judged, seconds_of, validation_loss
from classify_types import types_of_jets
from record import Goal, add_row, load_rows

__all__ = [
    "Job",
    "Table",
    "best_trial",
    "conduct",
    "jobs",
    "measure",
    "rows_of",
    "table_of",
    "training_key",
    "trial_key",
    "tried",
    "tuned_settings",
    "types_key",
]

MOST_HOURS: Final = 12.0
"""Of a processor, that all of a benchmark may take."""


@dataclass(frozen=True)
class Table:
    """A benchmark, or a part of it.

    Attributes:
        plan: What it trains.
        bench: Where.
        paths: Sources it measures.
        samples: Digest of the samples, which rows of other ones have not.
    """

    plan: Plan
    bench: Bench
    paths: Sequence[str]
    samples: str

    def trial(self, arm: Arm, size: Size, number: int, rows: Rows) -> Row:
        """Train with the settings of a trial, and score it on all validation events; one that diverges has no score."""
        settings, signal = tried(self.plan, arm, size, rows)[number], self.plan.signals[0]
        try:
            run = self.bench.run(arm, signal, size.events, 1, settings)
        except MachineError as error:
            nothing = {"runs": {}, "judging_seconds": 0.0, "samples": self.samples}
            return {**settings, "validation_loss": None, "diverged": str(error), **nothing}
        file = self.bench.validation_file(signal)
        return self._row(run, lambda: {**settings, "validation_loss": validation_loss(run, file)})

    def training(self, arm: Arm, signal: str, size: Size, seed: int, rows: Rows) -> Row:
        """Train with the settings of the best trial, and judge it."""
        settings = tuned_settings(self.plan, arm, size, rows)
        run = self.bench.run(arm, signal, size.events, seed, settings)
        return self._row(run, lambda: {**row_of(*judged(run, GROUPS)), "settings": dict(settings)})

    def types(self, arm: Arm, pretext: Pretext, _: Rows) -> Row:
        """Ask the pre-training of an arm for the types of hidden jets."""
        run = self.bench.pretrained(arm, pretext)
        return self._row(run, lambda: types_of_jets(run))

    def known(self) -> dict[str, Any]:
        """Return the rows that are there, of these samples."""
        rows = load_rows(self.plan.name, self.paths)
        return {key: row for key, row in rows.items() if row["samples"] == self.samples}

    def _row(self, run: Path, measured: Callable[[], Row]) -> Row:
        began = time.process_time()
        row = measured()
        spent = {"runs": seconds_of(run), "judging_seconds": round(time.process_time() - began, 1)}
        return {**row, **spent, "samples": self.samples}


@dataclass(frozen=True)
class Job:
    """How a row is made.

    Attributes:
        key: Its name.
        arm: Name of what is trained for it.
        events: Training events a class; 0 of what is asked of a pre-training.
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


def types_key(arm: str) -> str:
    """Return the name of the row of what a pre-training tells of types."""
    return f"types {arm}"


def jobs(table: Table) -> Iterator[Job]:
    """Yield how every row of a complete result is made, in order."""
    plan = table.plan
    for name in plan.told:
        arm = plan.arm(name)
        if arm.pretext is not None:
            yield Job(types_key(name), name, 0, partial(table.types, arm, arm.pretext))
    for size in plan.sizes:
        for arm in plan.arms_at(size):
            before = _trial_keys(plan, arm, plan.size(size.tuned_at)) if size.tuned_at else ()
            own = _trial_keys(plan, arm, size)
            for number, key in enumerate(own):
                yield Job(key, arm.name, size.events, partial(table.trial, arm, size, number), before)
            for signal in plan.signals:
                for seed in range(1, size.seeds + 1):
                    make = partial(table.training, arm, signal, size, seed)
                    yield Job(training_key(signal, size, arm.name, seed), arm.name, size.events, make, before + own)


def measure(tables: Sequence[Table], only: Sequence[str], sizes: Sequence[int]) -> tuple[dict[str, Any], list[str]]:
    """Make the rows that are asked for and missing; return all that are there, and the names of those that are not.

    Args:
        tables: The parts of the benchmark.
        only: Names of the arms to train; none for all.
        sizes: Training events a class of what is to be trained; none for all.
    """
    first, began = tables[0], time.monotonic()
    rows, every = first.known(), [job for table in tables for job in jobs(table)]
    for job in every:
        asked = (not only or job.arm in only) and (not sizes or job.events in sizes)
        if job.key in rows or not asked:
            continue
        if not all(key in rows for key in job.after):
            rows = {**first.known(), **rows}  # another process may have made them meanwhile
            if job.key in rows or not all(key in rows for key in job.after):
                continue
        sys.stdout.write(f"{job.key}\n")
        sys.stdout.flush()
        rows[job.key] = job.make(rows)
        add_row(first.plan.name, job.key, rows[job.key], paths=first.paths, seconds=time.monotonic() - began)
    rows = {**first.known(), **rows}
    return rows, [job.key for job in every if job.key not in rows]


def best_trial(plan: Plan, arm: Arm, size: Size, rows: Rows) -> int:
    """Return the trial with the lowest validation loss; the only one where there is nothing to choose."""
    losses = [rows[key]["validation_loss"] for key in _trial_keys(plan, arm, size)]
    if losses and not any(loss is not None for loss in losses):
        raise MachineError(f"{arm.name} at {size.events}: diverges with the settings of every trial.")
    return int(np.argmin([np.inf if loss is None else loss for loss in losses])) if losses else 0


def tried(plan: Plan, arm: Arm, size: Size, rows: Rows) -> tuple[Settings, ...]:
    """Return the settings that an arm tries at a size; some are those of another size, by the rows of its trials."""
    if size.tuned_at is None:
        return trials_of(arm, size, plan.trials)
    return prolonged(arm, size, tuned_settings(plan, arm, plan.size(size.tuned_at), rows))


def tuned_settings(plan: Plan, arm: Arm, size: Size, rows: Rows) -> Settings:
    """Return the settings of the best trial."""
    return tried(plan, arm, size, rows)[best_trial(plan, arm, size, rows)]


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
    return tuple(trial_key(arm, size, number) for number in range(plan.tried(size)))


def conduct(
    description: str,
    plans: Callable[[bool], tuple[tuple[Plan, ...], Forms]],
    paths: Sequence[str],
    claims: Callable[[Sequence[Plan], Rows], tuple[dict[str, Any], list[Goal]]],
) -> dict[str, Any]:
    """Read the command line of a benchmark, and train and judge what is missing.

    Args:
        description: What the benchmark is for.
        plans: Its plans, quick or not, all of one name, with the form of all benchmarks that they are made in.
        paths: Sources it measures.
        claims: Sums up the rows that are there, and states the goals.

    Returns:
        The result, as ``write_result`` takes it.
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
    began, (parts, form) = time.monotonic(), plans(asked.quick)
    arms = [arm.name for plan in parts for arm in plan.arms]
    unknown = set(asked.only) - set(arms)
    if unknown:
        parser.error(f"there is no arm '{min(unknown)}'; there are {', '.join(arms)}")
    samples = parts_folder(asked.data, asked.quick)
    of_scan = scan.folder_of(asked.scan_data, scan.QUICK if asked.quick else scan.FULL)
    needed = set().union(*(plan.samples for plan in parts))
    wanted = [part for part in (QUICK_PARTS if asked.quick else FULL_PARTS) if part.name in needed]
    made = make_parts(wanted, samples, of_scan, asked.workers)
    bench, digest = Bench(samples, form.cuts, form.backbone, form.pretraining), digest_of(made.values())
    rows, missing = measure([Table(plan, bench, paths, digest) for plan in parts], asked.only, asked.size)
    (values, goals), hours = claims(parts, rows), cpu_hours(rows)
    return {
        "name": parts[0].name,
        "values": {**values, "cpu_hours": hours, "trials": _listed(parts), "missing": missing},
        "goals": [*goals, Goal("processor time in all [h]", None if missing else hours["total"], "<=", MOST_HOURS)],
        "paths": paths,
        "seeds": list(range(1, max(size.seeds for plan in parts for size in plan.sizes) + 1)),
        "seconds": time.monotonic() - began,
    }


def _listed(plans: Sequence[Plan]) -> Mapping[str, Any]:
    """List what is tried, by kinds of arms, where it does not follow from the trials of another size."""
    listed: dict[str, Any] = {}
    for plan in plans:
        for arm in plan.arms:
            for size in plan.sizes:
                if size.tuned_at is None and arm in plan.arms_at(size):
                    kind = "boosted trees" if not arm.is_network else str(arm.training.get("optimiser", arm.preset))
                    listed.setdefault(kind, {})[str(size.events)] = list(trials_of(arm, size, plan.trials))
    return listed
