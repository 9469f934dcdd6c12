"""Which model unfolds best? ``python benchmarks/unfold_comparison.py [--quick] [--only MODEL] [--seed N]``.

Two tables of top-quark pairs, judged by the code of ``castalia unfold compare`` on the same unused events with the same
draws. *As in the paper*: the published losses in the paper's 55 numbers, one seed. *Tuned*: every model in coordinates
of the decays, at the best of the eight trials that are listed here, of a quarter of the steps and by the CRPS of
validation events, or at the next best where a training with those settings diverges; with three seeds. All have the
same encoder of events, 0.7 to 0.9 million parameters in all, and the same steps and batches. Beside them stand the
floor (truth against truth), the control (truth of random training events), and the same reweighted to the data by
OmniFold, which knows no event either.

A finished trial or training is a row of the result, and its run is kept: the script goes on from there. ``--only`` and
``--seed`` restrict what is trained, so that several processes can share the work; whatever is there is summed up, and
``missing`` says what is not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from castalia.apps.unfold.compare import contend
from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.judged_sample import FEWEST_EVENTS, JudgeRequest, TestSample, read_test_sample
from castalia.apps.unfold.judging import control_draws, judge
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.data.loading import load_arrays
from castalia.errors import DataError, MachineError
from castalia.metrics.proper_scores import crps
from castalia.rng import Stream
from collider_samples import make_samples
from record import Goal, add_row, load_rows, write_result
from unfold_comparison_measures import DEFAULT, goals_of, ratios_to, row_of, table_of
from unfold_comparison_plan import AS_PUBLISHED, CONTINUOUS, FULL_PLAN, PUBLISHED, QUICK_PLAN, TRIALS, Plan
from unfold_comparison_prior import reweighted_prior
from unfold_data import FULL, QUICK, samples_folder, samples_parser
from unfold_run import POSTERIOR, trained_run
from unfold_selected import selected_files

Table = Literal["paper", "tuned"]

_OMNIFOLD = "background", "density_ratio", "events", "fakes", "normal_scores", "omnifold", "settling", "truth_weights"

PATHS = [
    "benchmarks/unfold_comparison.py",
    "benchmarks/unfold_comparison_measures.py",
    "benchmarks/unfold_comparison_plan.py",
    "benchmarks/unfold_comparison_prior.py",
    "src/castalia/apps/unfold/compare.py",
    "src/castalia/apps/unfold/results.py",
    *(f"src/castalia/apps/unfold/{name}.py" for name in _OMNIFOLD),
    *POSTERIOR,
]


@dataclass(frozen=True)
class Bench:
    """A plan with its samples; its methods make the rows.

    Attributes:
        plan: The plan.
        samples: Folder of the samples.
    """

    plan: Plan
    samples: Path

    def run(self, table: Table, preset: str, seed: int, settings: Mapping[str, Any], epochs: int) -> Path:
        """Return a trained run.

        Args:
            table: Which table it is for.
            preset: The model.
            seed: Seed of the training.
            settings: Of a trial; empty for the defaults.
            epochs: Passes over the training events, shared by the phases of a model that is trained in two.
        """
        given = {**settings, **(AS_PUBLISHED[preset] if table == "paper" else {})}
        rate = {name: given.pop(name) for name in ("learning_rate",) if name in given}
        shared = max(1, epochs // 2) if preset.startswith("ldm") else epochs
        by_adam = {"optimiser": "adamw"} if table == "paper" else {}  # as published; the others have their preset's
        return trained_run(
            self.samples / "runs",
            preset,
            self.samples,
            coordinates="cartesian" if table == "paper" else "decay_tree",
            options={**self.plan.options, **given},
            training={**rate, **by_adam, "epochs": shared},
            seed=seed,
        )

    def tuned_run(self, preset: str, seed: int, rows: Mapping[str, Any]) -> Path:
        """Return a run with the settings of the best trial, or of the next best where those diverge in more epochs."""
        ranked = ranked_trials(rows, preset, self.plan.trials)
        for settings in [{}] if ranked is None else [TRIALS[number] for number in ranked]:
            try:
                return self.run("tuned", preset, seed, settings, self.plan.epochs)
            except MachineError as error:
                sys.stdout.write(f"{preset}, seed {seed}: {error}\n")
        raise MachineError(f"{preset}, seed {seed}: diverges with the settings of every trial.")

    def trial(self, preset: str, number: int, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Train with the settings of a trial, and score it on validation events; one that diverges has no score."""
        del rows
        try:
            run = self.run("tuned", preset, self.plan.seeds[0], TRIALS[number], max(1, self.plan.epochs // 4))
            return {**TRIALS[number], "validation_crps": validation_score(run, self.samples)}
        except MachineError as error:
            return {**TRIALS[number], "validation_crps": None, "diverged": str(error)}

    def tuned(self, preset: str, seed: int, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Train with the settings of the best trial, and judge it."""
        return self.judged(self.tuned_run(preset, seed, rows))

    def published(self, preset: str, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Train as published, and judge it."""
        del rows
        return self.judged(self.run("paper", preset, self.plan.seeds[0], {}, self.plan.epochs))

    def judged(self, run: Path) -> dict[str, Any]:
        """Judge a run by the code of the command."""
        model = open_model(run)
        sample = self.sample(model)
        one = contend(model, sample, self.plan.draws, with_power=False)
        rate = model.config.training.learning_rate
        return row_of(sample.events, one.judged, one.cost) | {"learning_rate": rate}

    def control(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Judge the truth of random training events, and the joint test itself."""
        model = open_model(self.tuned_run(DEFAULT, self.plan.seeds[0], rows))
        sample = self.sample(model)
        draws = control_draws(sample.events, model.coordinates.tree.cartesian(model.prior), self.plan.draws)
        return row_of(sample.events, judge(sample.events, draws, with_power=self.plan.fewest >= FEWEST_EVENTS))

    def reweighted(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Judge the truth of training events, reweighted to the judged ones as if these were data."""
        model = open_model(self.tuned_run(DEFAULT, self.plan.seeds[0], rows))
        sample = self.sample(model)
        learned = load_arrays(selected_files(self.samples), model.features, "train").arrays.reconstructed
        prior = reweighted_prior(sample, learned.take(np.arange(len(learned.row)) < self.plan.prior_events))
        draws = control_draws(sample.events, prior, self.plan.draws)
        return row_of(sample.events, judge(sample.events, draws, with_power=False))

    def sample(self, model: PosteriorModel) -> TestSample:
        """Return the events to judge on: the same for all, because all runs learned from the same file."""
        return self.unlearned([model])

    def unlearned(self, models: Sequence[PosteriorModel], most: int = 50_000) -> TestSample:
        """Return at most so many of the events to judge on."""
        paths = tuple(self.samples / f"{name}.parquet" for name in self.plan.judged)
        return read_test_sample(models, JudgeRequest((), paths, Path(), events=most), fewest=self.plan.fewest)


@dataclass(frozen=True)
class Job:
    """How a row is made.

    Attributes:
        key: Its name.
        preset: The model that has to be trained for it.
        seed: The seed.
        make: Makes it from the rows there are.
        after: Rows that must be there before.
    """

    key: str
    preset: str
    seed: int
    make: Callable[[Mapping[str, Any]], dict[str, Any]]
    after: tuple[str, ...] = ()


def jobs(bench: Bench) -> Iterator[Job]:
    """Yield how every row of a complete result is made, in order."""
    plan = bench.plan
    first = plan.seeds[0]
    for preset in plan.tuned:
        trials = tuple(trial_key(preset, number) for number in range(plan.trials))
        for number, key in enumerate(trials):
            yield Job(key, preset, first, partial(bench.trial, preset, number))
        for seed in plan.seeds:
            yield Job(model_key("tuned", preset, seed), preset, seed, partial(bench.tuned, preset, seed), trials)
        if preset == DEFAULT:
            yield Job("control", preset, first, bench.control, trials)
            yield Job("reweighted prior", preset, first, bench.reweighted, trials)
    for preset in plan.published:
        yield Job(model_key("paper", preset, first), preset, first, partial(bench.published, preset))


def measure(bench: Bench, only: str | None, seed: int | None) -> tuple[dict[str, Any], list[str]]:
    """Make the rows that are asked for and missing; return all that are there, and the names of those that are not.

    Args:
        bench: The bench.
        only: The one model to train; all by default.
        seed: The one seed to train; all by default. Trials have the first, and come first.
    """
    plan, began = bench.plan, time.monotonic()
    rows = load_rows(plan.name, PATHS)
    for job in jobs(bench):
        asked = only in (None, job.preset) and seed in (None, job.seed)
        if job.key in rows or not asked or not all(key in rows for key in job.after):
            continue
        sys.stdout.write(f"{job.key}\n")
        sys.stdout.flush()
        rows[job.key] = job.make(rows)
        add_row(plan.name, job.key, rows[job.key], paths=PATHS, seconds=time.monotonic() - began)
    rows = {**load_rows(plan.name, PATHS), **rows}  # those of other processes
    return rows, [job.key for job in jobs(bench) if job.key not in rows]


def validation_score(run: Path, samples: Path, events: int = 2_000, draws: int = 20) -> float:
    """Return the CRPS of a run on events of its validation split."""
    model = open_model(run)
    arrays = load_arrays(selected_files(samples), model.features, "validation").arrays.reconstructed
    arrays = arrays.take(np.arange(len(arrays.row)) < events)
    if arrays.target is None:
        raise DataError(f"{samples}: the files to learn from have no truth; make the samples anew.")
    names = list(model.coordinates.tree.numbers)
    chosen = [names.index(name) for name in model.coordinates.continuous]
    truth = model.coordinates.tree.cartesian(leaves_of_columns(arrays.target))[:, chosen]
    drawn = model.numbers(model.draw(arrays, draws, Stream(1, "validation draws").at()))[:, :, chosen]
    return float(crps(truth, drawn).mean())


def ranked_trials(rows: Mapping[str, Any], preset: str, trials: int) -> list[int] | None:
    """Return the trials that have a score, the lowest first, or ``None`` while one is missing."""
    keys = [trial_key(preset, trial) for trial in range(trials)]
    if not all(key in rows for key in keys):
        return None
    scores = {number: rows[key]["validation_crps"] for number, key in enumerate(keys)}
    return sorted((number for number, score in scores.items() if score is not None), key=scores.__getitem__)


def trial_key(preset: str, trial: int) -> str:
    """Return the name of a trial's row."""
    return f"trial {preset} {trial}"


def model_key(table: Table, preset: str, seed: int) -> str:
    """Return the name of a model's row."""
    return f"{table} {preset} {seed}"


def values_of(plan: Plan, rows: Mapping[str, Any], missing: Sequence[str]) -> dict[str, Any]:
    """Sum up the rows that are there."""
    tables: dict[Table, dict[str, Any]] = {"tuned": {}, "paper": {}}
    named: dict[Table, tuple[str, ...]] = {"tuned": plan.tuned, "paper": plan.published}
    for table, presets in named.items():
        for preset in presets:
            found = [rows[key] for seed in plan.seeds if (key := model_key(table, preset, seed)) in rows]
            if found:
                tables[table][preset] = {**table_of(found), "seeds": len(found)}
    ranked = {preset: ranked_trials(rows, preset, plan.trials) for preset in plan.tuned}
    alone = {name: table_of([rows[name]]) for name in ("control", "reweighted prior") if name in rows}
    floor = {name: one["value"] for name, one in alone.get("control", {}).items() if name.endswith("_floor")}
    return {
        "tuned": tables["tuned"],
        "paper": tables["paper"],
        **alone,
        "floor": floor,
        "paper_published": PUBLISHED,
        "published_ratios": ratios_to("VLD", {name: one["wasserstein"] for name, one in PUBLISHED.items()}),
        "paper_ratios": ratios_to(
            "vld_paper", {name: one["wasserstein_all"]["value"] for name, one in tables["paper"].items()}
        ),
        "trials": [dict(one) for one in TRIALS[: plan.trials]],
        "ranked_trials": ranked,
        "epochs": plan.epochs,
        "missing": list(missing),
    }


def claims(plan: Plan, rows: Mapping[str, Any], continuous: int) -> list[Goal]:
    """Return the goals; of the quick form, that the default knows the event and closes exactly."""
    tuned = {
        preset: [rows[key] for seed in plan.seeds if (key := model_key("tuned", preset, seed)) in rows]
        for preset in plan.tuned
    }
    goals = goals_of(tuned, rows.get("control"), rows.get("reweighted prior"), continuous)
    if plan is not QUICK_PLAN:
        return goals
    small = ("CRPS ahead of control", "CRPS ahead of reweighted prior", "sums of daughters")
    return [goal for goal in goals if goal.name.startswith(small)]


def bench_of(data: Path | None, quick: bool, workers: int) -> Bench:
    """Return a plan with its samples, made where they are missing.

    Args:
        data: Folder of the samples, instead of the user's cache.
        quick: Whether it is the quick form.
        workers: Processes that make samples.
    """
    plan, samples = (QUICK_PLAN if quick else FULL_PLAN), samples_folder(data, quick)
    needed = {"test", *plan.judged}  # the test sample is named in every configuration
    every = QUICK if quick else FULL
    make_samples([one for one in every if one.name.startswith("train") or one.name in needed], samples, workers)
    return Bench(plan, samples)


def main() -> None:
    """Train and judge what is missing, and write the result."""
    parser = samples_parser(__doc__)
    parser.add_argument(
        "--only", help="the one model to train", choices=sorted({*FULL_PLAN.tuned, *FULL_PLAN.published})
    )
    parser.add_argument("--seed", type=int, help="the one seed to train")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    began, bench = time.monotonic(), bench_of(asked.data, asked.quick, asked.workers)
    plan = bench.plan
    rows, missing = measure(bench, asked.only, asked.seed)
    write_result(
        plan.name,
        values=values_of(plan, rows, missing),
        goals=claims(plan, rows, CONTINUOUS),
        paths=PATHS,
        seeds=plan.seeds,
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
