"""Trainings of the classification benchmarks: configurations from the examples, trained once, kept, and judged."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w

from castalia.apps.classify.events import balanced, event_batch, labelled
from castalia.apps.classify.judged_sample import JudgeRequest, read_judged_sample
from castalia.apps.classify.judging import JudgedClasses, Judgement, judge
from castalia.apps.classify.model import ClassifierRun
from castalia.apps.classify.pretrain import pretrain
from castalia.apps.classify.relations import Relations as RecognisedRelations
from castalia.apps.classify.relations import recognised_relations
from castalia.apps.classify.train import train
from castalia.apps.classify.training_run import TrainRequest
from castalia.data.atomic import write_text
from castalia.data.loading import load_arrays
from castalia.estimators.arrays import to_numpy
from castalia.physics.semileptonic import SEMILEPTONIC_OBSERVABLES
from castalia.runs.folder import RunFolder
from classify_cuts import BACKGROUND, LABEL, Cuts, Relations, labelled_files, unlabelled_files
from collider_samples import alone_with
from record import ROOT

__all__ = ["SOURCES", "Arm", "Bench", "Pretext", "Settings", "judged", "validation_loss"]

_EXAMPLE: Final = ROOT / "examples" / "classify.toml"
_EXAMPLE_OF_PRETRAINING: Final = ROOT / "examples" / "classify_pretrain.toml"

SOURCES: Final = [
    "benchmarks/classify_cuts.py",
    "benchmarks/classify_data.py",
    "benchmarks/classify_jobs.py",
    "benchmarks/classify_measures.py",
    "benchmarks/classify_plan.py",
    "benchmarks/classify_run.py",
    "examples/classify.toml",
    "examples/classify_pretrain.toml",
    "src/castalia/apps/classify",
    "src/castalia/estimators/classification",
    "src/castalia/metrics",
    "src/castalia/nn",
    "src/castalia/training",
]
"""What every one of these benchmarks measures."""

Settings = Mapping[str, Any]
"""What is tuned: keys of ``[training]`` of a network, options of boosted trees."""


@dataclass(frozen=True)
class Pretext:
    """What a backbone is pre-trained on.

    Attributes:
        type_weight: Weight of the hidden types of objects.
        kinematics_weight: Weight of the hidden kinematics.
        shuffled: Whether every object was put into a random event before.
    """

    type_weight: float = 1.0
    kinematics_weight: float = 1.0
    shuffled: bool = False


@dataclass(frozen=True)
class Arm:
    """One way to learn.

    Attributes:
        name: Its name in tables.
        preset: Preset of the model.
        options: Its options, over those of the preset and those of the bench for all networks.
        training: Keys of ``[training]`` that are not tuned.
        pretext: What its backbone was pre-trained on; ``None`` for nothing.
        observables: Whether it is given high-level variables.
        relations: Whose ancestors objects have in training.
        like: Arms, of which the one that is best on validation events gives it its options as well.
    """

    name: str
    preset: str = "classify"
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    pretext: Pretext | None = None
    observables: bool = False
    relations: Relations = "true"
    like: tuple[str, ...] = ()

    @property
    def is_network(self) -> bool:
        """Whether it is trained in steps; boosted trees are not."""
        return self.preset != "boosted_trees"


@dataclass(frozen=True)
class Bench:
    """Where samples are and runs are kept, and what all trainings share.

    Attributes:
        samples: Folder of the samples of ``classify_data``.
        cuts: How they are cut.
        backbone: Options of every transformer, over those of its preset; empty for none.
        pretraining: Keys of ``[training]`` of every pre-training.
    """

    samples: Path
    cuts: Cuts
    backbone: Mapping[str, Any]
    pretraining: Mapping[str, Any]

    def run(self, arm: Arm, signal: str, events: int, seed: int, settings: Settings) -> Path:
        """Return the run folder of a training, trained where there is none of the same configuration.

        A training that was stopped goes on. What is known of a run is its configuration: remove its folder to train
        anew with changed sources.

        Args:
            arm: What is trained.
            signal: Name of the signal's sample.
            events: Training events a class.
            seed: Seed of the training, and number of the part of the sample.
            settings: What is tuned.

        Raises:
            ConfigError: If the configuration is wrong.
            DataError: If a sample is missing or has too few events.
        """
        text = self.configuration(arm, signal, events, seed, settings)
        backbone = None if arm.pretext is None else self.pretrained(arm, arm.pretext)
        return self._made(arm.preset, text, backbone, train)

    def pretrained(self, arm: Arm, pretext: Pretext) -> Path:
        """Return the run folder of the pre-training that an arm begins from; see ``run``."""
        content = tomllib.loads(_EXAMPLE_OF_PRETRAINING.read_text(encoding="utf-8"))
        files = unlabelled_files(self.samples.absolute(), pretext.shuffled)
        content["data"]["files"] = [str(one) for one in files]
        weights = {"type_weight": pretext.type_weight, "kinematics_weight": pretext.kinematics_weight}
        content["model"] = {"options": {**weights, "backbone": self._options(arm)["backbone"]}}
        content["training"] |= self.pretraining
        return self._made("pretrained", tomli_w.dumps(content), None, pretrain)

    def configuration(self, arm: Arm, signal: str, events: int, seed: int, settings: Settings) -> str:
        """Return the TOML text of a training: the example with other files and another model."""
        content = tomllib.loads(_EXAMPLE.read_text(encoding="utf-8"))
        files = labelled_files(self.samples.absolute(), self.cuts, signal, events, seed, arm.relations)
        keys = ("files", "validation_files", "test_files")
        content["data"] |= {key: [str(path)] for key, path in zip(keys, files, strict=True)}
        content["label"], content["classes"] = LABEL, {BACKGROUND: 0, signal: 1}
        options = self._options(arm)
        if not options.get("decay_weight"):
            del content["relations"]
        if arm.observables:
            content["condition"] = {
                name: {"column": name, "unit": unit} for name, unit in SEMILEPTONIC_OBSERVABLES.items()
            }
        tuned, fixed = (dict(settings), {}) if arm.is_network else ({}, dict(settings))
        content["model"] = {"preset": arm.preset, "options": {**options, **fixed}}
        content["training"] = {**arm.training, **tuned, "seed": seed}
        return tomli_w.dumps(content)

    def _options(self, arm: Arm) -> dict[str, Any]:
        """Return the options of an arm's model with the whole backbone, as a pre-training must have the same."""
        options = dict(arm.options)
        if "backbone" in options:
            options["backbone"] = {**options["backbone"], **self.backbone}
        return options

    def _made(
        self, name: str, text: str, backbone: Path | None, make: Callable[[TrainRequest], dict[str, Any]]
    ) -> Path:
        told = f"{text}\n{None if backbone is None else backbone.name}"
        run = self.samples / "runs" / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
        with alone_with(run):
            begun = (run / "run.json").exists()
            if not begun or RunFolder.open(run).record.status != "finished":
                config = run.with_suffix(".toml")
                write_text(config, text)
                make(TrainRequest(config, run, pretrained=backbone, resume=begun))
        return run


def validation_loss(path: Path) -> float:
    """Return the mean cross-entropy of the classes, in nats, on the validation events of a run, calibrated on them."""
    run = ClassifierRun.open(path)
    (features,) = run.config.samples().values()
    loaded = load_arrays(features.data.paths(Path(), "validation_files"), features)
    batch = event_batch(balanced(labelled({"": loaded}, run.config), run.config, "validation").arrays)
    label = np.asarray(to_numpy(batch.target.flat[:, 0]), dtype=np.int64)
    weight = np.asarray(to_numpy(batch.weight), dtype=np.float64)
    return judge(JudgedClasses(run.classes, label, weight, None, 1), run.probabilities(batch)).log_loss


def judged(path: Path) -> tuple[Judgement, RecognisedRelations | None]:
    """Judge a run on its test events, by the code of ``castalia classify evaluate``."""
    run = ClassifierRun.open(path)
    sample = read_judged_sample([run], JudgeRequest((path,), (), Path()))
    (batch,) = sample.batches
    return judge(sample.events, run.probabilities(batch)), recognised_relations(run, batch)
