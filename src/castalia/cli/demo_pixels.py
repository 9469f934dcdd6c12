"""``castalia demo pixels``: background events by our own simulation, two models of them, sampled events, reports."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from castalia.cli.demo_steps import DemoSteps, say
from castalia.errors import CastaliaError

__all__ = ["demo_pixels"]

CONFIG = """\
# Beam background in the pixel detector, learned from {events} events of our own simulation, which is not Geant4.
# To learn your own, change the file names and the columns; docs/pixels.md explains every key.
[data]
files = ["background.parquet"]           # lists of hits are found by their names

[condition]                              # what is known of an event before it is taken; at least one
luminosity = {{ column = "luminosity" }}
current_her = {{ column = "current_her" }}
current_ler = {{ column = "current_ler" }}
pressure = {{ column = "pressure" }}
synchrotron = {{ column = "synchrotron" }}

[model]
{model}

[training]
epochs = {epochs}
batch_size = 8                           # events of 70,000 hits
seed = {seed}
"""


@dataclass(frozen=True)
class _Size:
    events: int
    fresh: int
    epochs: int
    expected: tuple[float, ...]  # seconds of each step on two cores


FULL = _Size(events=500, fresh=200, epochs=15, expected=(17, 7, 75, 27, 84))
QUICK = _Size(events=160, fresh=80, epochs=15, expected=(4, 3, 25, 10, 25))

ARMS: Final = (
    ("baseline", 'preset = "negative_binomial_clusters"', "Count hits and keep clusters: the baseline"),
    ("run", 'preset = "yoneda"', "Learn sensors as sets of hits, and their relations"),
)
"""Folder, section ``[model]`` and what it is of each run; the last is sampled, all are judged, but for a quick demo."""


def demo_pixels(
    folder: Path, quick: bool, seed: int, workers: int, overwrite: bool
) -> tuple[dict[str, Any], CastaliaError | None]:
    """Generate background events, learn them in two ways, sample the second, and judge them on fresh events.

    Returns:
        Summary of the evaluation of the second, and no error.
    """
    from castalia.apps.pixels.evaluate import EvaluateRequest, evaluate
    from castalia.apps.pixels.sample import SampleRequest, sample
    from castalia.apps.pixels.train import TrainRequest, train
    from castalia.production.pxd import PxdRequest, generate_pxd

    size = QUICK if quick else FULL
    data, fresh = folder / "background.parquet", folder / "fresh.parquet"
    started, steps = time.monotonic(), DemoSteps(size.expected, folder)

    what = f"Generate {size.events + size.fresh} background events at scattered luminosities, not by Geant4"
    with steps.step(what, "background events") as progress:
        for number, (output, events) in enumerate({data: size.events, fresh: size.fresh}.items()):
            knobs = {"luminosity": (0.5, 1.0)}
            generate_pxd(PxdRequest(events, output, knobs, seed + number, workers, overwrite=overwrite), progress)

    for name, model, what in ARMS:
        config = folder / f"{name}.toml"
        text = CONFIG.format(events=size.events, model=model, epochs=size.epochs, seed=seed)
        config.write_text(text, encoding="utf-8")
        with steps.step(f"{what} ({config})", name) as progress:
            train(TrainRequest(config, folder / name, overwrite=overwrite), progress)

    run, output = folder / ARMS[-1][0], folder / "sampled.root"
    with steps.step("Sample an event for each fresh one, in basf2's terms", "sampling") as progress:
        request = SampleRequest(run, (fresh,), output, seed=seed, workers=workers, overwrite=overwrite)
        sample(request, progress)

    judged = ARMS[-1:] if quick else ARMS
    with steps.step(f"Judge {' and '.join(name for name, *_ in judged)} on the fresh events", "evaluating") as progress:
        for name, *_ in judged:
            sampled = output if name == ARMS[-1][0] else None
            judging = EvaluateRequest(
                folder / name, (fresh,), folder / f"report_{name}", sampled, seed=seed, overwrite=overwrite
            )
            summary = evaluate(judging, progress)
    say(f"The sampled events are {output}; open {summary['report']} in a browser.")
    say("The same steps by hand are in docs/pixels.md.")
    return {**summary, "sampled": str(output), "seconds": round(time.monotonic() - started, 1)}, None
