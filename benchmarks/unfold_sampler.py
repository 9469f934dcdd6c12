"""How many network evaluations does a draw of the truth need? ``python benchmarks/unfold_sampler.py [--quick]``.

The default model and the variational latent diffusion of ``unfold_comparison.py`` — its runs where they are there, or
else trained alike — draw for the same unused events with 4 to 1,000 evaluations: the default by Runge-Kutta steps of
four each, the diffusion by its ancestral, first-order and second-order samplers. Quality is the sum of the Wasserstein
distances over all numbers in units of its floor, and the CRPS. An evaluation counts once, also where a draw contradicts
the objects that were drawn for it and is made again. Speed is a fraction of the floor, the time that the
matrix products of a draw take at the measured rate of large ones, one on each core.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from castalia.apps.unfold.judged_sample import TestSample, draw_for
from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.errors import ModelError
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Events, Sampler
from castalia.estimators.diffusion.samplers import SAMPLERS
from castalia.estimators.event_flows import EventFlowMatching, EventFlowMatchingConfig
from castalia.estimators.latent_diffusion import VariationalLatentDiffusion, VariationalLatentDiffusionConfig
from castalia.metrics.marginals import floored_marginals, marginal_distances
from castalia.metrics.proper_scores import crps
from castalia.rng import Stream
from record import Goal, add_row, load_rows, write_result
from sampling_rates import Contender, race
from unfold_comparison import PATHS as COMPARISON_PATHS
from unfold_comparison import bench_of
from unfold_comparison_measures import DEFAULT
from unfold_data import samples_parser

LATENT: Final = "vld"
BY_STEPS: Final = "Runge-Kutta"
BATCHES: Final = (1_024, 4_096, 16_384)

PATHS = [
    "benchmarks/unfold_sampler.py",
    "benchmarks/sampling_rates.py",
    *COMPARISON_PATHS,
]


@dataclass(frozen=True)
class Plan:
    """Size of the measurement.

    Attributes:
        name: Name of the result.
        events: Most events, with one draw each for the distances.
        scored: Those of them that are scored.
        draws: Draws of each of these.
        evaluations: Numbers of evaluations, the largest last; the default takes the multiple of four above.
        enough: Evaluations that are to be enough, of the default and of the latent diffusion.
        within: Factor on what the largest number of evaluations gives.
    """

    name: str
    events: int
    scored: int
    draws: int
    evaluations: tuple[int, ...]
    enough: tuple[int, int]
    within: float


FULL_SIZE = Plan("unfold_sampler", 20_000, 1_000, 20, (3, 5, 10, 20, 50, 200, 1_000), (20, 50), 1.05)
QUICK_SIZE = Plan("unfold_sampler_quick", 2_000, 100, 10, (5, 20, 40), (20, 20), 1.25)


def with_evaluations(estimator: torch.nn.Module, evaluations: int, sampler: str) -> Sampler:
    """Return the same model, with another number of network evaluations for a draw.

    Raises:
        ModelError: If the model is not one whose number can be chosen.
    """
    options: dict[str, Any]
    if isinstance(estimator, EventFlowMatching):
        options = {**estimator.config.model_dump(), "evaluations": evaluations}
        changed: EventFlowMatching | VariationalLatentDiffusion
        changed = EventFlowMatching(EventFlowMatchingConfig.model_validate(options), estimator.layout)
    elif isinstance(estimator, VariationalLatentDiffusion) and estimator.diffusion is not None:
        options = estimator.config.model_dump()
        options["diffusion"] |= {"evaluations": evaluations, "sampler": sampler}
        changed = VariationalLatentDiffusion(VariationalLatentDiffusionConfig.model_validate(options), estimator.layout)
    else:
        raise ModelError(f"A {type(estimator).__name__} draws with one number of evaluations; name another model.")
    changed.load_state_dict(estimator.state_dict())
    return changed.eval()


def settings(plan: Plan, preset: str) -> list[tuple[str, int]]:
    """Return the samplers of a model with numbers of evaluations."""
    if preset == DEFAULT:
        return [(BY_STEPS, number) for number in sorted({-(-one // 4) * 4 for one in plan.evaluations})]
    return [(name, number) for name in SAMPLERS for number in plan.evaluations]


def quality(model: PosteriorModel, sample: TestSample, draws: int, floor: float) -> dict[str, float]:
    """Return the distances in units of their floor, the score, and the processor's time for a draw."""
    begin = time.process_time()
    drawn = draw_for(model, sample, draws)
    seconds = time.process_time() - begin
    events, chosen = sample.events, sample.events.continuous
    distance = marginal_distances(events.truth, drawn.one).summed()["wasserstein"]
    return {
        "wasserstein": distance / floor,
        "crps": float(crps(events.truth[: events.scored][:, chosen], drawn.many[:, :, chosen]).mean()),
        "core_seconds_per_draw": seconds / (len(drawn.one) + len(drawn.many) * draws),
    }


