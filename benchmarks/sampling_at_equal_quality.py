"""The fastest of our models that is good enough: ``python benchmarks/sampling_at_equal_quality.py [--quick]``.

Good enough is a KL divergence of at most 0.01 nat per event to the exact response of the toy diphoton baseline. Our
candidates are ordered by their sampling rate, which does not depend on what they have learned, and trained one after
the other, the fastest first, until one is good enough on the validation events. This one is scored once on test events,
and held against zuko's masked autoregressive flow of the paper's size: ten blocks of 128-128.

The baseline has neither correlated nor asymmetric responses, so that a model of location and width is enough; the
candidates that also bend shapes and correlate, as the default preset does, are in the list with their rates.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.judging import log_density
from castalia.data.features import FeatureArrays, Features
from castalia.detectors.photon_response import PhotonResponse
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Events
from castalia.estimators.flows.flow import NormalizingFlow
from castalia.estimators.registry import build, preset
from castalia.metrics.density import kl_per_event
from castalia.rng import Stream
from castalia.runs.configuration import TRAINING_OTHERWISE
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit
from diphoton_sample import bound_of, diphoton_arrays, diphoton_features, judged_sample, training_batch
from peer_samplers import zuko_flow
from record import Goal, add_row, load_rows, write_result
from sampling_rates import CORES, Contender, best_rate, race

GOOD, WANTED = 0.01, 50.0  # nat, and times zuko's rate
RESPONSE = PhotonResponse("baseline")
OUR_BATCHES = (16_384, 65_536, 262_144)
PEER_BATCHES, PEER_SHARED = (1_024, 2_048, 4_096, 8_192, 16_384), (True, False)
# Beside other work torch's own threads wait for each other without end.
QUICK_BATCHES, QUICK_SHARED = (4_096, 16_384), (True,)
PATHS = [
    *(f"src/castalia/{part}" for part in ("rng.py", "nn", "detectors", "processes", "estimators", "training")),
    *(f"benchmarks/{part}.py" for part in ("sampling_at_equal_quality", "sampling_rates", "peer_samplers")),
    "benchmarks/diphoton_sample.py",
]


def _flow(hidden: list[int], **options: Any) -> tuple[str, dict[str, Any]]:
    common = {"blocks": 1, "hidden": hidden, "affine_hidden": [], "embedding_bins": 48, "univariate": "affine"}
    return "masked_autoregressive_flow", {**common, **options}


CANDIDATES: dict[str, tuple[str, dict[str, Any]]] = {
    "affine 8": _flow([8]),
    "affine 16": _flow([16]),
    "affine 16-16": _flow([16, 16]),
    "affine 24-24": _flow([24, 24]),
    "affine 24-24 after 24": _flow([24, 24], affine_hidden=[24]),
    "affine 32-32": _flow([32, 32]),
    "spline 16-16, 4 bins": _flow([16, 16], univariate="affine_spline", bins=4),
    "spline 24-24, 4 bins": _flow([24, 24], univariate="affine_spline", bins=4),
    "spline 32-32": _flow([32, 32], univariate="affine_spline"),
    "two couplings 16-16, 4 bins": (
        "coupling_spline_flow",
        {"blocks": 2, "hidden": [16, 16], "affine_hidden": [], "embedding_bins": 48, "bins": 4},
    ),
    "preset compact": preset("compact"),
}


@dataclass(frozen=True)
class Plan:
    """What is measured under one name."""

    name: str
    candidates: tuple[str, ...]
    training: int
    validation: int
    test: int
    seconds: float
    rounds: int
    attempts: int
    good: float
    wanted: float


FULL = Plan("sampling_at_equal_quality", tuple(CANDIDATES), 1_000_000, 125_000, 500_000, 2.0, 9, 3, GOOD, WANTED)
QUICK = Plan(
    "sampling_at_equal_quality_quick", ("affine 16-16", "preset compact"), 100_000, 20_000, 50_000, 0.3, 5, 1, 0.1, 10.0
)


@dataclass(frozen=True)
class Chosen:
    """A model that is good enough."""

    name: str
    model: NormalizingFlow


def _model(name: str, features: Features) -> NormalizingFlow:
    model = build(*CANDIDATES[name], features.layout, 1)
    if not isinstance(model, NormalizingFlow):
        raise TypeError(f"{name} is no normalizing flow")
    return model


def _events(features: Features, events: int, seed: int) -> FeatureArrays:
    return diphoton_arrays(features, RESPONSE, events, seed)


def _judged(features: Features, arrays: FeatureArrays, model: NormalizingFlow) -> JudgedEvents:
    return judged_sample(features, RESPONSE, arrays, 1, bound_of(model, len(features.layout.target)))


def _divergence(model: NormalizingFlow, events: JudgedEvents) -> tuple[float, float]:
    """Return the KL divergence per event and its standard error."""
    found = kl_per_event(events.true_log_density(events.target), log_density(model, events, events.target))
    return found.value, found.error


def _contender(model: NormalizingFlow, conditions: torch.Tensor) -> Contender:
    rng = Stream(1, "draws").at()
    return Contender(lambda c: model.sample(Events(c), 1, rng), conditions, OUR_BATCHES, (False,))


def _rates(plan: Plan, features: Features, arrays: FeatureArrays) -> dict[str, float]:
    """Return the rate of every candidate, prepared but untrained, the fastest first."""
    conditions, rates = events_from_array(arrays.condition).flat, {}
    for name in plan.candidates:
        model = _model(name, features)
        model.prepare([training_batch(arrays, bound_of(model, len(features.layout.target)))])
        rates[name] = best_rate(_contender(model, conditions), plan.seconds)
    return dict(sorted(rates.items(), key=lambda one: -one[1]))


def choose(plan: Plan, features: Features, rates: Mapping[str, float]) -> Chosen | None:
    """Train the candidates, the fastest first, until one is good enough on validation events with two errors to spare.

    Those that were found wanting are rows of the result, and not trained again.
    """
    begin, training, validation = time.monotonic(), *(_events(features, n, s) for s, n in _made(plan)[:2])
    for name, rate in rates.items():
        row = load_rows(plan.name, PATHS).get(name)
        if row is not None and not row["good"]:
            continue
        model = _model(name, features)
        bound = bound_of(model, len(features.layout.target))
        settings = TrainingConfig(**TRAINING_OTHERWISE, seed=1)
        fit(model, training_batch(training, bound), training_batch(validation, bound), settings)
        value, error = _divergence(model, _judged(features, validation, model))
        row = {"kl_validation": value, "error": error, "rate_untrained": rate, "good": value + 2 * error <= plan.good}
        add_row(plan.name, name, row, paths=PATHS, seconds=time.monotonic() - begin)
        if row["good"]:
            return Chosen(name, model)
    return None


def _made(plan: Plan) -> list[tuple[int, int]]:
    """Return seed and number of the training, validation and test events."""
    return list(enumerate((plan.training, plan.validation, plan.test), start=11))


def _zuko(plan: Plan, conditions: torch.Tensor, features: Features) -> Contender:
    name, options = preset("paper")
    paper = build(name, options, features.layout, 1)
    if not isinstance(paper, NormalizingFlow):
        raise TypeError("the preset 'paper' is no normalizing flow")
    flow = zuko_flow(paper.chain)
    scaled = (conditions - conditions.mean(0)) / conditions.std(0)
    batches, shared = (PEER_BATCHES, PEER_SHARED) if plan is FULL else (QUICK_BATCHES, QUICK_SHARED)
    return Contender(lambda c: flow(c).sample(), scaled, batches, shared)


def measure(plan: Plan) -> tuple[dict[str, Any], list[Goal]]:
    """Choose, score on test events, and hold against zuko."""
    features = diphoton_features()
    rates = _rates(plan, features, _events(features, 20_000, 10))
    values: dict[str, Any] = {"rates_of_candidates": rates, "model": None, "kl_per_event": None, "ratio_zuko": None}
    kl = error = ratio = ratio_error = None
    chosen = choose(plan, features, rates)
    if chosen is not None:
        ((seed, events),) = _made(plan)[2:]
        kl, error = _divergence(chosen.model, _judged(features, _events(features, events, seed), chosen.model))
        conditions = events_from_array(_events(features, max(OUR_BATCHES), 14).condition).flat
        contenders = {"castalia": _contender(chosen.model, conditions), "zuko": _zuko(plan, conditions, features)}
        found = race(contenders, plan.seconds, plan.rounds, plan.attempts)
        ratio, ratio_error = found.ratios["zuko"]
        values |= {"model": chosen.name, "options": CANDIDATES[chosen.name][1], **found.rates, **found.described()}
        values |= {"kl_per_event": kl, "ratio_zuko": ratio}
    return values, [
        Goal(
            "sampling at equal quality, ours / zuko's paper flow", ratio, ">=", plan.wanted, ratio_error, "zuko", ratio
        ),
        Goal("KL per event of that model [nat]", kl, "<=", plan.good, error),
    ]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="at most two minutes, with smaller claims")
    plan = QUICK if parser.parse_args().quick else FULL
    begin = time.monotonic()
    torch.set_num_threads(CORES)
    values, goals = measure(plan)
    write_result(plan.name, values=values, goals=goals, paths=PATHS, seeds=[1], seconds=time.monotonic() - begin)


if __name__ == "__main__":
    main()
