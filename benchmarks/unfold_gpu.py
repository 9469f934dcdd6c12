"""What does size buy? ``python benchmarks/unfold_gpu.py [--quick]``, on a machine with a GPU.

The default model and ``vld_full``, the variational latent diffusion of the published size, learn on the GPU from the
samples of ``unfold_data.py`` and are judged as in ``unfold_comparison.py``. The same steps of the default are timed on
the processor. ``--quick`` runs on the processor, with small models, and claims only that they know the event.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from castalia.apps.unfold.judging import control_draws, judge
from castalia.apps.unfold.model import open_model
from castalia.runs.folder import RunFolder
from record import Goal, add_row, load_rows, write_result
from unfold_comparison import PATHS as COMPARISON_PATHS
from unfold_comparison import Bench, bench_of
from unfold_comparison_measures import DEFAULT, row_of
from unfold_data import samples_parser
from unfold_default import LARGE, SMALL
from unfold_run import trained_run

FULL_MODEL = "vld_full"
PATHS = ["benchmarks/unfold_gpu.py", *COMPARISON_PATHS]


@dataclass(frozen=True)
class Plan:
    """Size of the measurement.

    Attributes:
        name: Name of the result.
        device: Where models are trained.
        epochs: Passes over the training events; a tenth of them, at least one, are timed on the processor.
        options: Of both models.
    """

    name: str
    device: str
    epochs: int
    options: dict[str, Any]


FULL_SIZE = Plan("unfold_gpu", "cuda", 30, {})
QUICK_SIZE = Plan("unfold_gpu_quick", "cpu", 10, {"encoder": SMALL["options"]["encoder"]})


def trained(bench: Bench, plan: Plan, preset: str, device: str, epochs: int) -> Path:
    """Return a run whose steps were computed on a device."""
    training = {**LARGE["training"], "epochs": epochs, "device": device}
    return trained_run(bench.samples / "runs", preset, bench.samples, options=plan.options, training=training)


def step_rate(run: Path) -> float:
    """Return steps per second of a run, validation included."""
    last = json.loads(RunFolder.open(run).history.read_text(encoding="utf-8").splitlines()[-1])
    return float(last["step"] / last["seconds"])


def control(bench: Bench, run: Path) -> dict[str, Any]:
    """Judge the truth of random training events in the place of a model's draws."""
    model = open_model(run)
    events = bench.sample(model).events
    draws = control_draws(events, model.coordinates.tree.cartesian(model.prior), bench.plan.draws)
    return row_of(events, judge(events, draws, with_power=False))


def measure(bench: Bench, plan: Plan) -> dict[str, Any]:
    """Return the rows: those that are there, and those that are made."""
    began, rows = time.monotonic(), load_rows(plan.name, PATHS)

    def judged(preset: str) -> dict[str, Any]:
        run = trained(bench, plan, preset, plan.device, plan.epochs)
        return {**bench.judged(run), "steps_per_second": step_rate(run)}

    def on_the_processor() -> dict[str, Any]:
        return {"steps_per_second": step_rate(trained(bench, plan, DEFAULT, "cpu", max(1, plan.epochs // 10)))}

    made: dict[str, Callable[[], dict[str, Any]]] = {
        DEFAULT: partial(judged, DEFAULT),
        FULL_MODEL: partial(judged, FULL_MODEL),
        "control": lambda: control(bench, trained(bench, plan, DEFAULT, plan.device, plan.epochs)),
        "processor": on_the_processor,
    }
    for key, make in made.items():
        if key not in rows:
            rows[key] = make()
            add_row(plan.name, key, rows[key], paths=PATHS, seconds=time.monotonic() - began)
    return rows


def main() -> None:
    """Measure and write the result."""
    asked = samples_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    plan, began = (QUICK_SIZE if asked.quick else FULL_SIZE), time.monotonic()
    rows = measure(bench_of(asked.data, asked.quick, asked.workers), plan)
    faster = rows[DEFAULT]["steps_per_second"] / rows["processor"]["steps_per_second"]
    known = [
        Goal(f"{preset}: CRPS, of the control's", rows[preset]["crps"] / rows["control"]["crps"], "<=", 0.75)
        for preset in (DEFAULT, FULL_MODEL)
    ]
    of_full = rows[FULL_MODEL]["wasserstein_all"] / rows[FULL_MODEL]["wasserstein_all_floor"]
    large = [
        Goal("vld_full: Wasserstein distances over all numbers, floors", of_full, "<=", 3.0),
        Goal("default: steps per second over those of a processor core", faster, ">=", 1.0),
    ]
    write_result(
        plan.name,
        values={"rows": rows, "device": torch.cuda.get_device_name() if plan.device == "cuda" else "cpu"},
        goals=known if asked.quick else [*known, *large],
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