def speed(model: PosteriorModel, sample: TestSample, quick: bool) -> dict[str, Any]:
    """Return the rate of draws with the settings that the model has, and the fraction of the floor that this is."""
    frame, measured = model.frame, sample.arrays
    arrays = frame.turned(measured, frame.reference(measured))  # as the model is given them
    events = events_from_array(arrays.condition, objects=arrays.objects)
    rng = Stream(1, "speed").at()

    def at(rows: Tensor) -> Events:
        return events.map(lambda values: values[rows[:, 0]])

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        count = min(1_024, len(arrays.row))
        model.sampler.sample(at(torch.arange(count)[:, None]), 1, rng)
    per_draw = counter.get_total_flops() / count
    index = torch.arange(len(arrays.row))[:, None]
    contender = Contender(lambda rows: model.sampler.sample(at(rows), 1, rng), index, BATCHES[: 2 if quick else 3],
                          (True, False))  # fmt: skip
    found = race({"draws": contender}, *((0.5, 5, 1) if quick else (2.0, 9, 3)))
    floor = 0.5e9 * (found.peak_before + found.peak_after) / per_draw
    rate = found.rates["draws"]
    return {"draws_per_second": rate, "flops_per_draw": per_draw, "fraction_of_floor": rate / floor,
            **found.described()}  # fmt: skip


def measure(plan: Plan, models: Mapping[str, PosteriorModel], sample: TestSample, quick: bool) -> dict[str, Any]:
    """Return the rows: those that are there, and those that are made."""
    began, rows = time.monotonic(), load_rows(plan.name, PATHS)
    truth = sample.events.truth
    # Truth against truth of the same size: the floor does not depend on the draws.
    floor = floored_marginals(truth, truth, seed=1).summed().wasserstein.floor
    for preset, model in models.items():
        for sampler, number in settings(plan, preset):
            key = f"{preset}, {sampler}, {number}"
            if key not in rows:
                sys.stdout.write(f"{key}\n")
                sys.stdout.flush()
                changed = with_evaluations(model.estimator, number, sampler)
                rows[key] = quality(replaced(model, changed), sample, plan.draws, floor)
                add_row(plan.name, key, rows[key], paths=PATHS, seconds=time.monotonic() - began)
        key = f"{preset}, speed"
        if key not in rows and preset in timed(quick):
            rows[key] = speed(model, sample, quick)
            if not rows[key]["noisy"]:  # of a busy machine it is measured again next time
                add_row(plan.name, key, rows[key], paths=PATHS, seconds=time.monotonic() - began)
    return rows


def timed(quick: bool) -> tuple[str, ...]:
    """Return the models whose speed is measured; the machine's own rate takes half a minute each time."""
    return (DEFAULT,) if quick else (DEFAULT, LATENT)


def replaced(model: PosteriorModel, sampler: Sampler) -> PosteriorModel:
    """Return a posterior that draws by another sampler."""
    return dataclasses.replace(model, sampler=sampler)


def goals_of(plan: Plan, rows: Mapping[str, Any]) -> list[Goal]:
    """Return what is claimed of few evaluations, and of the speed."""
    goals = []
    for preset, sampler, enough in ((DEFAULT, BY_STEPS, plan.enough[0]), (LATENT, "multistep", plan.enough[1])):
        most = settings(plan, preset)[-1][1]
        few, many = (rows[f"{preset}, {sampler}, {number}"] for number in (enough, most))
        goals += [
            Goal(f"{preset}: {name} with {enough} evaluations over that with the most", few[name] / many[name], "<=",
                 plan.within)
            for name in ("wasserstein", "crps")
        ]  # fmt: skip
    if plan is QUICK_SIZE:  # which runs beside other work, where a speed means nothing
        return goals
    speed_of = rows[f"{DEFAULT}, speed"]
    fraction = None if speed_of["noisy"] else speed_of["fraction_of_floor"]
    return [*goals, Goal(f"{DEFAULT}: draws/s, fraction of the product-rate floor", fraction, ">=", 0.4)]


def main() -> None:
    """Measure and write the result."""
    asked = samples_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    plan, began = (QUICK_SIZE if asked.quick else FULL_SIZE), time.monotonic()
    bench = bench_of(asked.data, asked.quick, asked.workers)
    known = load_rows(bench.plan.name, ())  # which settings were best, whatever has changed since
    runs = {name: bench.tuned_run(name, bench.plan.seeds[0], known) for name in (DEFAULT, LATENT)}
    models = {name: open_model(run) for name, run in runs.items()}
    sample = bench.unlearned(list(models.values()), plan.events)
    sample = dataclasses.replace(sample, events=dataclasses.replace(sample.events, scored=plan.scored))
    rows = measure(plan, models, sample, asked.quick)
    write_result(
        plan.name,
        values={
            "events": len(sample.events.truth),
            "scored": plan.scored,
            "draws": plan.draws,
            "speed": {name: rows[f"{name}, speed"] for name in timed(asked.quick)},
        },
        goals=goals_of(plan, rows),
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
