"""What does size buy? ``python benchmarks/unfold_gpu.py [--quick]``, on a machine with a GPU.

The default model and ``vld_full``, the variational latent diffusion of the published size, learn on the GPU from the
samples of ``unfold_data.py`` and are judged as in ``unfold_comparison.py``. The same steps of the default are timed on
the processor. ``--quick`` runs on the processor, with small models, and claims only that they know the event.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from castalia.runs.folder import RunFolder
from record import Goal, add_row, load_rows, write_result
from unfold_comparison import PATHS as COMPARISON_PATHS
from unfold_comparison import Bench, bench_of
from unfold_comparison_measures import DEFAULT
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


def measure(bench: Bench, plan: Plan) -> dict[str, Any]:
    """Return the rows: those that are there, and those that are made."""
    began, rows = time.monotonic(), load_rows(plan.name, PATHS)
    for preset in (DEFAULT, FULL_MODEL):
        if preset not in rows:
            run = trained(bench, plan, preset, plan.device, plan.epochs)
            rows[preset] = {**bench.judged(run), "steps_per_second": step_rate(run)}
            add_row(plan.name, preset, rows[preset], paths=PATHS, seconds=time.monotonic() - began)
    if "processor" not in rows:
        run = trained(bench, plan, DEFAULT, "cpu", max(1, plan.epochs // 10))
        rows["processor"] = {"steps_per_second": step_rate(run)}
    return rows


def main() -> None:
    """Measure and write the result."""
    asked = samples_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    plan, began = (QUICK_SIZE if asked.quick else FULL_SIZE), time.monotonic()
    rows = measure(bench_of(asked.data, asked.quick, asked.workers), plan)
    faster = rows[DEFAULT]["steps_per_second"] / rows["processor"]["steps_per_second"]
    known = [Goal(f"{preset}: CRPS, of 0.564 for the prior", rows[preset]["crps"], "<=", 0.5) for preset in
             (DEFAULT, FULL_MODEL)]  # fmt: skip
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
