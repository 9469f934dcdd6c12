"""``castalia demo simulate``: Pythia events, a detector response, a trained model, a sampled file and a report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from castalia.cli.demo_steps import DemoSteps, say
from castalia.errors import CastaliaError

__all__ = ["demo_simulate"]

CONFIG = """\
# The response of a pair of photons, learned from {events} H → γγ events. To learn your own, change the file names,
# the tree and the columns; docs/simulate.md explains every key.
[data]
files = ["diphoton.root"]
tree = "events"
weight = "weight"

[objects]
collection = "photon"
take = 2
order_by = "photon_et_true"

[condition]
et = {{ column = "photon_et_true", unit = "GeV", transform = "log" }}
eta = {{ column = "photon_eta_true" }}
mu = {{ column = "mu", per = "event" }}

[target]
et = {{ column = "photon_et", minus = "photon_et_true", unit = "GeV", scale = 20.0 }}
eta = {{ column = "photon_eta", minus = "photon_eta_true", scale = 0.005 }}
phi = {{ column = "photon_phi", minus = "photon_phi_true", unit = "rad", wrap = true, scale = 0.01 }}

[model]
preset = "compact"

[training]
epochs = {epochs}
seed = {seed}
"""


@dataclass(frozen=True)
class _Size:
    events: int
    epochs: int
    expected: tuple[float, float, float, float]  # seconds of generate, train, sample, evaluate on two cores


FULL = _Size(events=300_000, epochs=15, expected=(70, 45, 5, 40))
QUICK = _Size(events=60_000, epochs=12, expected=(20, 15, 5, 20))


def demo_simulate(
    folder: Path, quick: bool, process: str, seed: int, workers: int, overwrite: bool
) -> tuple[dict[str, Any], CastaliaError | None]:
    """Generate events, learn the response, sample it and judge the result.

    Returns:
        Summary of the evaluation, and the error to raise where its gate fails.
    """
    from castalia.apps.simulate.evaluate import EvaluateRequest, evaluate
    from castalia.apps.simulate.sample import SampleRequest, sample
    from castalia.apps.simulate.train import train
    from castalia.production.diphoton import DiphotonRequest, generate_diphoton

    size = QUICK if quick else FULL
    data, config, run = folder / "diphoton.root", folder / "diphoton.toml", folder / "run"
    started, steps = time.monotonic(), DemoSteps(size.expected, folder)

    with steps.step(
        f"Generate {size.events} {process} events and their reconstructed photons", f"{process} events"
    ) as progress:
        request = DiphotonRequest(
            process=process, events=size.events, output=data, seed=seed, workers=workers, overwrite=overwrite
        )
        generate_diphoton(request, progress)

    config.write_text(CONFIG.format(events=size.events, epochs=size.epochs, seed=seed), encoding="utf-8")
    with steps.step(
        f"Learn the response p(reconstructed | true) with a normalizing flow ({config})", "training"
    ) as progress:
        train(config, run, overwrite=overwrite, progress=progress)

    with steps.step("Sample the learned response for every true event, file to file", "sampling") as progress:
        sampling = SampleRequest(
            run=run, files=(data,), output=folder / "sampled.root", seed=seed, workers=workers, overwrite=overwrite
        )
        sample(sampling, progress)

    with steps.step(
        "Judge it on events that the training never saw, beside parametric smearing", "evaluating"
    ) as progress:
        request_ = EvaluateRequest(run=run, files=(data,), output=folder / "report", seed=seed, overwrite=overwrite)
        summary, failure = evaluate(request_, progress)
    say(f"Open {folder / 'report' / 'report.html'} in a browser. The same steps by hand are in docs/quickstart.md.")
    return {**summary, "seconds": round(time.monotonic() - started, 1)}, failure
