"""Seconds a full pixel event, and memory, of the set models: ``python benchmarks/pixels_speed.py [--quick]``.

A full event has 7.68 million pixels, about 70,000 of them hit. Memory is the largest that the process ever held, read
while events are drawn and dropped.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np
import torch

from castalia.estimators.base import Events
from castalia.rng import Stream
from pixels_events import CONDITIONS, say, simulated, trained_model
from record import Goal, write_result

PATHS = [
    "src/castalia/estimators/pixels",
    *(f"benchmarks/pixels_{part}.py" for part in ("events", "speed")),
]
MODELS = ("negative_binomial_clusters", "superposition", "set_vae", "yoneda")
TIMED = 25


def largest_memory() -> float:
    """Return the largest memory that this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def seconds_an_event(model: Any) -> dict[str, float]:
    """Return the median time of drawing one event at the reference, after a warm-up, and its number of hits."""
    condition, stream, times, hits = Events(torch.ones(1, len(CONDITIONS))), Stream(1, "pixel speed"), [], 0
    for number in range(TIMED + 2):
        begin = time.perf_counter()
        hits = next(iter(model.sample(condition, 1, stream.at(number)).objects.values())).mask.sum().item()
        times.append(time.perf_counter() - begin)
    return {"seconds": float(np.median(times[2:])), "slowest": float(np.max(times[2:])), "hits": hits}


def memory_while_drawing(model: Any, events: int) -> dict[str, float]:
    """Return the largest memory in MiB after 100 events, and after ``events``."""
    condition, stream = Events(torch.ones(2, len(CONDITIONS))), Stream(2, "pixel speed")
    found = {}
    for number in range(events // 2):
        model.sample(condition, 1, stream.at(number))
        if number + 1 in (50, events // 2):
            found[str(2 * number + 2)] = largest_memory()
    return found


def main() -> None:
    """Train briefly, draw, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    began, events = time.monotonic(), 400 if quick else 10_000
    train = simulated(40, 0.5, 1.0, "training")
    rows: dict[str, Any] = {}
    for name in MODELS:
        model = trained_model(name, train, 1, 1)
        rows[name] = seconds_an_event(model)
        say(f"{name:30s} {rows[name]['seconds']:.4f} s for {rows[name]['hits']} hits")
    memory = memory_while_drawing(model, events)  # of the last, YonedaVAE
    growth = memory[str(events)] / memory["100"] - 1.0
    say(f"memory: {memory}")
    goals = [
        *(Goal(f"seconds of a full event, {one}", rows[one]["seconds"], "<=", 0.1) for one in ("set_vae", "yoneda")),
        Goal(f"growth of the largest memory from 100 to {events} events", growth, "<=", 0.05),
    ]
    write_result(
        "pixels_speed_quick" if quick else "pixels_speed",
        values={"events": rows, "memory_mib": memory},
        goals=goals,
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)  # nothing in it is large enough to be shared by two
    main()
