"""Seconds a full pixel event, and memory, of the models of pixels: ``python benchmarks/pixels_speed.py [--quick]``.

A full event has 7.68 million pixels, about 70,000 of them hit. Memory is what the process holds, read after every
event while events are drawn and dropped; what it held at most while it drew the first hundred is compared to what it
held at most in all. The models have learned for one pass over a few events: neither depends on how well they learned.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Final

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
LIMITS: Final = {
    "negative_binomial_clusters": None,
    "superposition": None,
    "set_vae": 0.1,
    "yoneda": 0.1,
    "iea_gan_small": 1.0,
}
"""Seconds that a full event may take, by model."""
DRAWN: Final = {"yoneda": 10_000, "iea_gan_small": 1_000}
"""Events over which memory may not grow."""
QUICK_EVENTS: Final = 200
FIRST_EVENTS: Final = 100
"""Events whose memory all the others' is compared to."""
TIMED: Final = 25


def memory_held() -> float:
    """Return the memory that this process holds, in MiB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024.0


def seconds_an_event(model: Any) -> dict[str, float]:
    """Return the median time of drawing one event at the reference, after a warm-up, and its number of hits."""
    condition, stream, times, hits = Events(torch.ones(1, len(CONDITIONS))), Stream(1, "pixel speed"), [], 0
    for number in range(TIMED + 2):
        begin = time.perf_counter()
        hits = next(iter(model.sample(condition, 1, stream.at(number)).objects.values())).mask.sum().item()
        times.append(time.perf_counter() - begin)
    return {"seconds": float(np.median(times[2:])), "slowest": float(np.max(times[2:])), "hits": hits}


def memory_while_drawing(model: Any, events: int) -> dict[str, float]:
    """Return the largest memory in MiB while the first 100 events were drawn, and in all."""
    condition, stream = Events(torch.ones(1, len(CONDITIONS))), Stream(2, "pixel speed")
    held = []
    for number in range(events):
        model.sample(condition, 1, stream.at(number))
        held.append(memory_held())
    return {str(FIRST_EVENTS): max(held[:FIRST_EVENTS]), str(events): max(held)}


def main() -> None:
    """Train briefly, draw, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    began = time.monotonic()
    train = simulated(40, 0.5, 1.0, "training")
    rows: dict[str, Any] = {}
    goals = []
    for name, limit in LIMITS.items():
        model = trained_model(name, train, 1, 1)
        rows[name] = seconds_an_event(model)
        if limit is not None:
            goals.append(Goal(f"seconds of a full event, {name}", rows[name]["seconds"], "<=", limit))
        if name in DRAWN:
            events = QUICK_EVENTS if quick else DRAWN[name]
            memory = memory_while_drawing(model, events)
            growth = memory[str(events)] / memory[str(FIRST_EVENTS)] - 1.0
            goals.append(
                Goal(f"growth of the memory from {FIRST_EVENTS} to {events} events, {name}", growth, "<=", 0.05)
            )
            rows[name]["memory_mib"] = memory
        say(f"{name:30s} {rows[name]}")
    write_result(
        "pixels_speed_quick" if quick else "pixels_speed",
        values={"events": rows},
        goals=goals,
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)  # nothing in it is large enough to be shared by two
    main()
