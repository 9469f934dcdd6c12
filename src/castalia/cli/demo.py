"""``castalia demo``: the whole way, from Pythia events to a report, with what each step does and how long it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from castalia.cli.console import duration, error_console, print_result, step_progress
from castalia.cli.options import Json, Overwrite, SeedOption, Workers

__all__ = ["demo"]

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


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for everything the demo makes.")
    ],
    application: Annotated[str, typer.Argument(help="What to show: simulate.")] = "simulate",
    quick: Annotated[bool, typer.Option("--quick", help="Fewer events: under two minutes instead of eight.")] = False,
    process: Annotated[str, typer.Option(help="ttH or ggH by Pythia 8, or toy, which needs no Pythia.")] = "ttH",
    seed: SeedOption = 1,
    workers: Workers = 2,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Generate Pythia events, learn the detector's response, sample it and judge the result.

    Example: castalia demo --quick -o demo
    """
    from castalia.errors import ConfigError

    if application != "simulate":
        raise ConfigError(f"There is no demo of {application!r}; known: simulate.")
    _simulate(output, QUICK if quick else FULL, process, seed, workers, overwrite, json)


def _simulate(folder: Path, size: _Size, process: str, seed: int, workers: int, overwrite: bool, json: bool) -> None:
    from castalia.apps.simulate.evaluate import EvaluateRequest, evaluate
    from castalia.apps.simulate.sample import SampleRequest, sample
    from castalia.apps.simulate.train import train
    from castalia.errors import ConfigError
    from castalia.production.diphoton import DiphotonRequest, generate_diphoton

    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder for the demo.")
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise ConfigError(f"{folder} is not empty; choose another folder or pass --overwrite.")
    folder.mkdir(parents=True, exist_ok=True)
    data, config, run = folder / "diphoton.root", folder / "diphoton.toml", folder / "run"
    started = time.monotonic()
    _say(f"The demo takes about {duration(sum(size.expected))} on two cores and writes everything to {folder}.")

    _announce(1, f"Generate {size.events} {process} events and their reconstructed photons", size.expected[0])
    with step_progress(f"{process} events") as progress:
        request = DiphotonRequest(
            process=process, events=size.events, output=data, seed=seed, workers=workers, overwrite=overwrite
        )
        generate_diphoton(request, progress)

    config.write_text(CONFIG.format(events=size.events, epochs=size.epochs, seed=seed), encoding="utf-8")
    _announce(2, f"Learn the response p(reconstructed | true) with a normalizing flow ({config})", size.expected[1])
    with step_progress("training") as progress:
        train(config, run, overwrite=overwrite, progress=progress)

    _announce(3, "Sample the learned response for every true event, file to file", size.expected[2])
    with step_progress("sampling") as progress:
        sampling = SampleRequest(
            run=run, files=(data,), output=folder / "sampled.root", seed=seed, workers=workers, overwrite=overwrite
        )
        sample(sampling, progress)

    _announce(4, "Judge it on events that the training never saw, beside parametric smearing", size.expected[3])
    with step_progress("evaluating") as progress:
        request_ = EvaluateRequest(run=run, files=(data,), output=folder / "report", seed=seed, overwrite=overwrite)
        summary, failure = evaluate(request_, progress)
    print_result({**summary, "seconds": round(time.monotonic() - started, 1)}, json)
    _say(f"Open {folder / 'report' / 'report.html'} in a browser. The same steps by hand are in docs/quickstart.md.")
    if failure is not None:
        raise failure


def _announce(number: int, what: str, seconds: float) -> None:
    _say(f"[{number}/4] {what} (about {duration(seconds)})")


def _say(text: str) -> None:
    error_console().print(text, markup=False, highlight=False)
