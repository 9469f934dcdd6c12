"""``castalia demo unfold``: top-quark pairs, a posterior of their six partons, fresh events unfolded, a report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from castalia.cli.console import StepProgress
from castalia.cli.demo_steps import DemoSteps, say
from castalia.errors import CastaliaError

__all__ = ["demo_unfold"]

CONFIG = """\
# The truth behind semi-leptonic top-quark pairs: six particles before their radiation, and the sums of them.
# To unfold your own, change the file names and the columns; docs/unfold.md explains every key.
[data]
files = ["ttbar.parquet"]
selection = "semileptonic"               # one lepton, four jets, two of them b-tagged

[condition]                              # measured once an event
met_pt = {{ column = "met_pt", unit = "GeV", transform = "log" }}
met_phi = {{ column = "met_phi", unit = "rad", transform = "angle" }}

[lists.jet]                              # measured objects, however many
pt = {{ column = "jet_pt", unit = "GeV", transform = "log" }}
eta = {{ column = "jet_eta" }}
phi = {{ column = "jet_phi", unit = "rad", transform = "angle" }}
mass = {{ column = "jet_mass", unit = "GeV" }}
btag = {{ column = "jet_btag" }}

[lists.electron]
pt = {{ column = "electron_pt", unit = "GeV", transform = "log" }}
eta = {{ column = "electron_eta" }}
phi = {{ column = "electron_phi", unit = "rad", transform = "angle" }}
charge = {{ column = "electron_charge" }}

[lists.muon]
pt = {{ column = "muon_pt", unit = "GeV", transform = "log" }}
eta = {{ column = "muon_eta" }}
phi = {{ column = "muon_phi", unit = "rad", transform = "angle" }}
charge = {{ column = "muon_charge" }}

[truth]
coordinates = "decay_tree"               # masses and sums close exactly
resonances = ["t_lep", "t_had"]
frame = ["electron", "muon"]             # azimuths are relative to the leading one, of the first list that has any
anchor = "lepton"                        # the particle that it is: what is drawn has its momentum within the resolution
defined = "parton_complete"              # where it is 0 the event has no such truth: it is not learned from

[truth.particles]                        # columns parton_b_lep_pt, _eta, _phi, _mass and so on
b_lep = "parton_b_lep"
lepton = "parton_lepton"
neutrino = "parton_neutrino"
b_had = "parton_b_had"
q_up = "parton_q_up"
q_down = "parton_q_down"

[truth.measured_as]                      # which jet each of them is, if any, is drawn first
b_lep = "jet"
b_had = "jet"
q_up = "jet"
q_down = "jet"

[truth.composites]
w_lep = ["lepton", "neutrino"]
w_had = ["q_up", "q_down"]
t_lep = ["b_lep", "w_lep"]
t_had = ["b_had", "w_had"]
ttbar = ["t_lep", "t_had"]

[model]
preset = "unfold_flow_matching"

[training]
epochs = {epochs}
batch_size = 256                         # few events are selected: small batches make enough steps of them
seed = {seed}
"""


@dataclass(frozen=True)
class _Size:
    training: int
    fresh: int
    epochs: int
    draws: int
    expected: tuple[float, float, float, float, float]  # seconds of each step on two cores


FULL = _Size(120_000, 60_000, 20, 60, (110, 55, 110, 20, 60))
QUICK = _Size(24_000, 20_000, 12, 40, (22, 20, 25, 5, 30))


def demo_unfold(
    folder: Path, quick: bool, seed: int, workers: int, overwrite: bool
) -> tuple[dict[str, Any], CastaliaError | None]:
    """Generate top-quark pairs, learn the posterior of their partons, unfold fresh events and judge the result.

    Returns:
        Summary of the evaluation, and the error to raise where the quality gate fails.
    """
    from castalia.apps.unfold.evaluate import JudgeRequest, evaluate
    from castalia.apps.unfold.sample import SampleRequest, sample
    from castalia.apps.unfold.train import train
    from castalia.production.collider import ColliderRequest, generate_collider

    size = QUICK if quick else FULL
    config, run, fresh = folder / "unfold.toml", folder / "run", folder / "fresh.parquet"
    started, steps = time.monotonic(), DemoSteps(size.expected, folder)

    def generate(output: Path, events: int, seed: int, progress: StepProgress) -> None:
        request = ColliderRequest("ttbar", events, output, seed=seed, workers=workers, overwrite=overwrite)
        generate_collider(request, progress)

    with steps.step(f"Generate {size.training} top-quark pairs by Pythia, seen by a detector", "pairs") as progress:
        generate(folder / "ttbar.parquet", size.training, seed, progress)
    with steps.step(f"Generate {size.fresh} more, with another seed, in the place of data", "data") as progress:
        generate(fresh, size.fresh, seed + 1, progress)
    config.write_text(CONFIG.format(epochs=size.epochs, seed=seed), encoding="utf-8")
    with steps.step(f"Learn the partons behind jets, lepton and missing momentum ({config})", "training") as progress:
        train(config, run, overwrite=overwrite, progress=progress)
    with steps.step("Unfold the fresh events, ten draws each", "unfolding") as progress:
        output = folder / "unfolded.parquet"
        sample(SampleRequest(run, (fresh,), output, seed=seed, workers=workers, overwrite=overwrite), progress)
    with steps.step("Judge the posterior on them, beside the truth of training events", "evaluation") as progress:
        request = JudgeRequest((run,), (fresh,), folder / "report", draws=size.draws, seed=seed, overwrite=overwrite)
        summary, failure = evaluate(request, progress)
    say(f"Open {folder / 'report' / 'report.html'} in a browser. The same steps by hand are in docs/unfold.md.")
    return {**summary, "seconds": round(time.monotonic() - started, 1)}, failure
