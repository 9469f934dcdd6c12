"""Does the intra-event aware GAN learn images of all pixels? ``python benchmarks/pixels_gpu.py [--quick]``, with a GPU.

The full preset learns on the GPU from events at the reference, and is judged on unseen ones by the measures of
``pixels_relational.py``, beside other true events. It draws on the GPU too, with noise from the processor. ``--quick``
trains the tiny preset on the processor, and claims only that occupancies come out right.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch

from castalia.apps.pixels.events import from_events
from castalia.rng import Stream
from pixels_events import simulated, trained_model
from pixels_relational import PATHS as RELATIONAL_PATHS
from pixels_relational_measures import measures
from record import Goal, write_result

PATHS = ["benchmarks/pixels_gpu.py", *RELATIONAL_PATHS]


@dataclass(frozen=True)
class Plan:
    """Size of the measurement.

    Attributes:
        name: Name of the result.
        preset: What is trained.
        device: Where.
        train: Training events, one in ten of which selects the best epoch.
        test: Events to judge on.
        epochs: Passes over the training events.
        bias: Largest occupancy bias that is claimed.
    """

    name: str
    preset: str
    device: str
    train: int
    test: int
    epochs: int
    bias: float


# 450 events are 9,000 steps of each network in 20 epochs: as many as the 15 minutes of a lent machine allow.
FULL_SIZE = Plan("pixels_gpu", "iea_gan_full", "cuda", 500, 200, 20, 0.03)
QUICK_SIZE = Plan("pixels_gpu_quick", "iea_gan_tiny", "cpu", 40, 20, 3, 0.1)


def main() -> None:
    """Train, judge, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    plan = QUICK_SIZE if parser.parse_args().quick else FULL_SIZE
    began, held_out = time.monotonic(), plan.train // 10
    events, tested, other = (
        simulated(size, 1.0, 1.0, f"gpu {purpose}")
        for size, purpose in ((plan.train, "train"), (plan.test, "test"), (plan.test, "floor"))
    )
    rows, made = torch.arange(plan.train), time.monotonic()
    gan = trained_model(
        plan.preset,
        events.take(rows >= held_out),
        plan.epochs,
        1,
        validation=events.take(rows < held_out),
        device=plan.device,
    )
    trained = time.monotonic()
    given = tested.condition.map(lambda values: values.to(plan.device))
    sample = gan.to(plan.device).sample(given, 1, Stream(1, "gpu draws").at())  # a processor takes 36 s an event
    drawn = from_events(sample.map(lambda values: values.cpu()))
    sampled, truth = time.monotonic(), from_events(tested.target)
    found = measures(drawn, truth)
    write_result(
        plan.name,
        values={
            "gan": found,
            "truth": measures(from_events(other.target), truth),
            "training_seconds": trained - made,
            "seconds_an_event": (sampled - trained) / plan.test,
            "device": torch.cuda.get_device_name() if plan.device == "cuda" else "cpu",
        },
        goals=[Goal("|occupancy bias|", abs(found["occupancy_bias"]), "<=", plan.bias)],
        paths=PATHS,
        seeds=[1],
        seconds=time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
