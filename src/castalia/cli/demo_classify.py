"""``castalia demo classify``: heavy Higgs bosons among top-quark pairs, without and with decays and a pre-training."""

from __future__ import annotations

import glob
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from castalia.cli.demo_steps import DemoSteps, say
from castalia.errors import CastaliaError, DataError

if TYPE_CHECKING:
    from castalia.production.collider import ColliderRequest

__all__ = ["demo_classify"]

_OBJECTS = """\
[objects.lepton]                         # types of objects, in order; an event may lack any
collections = ["electron", "muon"]
take = 1

[objects.b_jet]
collections = ["jet"]
where = {{ jet_btag = 1 }}
take = 2

[objects.light_jet]
collections = ["jet"]
where = {{ jet_btag = 0 }}
take = 2

[objects.met]
columns = {{ pt = "met_pt", phi = "met_phi" }}
"""

_TRAINING = """
[training]
epochs = {epochs}
batch_size = {batch_size}                # few events are selected: small batches make enough steps of them
learning_rate = 1e-3
seed = {seed}
"""

CONFIG = f"""\
# Which process made an event: pairs of top quarks, or a heavy Higgs boson that decays like them.
# To classify your own, change the file names and the columns; docs/classify.md explains every key.
[data]
weight = "weight"
selection = "semileptonic"               # one lepton, four jets, two of them b-tagged

[classes]                                # files of each; the first is the background of figures
ttbar = ["ttbar.parquet"]
heavy_higgs = ["heavy_higgs.parquet"]

{_OBJECTS}
[relations]                              # for training only: columns jet_from_w and so on number an object's ancestors
same_w = "from_w"
same_top = "from_top"
same_h = "from_h"
same_heavy = "from_heavy"

[model]
preset = "classify"
options = {{{{ decay_weight = {{decay_weight}} }}}}     # learn the relations beside the class; 0 for the class alone
{_TRAINING}"""

PRETRAINING = f"""\
# A backbone for classifiers, from events without labels: measured ones, or a mixture of processes.
# The types of objects are among those of the classifier that will begin from it, by the same names in the same order.
[data]
{{data}}{_TRAINING}"""

UNLABELLED = f"""\
files = ["unlabelled*.parquet"]
selection = "selected"                   # looser than the classifier's, so that there are many

{_OBJECTS.format()}"""

_MEASURED = """\
files = [{file}]
layout = "{layout}"                # its columns, as lists of pt, eta, phi and mass
"""

MUONS = """
[objects.lepton]                         # there is nothing else in these events
collections = ["muon"]
take = 2

[model]
options = { type_weight = 0.0 }          # of one type there is none to guess: kinematics alone are learned
"""

REAL: Final = {
    "cms-record-212": "\n" + _OBJECTS.format(),
    "cms-dimuon": MUONS,
    "cms-zmumu": 'identifiers = ["run", "event"]\n' + MUONS,
}
"""What else is declared of public sets, by the layout that reads them."""

MASSES: Final = {"m_H": 425.0, "m_Hpm": 325.0}
"""Of the signal, in GeV."""


@dataclass(frozen=True)
class _Size:
    labelled: int
    fresh: int
    unlabelled: Mapping[str, int]
    epochs: tuple[int, int]  # of the pre-training and of a training
    expected: tuple[float, ...]  # seconds of each step on two cores


FULL = _Size(
    labelled=20_000,
    fresh=24_000,
    unlabelled={"ttbar": 6_400, "singletop": 2_400, "wjets": 4_800, "zjets": 2_400},
    epochs=(15, 20),
    expected=(105, 15, 70, 36, 42, 42, 15, 25),
)
QUICK = _Size(
    labelled=6_400,
    fresh=8_000,
    unlabelled={"ttbar": 1_600, "singletop": 600, "wjets": 1_200, "zjets": 600},
    epochs=(8, 14),
    expected=(35, 5, 9, 9, 11, 11, 8, 10),
)

_ARMS: Final = (
    ("scratch", 0.0, False, "Learn the classes alone, from scratch"),
    ("decays", 1.0, False, "Learn the classes and the decays, from scratch"),
    ("pretrained", 1.0, True, "Learn the classes and the decays, from the pre-training"),
)


