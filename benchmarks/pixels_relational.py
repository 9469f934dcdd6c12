"""Do relations between sensors help? ``python benchmarks/pixels_relational.py [--quick] [--only ARM] [--seed N]``.

The arms of the intra-event aware GAN, which differ by options only, learn from the same events of the pixel detector
and are judged on the same unseen ones: independent sensors, one random vector shared by an event's sensors (the cheap
rival), relations beside it, and the losses that look at relations. Events have a common mode of 20 % and of 4 %, and
for the last arm of 0, where nothing may be invented; everything else is at the reference. Beside them stands the truth,
and the truth with sensors shuffled among events. What is compared is trained with three seeds, the others with one.

A finished training is a row of the result: the script goes on from there. ``--only`` and ``--seed`` restrict what is
trained, so that several processes can share the work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from castalia.apps.pixels.events import from_events
from castalia.detectors.pxd.images import occupancy
from castalia.estimators.base import Batch
from castalia.estimators.pixels.gan_presets import GAN_ARMS
from castalia.metrics.pixels.correlations import matrix_difference
from castalia.metrics.pixels.shuffled import shuffle_sensors
from castalia.rng import Stream
from pixels_events import say, simulated, trained_model
from pixels_relational_measures import goals_of, measures
from pixels_relational_plan import FULL_PLAN, QUICK_PLAN, Plan
from record import Goal, add_row, load_rows, write_result

PATHS = [
    *(f"src/castalia/{one}" for one in ("estimators/pixels", "detectors/pxd", "metrics/pixels", "nn/image_blocks.py")),
    *(f"benchmarks/pixels_{part}.py" for part in ("events", "relational", "relational_measures", "relational_plan")),
]


@cache
def sample(common_mode: float, purpose: str, events: int) -> Batch:
    """Simulate events at the reference but for the common mode."""
    return simulated(events, 1.0, 1.0, f"relational {purpose} {common_mode}", common_mode)


@dataclass(frozen=True)
class Job:
    """One row.

    Attributes:
        common_mode: Of the events.
        arm: The arm, or ``"truth"``.
        seed: Of the training.
    """

    common_mode: float
    arm: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the row."""
        return f"{self.arm} {self.common_mode:g} {self.seed}"


def jobs(plan: Plan) -> list[Job]:
    """Return all rows of a plan."""
    first = plan.seeds[0]
    truths = [Job(mode, "truth", first) for mode in plan.common_modes]
    trained = [Job(mode, arm, seed) for seed in plan.seeds for mode in plan.common_modes for arm in plan.arms]
    return truths + [job for job in trained if _is_needed(plan, job)]


def _is_needed(plan: Plan, job: Job) -> bool:
    return (job.seed == plan.seeds[0] or job.arm in plan.repeated) and (
        job.common_mode > 0.0 or job.arm == plan.arms[-1]
    )


def row(plan: Plan, job: Job) -> dict[str, Any]:
    """Train and judge one arm, or judge other true events and shuffled ones."""
    tested = sample(job.common_mode, "test", plan.test)
    truth = from_events(tested.target)
    if job.arm == "truth":
        other = from_events(sample(job.common_mode, "floor", plan.test).target)
        counts = occupancy(truth)
        shuffled = shuffle_sensors(counts, Stream(1, "relational shuffle").at())
        return {**measures(other, truth), "shuffled_spearman_error": matrix_difference(shuffled, counts)}
    events, held_out = sample(job.common_mode, "train", plan.train), plan.train // 10
    began, rows = time.monotonic(), torch.arange(plan.train)
    gan = trained_model(
        plan.preset,
        events.take(rows >= held_out),
        plan.epochs,
        job.seed,
        options={**plan.options, **GAN_ARMS[job.arm]},
        validation=events.take(rows < held_out),
    )
    trained = time.monotonic()
    drawn = from_events(gan.sample(tested.condition, 1, Stream(job.seed, "relational draws").at()))
    sampling = (time.monotonic() - trained) / plan.test
    return {**measures(drawn, truth), "training_seconds": trained - began, "seconds_an_event": sampling}


def measure(plan: Plan, only: str | None, seed: int | None) -> tuple[dict[str, Any], list[str]]:
    """Make the rows that are asked for and missing; return all that are there, and the names of those that are not."""
    began, rows = time.monotonic(), load_rows(plan.name, PATHS)
    for job in jobs(plan):
        asked = only in (None, job.arm) and seed in (None, job.seed)
        if job.key in rows or not (asked or job.arm == "truth"):
            continue
        say(job.key)
        rows[job.key] = row(plan, job)
        add_row(plan.name, job.key, rows[job.key], paths=PATHS, seconds=time.monotonic() - began)
    rows = {**load_rows(plan.name, PATHS), **rows}  # those of other processes
    return rows, [job.key for job in jobs(plan) if job.key not in rows]


def claims(plan: Plan, rows: Mapping[str, Any]) -> list[Goal]:
    """Return the goals; of the quick form, that it runs through and that independent sensors are independent."""
    if plan is QUICK_PLAN:
        alone, true = rows["independent 0.2 1"], rows["truth 0.2 1"]
        return [
            Goal("|occupancy bias| of the independent arm", abs(alone["occupancy_bias"]), "<=", 0.1),
            Goal("variance ratio of the independent arm", alone["variance_ratio"], "<=", 0.5 * true["variance_ratio"]),
        ]
    arms: dict[str, list[Any]] = {}
    for job in jobs(plan):
        if job.key in rows:
            arms.setdefault(f"{job.arm} {job.common_mode:g}", []).append(rows[job.key])
    truth = {f"{mode:g}": arms[f"truth {mode:g}"][0] for mode in plan.common_modes if f"truth {mode:g}" in arms}
    return goals_of(arms, truth)


def main() -> None:
    """Train and judge what is missing, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="the one arm to train", choices=FULL_PLAN.arms)
    parser.add_argument("--seed", type=int, help="the one seed to train")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began, plan = time.monotonic(), QUICK_PLAN if asked.quick else FULL_PLAN
    rows, missing = measure(plan, asked.only, asked.seed)
    write_result(
        plan.name,
        values={"missing": missing},
        goals=claims(plan, rows),
        paths=PATHS,
        seeds=plan.seeds,
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
