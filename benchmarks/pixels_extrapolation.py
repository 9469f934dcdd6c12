"""Beyond the luminosities of the training: pixel events at 1.5, 2 and 3 from models trained at 0.5 to 1.

``python benchmarks/pixels_extrapolation.py [--quick]``. Every model draws events from the machine's conditions alone,
and, where it can, given the true number of hits of each sensor. Truth against truth stands beside. A set VAE without
relations is there twice, as published and with YonedaVAE's law of the rates, so that law and relations are told apart.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

import torch

from castalia.apps.pixels.config import ARRAY
from castalia.estimators.base import Batch, Events, Sampler
from castalia.estimators.pixels.hits import Hits, hits_of
from castalia.rng import Stream
from pixels_events import say, simulated, trained_model
from pixels_extrapolation_measures import Summary, compared, goals_of
from record import add_row, load_rows, write_result

PATHS = [
    *(f"src/castalia/{one}" for one in ("detectors/pxd", "estimators/pixels", "metrics/pixels")),
    *(f"benchmarks/pixels_{part}.py" for part in ("events", "extrapolation", "extrapolation_measures")),
]
MODELS: Final = {
    "negative_binomial_clusters": ("negative_binomial_clusters", {}, 1),
    "negative_binomial_common_mode": ("negative_binomial_common_mode", {}, 1),
    "superposition": ("superposition", {}, 1),
    "set_vae": ("set_vae", {}, 3),
    "set_vae_additive": ("set_vae", {"law": "additive"}, 1),
    "yoneda": ("yoneda", {}, 3),
}
"""Preset, options and number of seeds of each: those that are fitted and not trained have no other."""


def drawn(model: Any, events: Batch, given: bool, seed: int) -> list[Hits]:
    """Draw one event for each, one at a time, as an application does."""
    made, stream = [], Stream(seed, "pixel extrapolation", "given" if given else "attributes")
    counts = hits_of(events.target).counts(ARRAY.sensors).numpy()
    for row in range(len(events)):
        condition: Events = events.condition.map(lambda values, at=row: values[at : at + 1])  # type: ignore[misc]
        rng = stream.at(row)
        one = model.sample_given(condition, counts[row : row + 1], rng) if given else model.sample(condition, 1, rng)
        made.append(hits_of(one))
    return made


def measured(model: Sampler, tests: dict[str, Batch], seed: int) -> dict[str, Any]:
    """Return what is found at each luminosity, and how long an event takes at the reference's double."""
    row: dict[str, Any] = {}
    for mode in ("attributes", "given"):
        if mode == "given" and not hasattr(model, "sample_given"):
            continue
        row[mode] = {}
        for luminosity, events in tests.items():
            begin = time.monotonic()
            hits = drawn(model, events, mode == "given", seed)
            seconds = (time.monotonic() - begin) / len(events)
            true = Summary.of([hits_of(events.target)], ARRAY.sensors)
            found = compared(Summary.of(hits, ARRAY.sensors), true)
            row[mode][luminosity] = {**found, "seconds_per_event": seconds}
    return row


def floor(events: int, tests: dict[str, Batch]) -> dict[str, Any]:
    """Return the measures of truth against other truth."""
    found = {}
    for name, batch in tests.items():
        other = simulated(events, float(name), float(name), f"floor {name}")
        both = [Summary.of([hits_of(one.target)], ARRAY.sensors) for one in (other, batch)]
        found[name] = compared(*both)
    return found


def main() -> None:
    """Simulate, train, draw, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    name, began = "pixels_extrapolation_quick" if quick else "pixels_extrapolation", time.monotonic()
    training, testing, epochs = (100, 20, 4) if quick else (600, 100, 20)
    train = simulated(training, 0.5, 1.0, "training")
    luminosities = ("2",) if quick else ("1", "1.5", "2", "3")
    tests = {one: simulated(testing, float(one), float(one), f"test {one}") for one in luminosities}
    rows = load_rows(name, PATHS)
    for model_name, (preset, options, seeds) in MODELS.items():
        for seed in range(1, (1 if quick else seeds) + 1):
            key = f"{model_name} {seed}"
            if key in rows:
                continue
            start = time.monotonic()
            model: Any = trained_model(preset, train, epochs, seed, options=options)
            took = time.monotonic() - start
            rows[key] = {"model": model_name, "training_seconds": took, **measured(model, tests, seed)}
            add_row(name, key, rows[key], paths=PATHS, seconds=time.monotonic() - began)
            at = rows[key]["attributes"]["2"]
            say(
                f"{key:34s} {took:6.1f} s  bias at 2 {at['count_bias']:+.3f}  W1 {at['charge_w1']:.2f}  variance ratio "
                f"{at['variance_ratio']:.1f} ({at['variance_ratio_true']:.1f})  {at['seconds_per_event']:.3f} s/event"
            )
    write_result(
        name,
        values={"rows": rows, "truth": floor(testing, tests), "training_events": training, "test_events": testing},
        goals=goals_of(rows, quick),
        paths=PATHS,
        seeds=[1] if quick else [1, 2, 3],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