def demo_classify(
    folder: Path, quick: bool, seed: int, workers: int, overwrite: bool, real: Path | None = None
) -> tuple[dict[str, Any], CastaliaError | None]:
    """Generate labelled and unlabelled events, train three classifiers, compare them and judge the last one.

    Args:
        folder: Where everything is written.
        quick: Fewer events.
        seed: Seed of everything.
        workers: Processes that generate events.
        overwrite: Replace what an earlier demo left.
        real: A file of one of the public sets in ``REAL`` that is pre-trained on; a generated mixture otherwise.

    Returns:
        Summary of the comparison and the evaluation, and the error to raise where the quality gate fails.

    Raises:
        DataError: If ``real`` is no such file.
    """
    from castalia.apps.classify.compare import compare
    from castalia.apps.classify.evaluate import evaluate
    from castalia.apps.classify.judged_sample import JudgeRequest
    from castalia.production.collider import ColliderRequest

    data = UNLABELLED if real is None else _measured(real)  # what cannot be used is refused before minutes of work
    size = QUICK if quick else FULL
    expected = size.expected if real is None else (size.expected[0], *size.expected[2:])
    fresh = {name: (folder / f"fresh_{name}.parquet",) for name in ("ttbar", "heavy_higgs")}
    started, steps = time.monotonic(), DemoSteps(expected, folder)

    made = ColliderRequest("ttbar", size.labelled, folder, seed=seed, workers=workers, overwrite=overwrite)
    _generate_labelled(steps, made, size)
    if real is None:
        _generate_unlabelled(steps, made, size)
    _train(steps, folder, size, seed, overwrite, data)
    with steps.step("Compare the three on fresh events", "comparison") as progress:
        runs = tuple(folder / name for name, *_ in _ARMS)
        request = JudgeRequest(runs, fresh, folder / "compared", seed=seed, overwrite=overwrite)
        compared = compare(request, progress)
    with steps.step("Judge the last one on them", "evaluation") as progress:
        request = JudgeRequest(runs[-1:], fresh, folder / "report", seed=seed, overwrite=overwrite)
        summary, failure = evaluate(request, progress)
    pages = [folder / name / "report.html" for name in ("compared", "report")]
    say(f"Open {pages[0]} and {pages[1]} in a browser. The same steps by hand are in docs/classify.md.")
    seconds = round(time.monotonic() - started, 1)
    return {**summary, "comparison": compared["report"], "compared_auc": compared["auc"], "seconds": seconds}, failure


def _measured(real: Path) -> str:
    """Return the data and the objects of a file, by the first layout that reads it."""
    from castalia.data.readers import open_reader

    with open_reader(real):  # what cannot be read at all is refused by its reader
        pass
    for layout, declared in REAL.items():
        try:
            with open_reader(real, layout=layout):
                file = json.dumps(glob.escape(str(real.resolve())), ensure_ascii=False)
                return _MEASURED.format(file=file, layout=layout) + declared
        except DataError:
            continue
    raise DataError(
        f"{real}: is of none of the sets {', '.join(REAL)}, which the demo reads; give a file of one of them."
    )


def _generate_labelled(steps: DemoSteps, made: ColliderRequest, size: _Size) -> None:
    """Generate events of both classes, with one seed to learn from and with another to judge on."""
    from castalia.production.collider import generate_collider

    folder = made.output
    each = f"{size.labelled + size.fresh} top-quark pairs and as many heavy Higgs bosons"
    with steps.step(f"Generate {each}, some to learn from and some to judge on", "labelled events") as progress:
        for number, (name, events) in enumerate({"": size.labelled, "fresh_": size.fresh}.items()):
            pairs = replace(made, events=events, seed=made.seed + number, output=folder / f"{name}ttbar.parquet")
            generate_collider(pairs, progress)
            output = folder / f"{name}heavy_higgs.parquet"
            generate_collider(replace(pairs, process="heavy-higgs", parameters=MASSES, output=output), progress)


def _generate_unlabelled(steps: DemoSteps, made: ColliderRequest, size: _Size) -> None:
    """Generate a file of each process of the mixture, each with a seed of its own."""
    from castalia.production.collider import generate_collider

    what = f"Generate {sum(size.unlabelled.values())} events without labels, by another tune and another detector"
    with steps.step(what, "unlabelled events") as progress:
        for seed, (process, events) in enumerate(size.unlabelled.items(), made.seed + 2):
            output = made.output / f"unlabelled_{process}.parquet"
            other = replace(made, process=process, events=events, output=output, tune="a14", card="ideal", seed=seed)
            generate_collider(other, progress)


def _train(steps: DemoSteps, folder: Path, size: _Size, seed: int, overwrite: bool, data: str) -> None:
    """Pre-train, and train each classifier, in folders of their names."""
    from castalia.apps.classify.pretrain import pretrain
    from castalia.apps.classify.train import train
    from castalia.apps.classify.training_run import TrainRequest

    config, backbone = folder / "classify_pretrain.toml", folder / "backbone"
    text = PRETRAINING.format(data=data, epochs=size.epochs[0], batch_size=128, seed=seed)
    config.write_text(text, encoding="utf-8")
    with steps.step(f"Learn what such events look like, without labels ({config})", "pre-training") as progress:
        pretrain(TrainRequest(config, backbone, overwrite=overwrite), progress)
    for name, decay_weight, tuned, what in _ARMS:
        config = folder / f"{name}.toml"
        text = CONFIG.format(decay_weight=decay_weight, epochs=size.epochs[1], batch_size=64, seed=seed)
        config.write_text(text, encoding="utf-8")
        with steps.step(f"{what} ({config})", name) as progress:
            train(TrainRequest(config, folder / name, backbone if tuned else None, overwrite=overwrite), progress)
