"""Trainings of the classification benchmarks: configurations from the examples, trained once, kept, and judged."""

from __future__ import annotations

import hashlib
import json
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w
import torch

from castalia.apps.classify.events import balanced, event_batch, labelled
from castalia.apps.classify.judged_sample import JudgeRequest, read_judged_sample
from castalia.apps.classify.judging import JudgedClasses, Judgement, judge, log_loss
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
from classify_cuts import (
    BACKGROUND,
    LABEL,
    Cuts,
    Relations,
    digest_of,
    labelled_files,
    unlabelled_files,
    validation_file,
)
from collider_samples import alone_with
from record import ROOT, state_of

__all__ = [
    "OPTIMISER",
    "PRETRAINED",
    "SOURCES",
    "TRAINED",
    "Arm",
    "Bench",
    "Pretext",
    "Settings",
    "judged",
    "seconds_of",
    "validation_loss",
]

_EXAMPLE: Final = ROOT / "examples" / "classify.toml"
_EXAMPLE_OF_PRETRAINING: Final = ROOT / "examples" / "classify_pretrain.toml"

OPTIMISER: Final = "muon"
"""Of every network that says nothing else: it reaches lower losses than AdamW."""

PRETRAINED: Final = "pretrained"
"""What names of run folders of pre-trainings begin with."""

_RELATED: Final = 10_000  # events whose relations are judged: of each some 20 pairs

TRAINED: Final = (
    "examples/classify.toml",
    "examples/classify_pretrain.toml",
    *(f"src/castalia/apps/classify/{name}.py" for name in ("config", "events", "pretrain", "train", "training_run")),
    "src/castalia/data/objects.py",
    "src/castalia/data/typed_objects.py",
    "src/castalia/estimators/arrays.py",
    "src/castalia/estimators/classification",
    "src/castalia/estimators/moments.py",
    "src/castalia/estimators/pair_features.py",
    "src/castalia/estimators/scaling.py",
    *(
        f"src/castalia/nn/{name}.py"
        for name in ("activation", "graph_attention", "mlp", "packed_attention", "transformer")
    ),
    "src/castalia/rng.py",
    "src/castalia/training",
)
"""What a trained model depends on, beside its configuration and the events that it learns from."""

SOURCES: Final = [
    *(f"benchmarks/classify_{name}.py" for name in ("cuts", "data", "jobs", "measures", "plan", "run", "types")),
    "benchmarks/classify_other_detector.toml",
    "benchmarks/collider_samples.py",
    "benchmarks/scan_heavy_higgs_data.py",
    *TRAINED,
    *(f"src/castalia/apps/classify/{name}.py" for name in ("judged_sample", "judging", "model", "relations")),
    *(
        f"src/castalia/metrics/{name}.py"
        for name in ("auc", "learning_curve", "relations", "reliability", "roc", "scored", "weighted_auc")
    ),
]
"""What every one of these benchmarks measures.

What generates the events changes often and is not in it: every row has the hash of the samples instead.
"""

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
    """

    name: str
    preset: str = "classify"
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    pretext: Pretext | None = None
    observables: bool = False
    relations: Relations = "true"

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
        """Return the run folder of a training, trained where there is none like it.

        A training that was stopped goes on. Another one is like it if configuration, events, pre-training and
        ``TRAINED`` are the same.

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
        files = labelled_files(self.samples.absolute(), self.cuts, signal, events, seed, arm.relations)
        text = self.configuration(arm, signal, files, seed, settings)
        backbone = None if arm.pretext is None else self.pretrained(arm, arm.pretext)
        return self._made(arm.preset, text, files, backbone, train)

    def pretrained(self, arm: Arm, pretext: Pretext) -> Path:
        """Return the run folder of the pre-training that an arm begins from; see ``run``."""
        content = tomllib.loads(_EXAMPLE_OF_PRETRAINING.read_text(encoding="utf-8"))
        files = unlabelled_files(self.samples.absolute(), pretext.shuffled)
        content["data"] |= {key: [str(one) for one in paths] for key, paths in files.items()}
        weights = {"type_weight": pretext.type_weight, "kinematics_weight": pretext.kinematics_weight}
        content["model"] = {"options": {**weights, "backbone": self._options(arm)["backbone"]}}
        content["training"] |= self.pretraining
        return self._made(PRETRAINED, tomli_w.dumps(content), chain(*files.values()), None, pretrain)

    def validation_file(self, signal: str) -> Path:
        """Return the file that trials with a signal are scored on."""
        return validation_file(self.samples.absolute(), self.cuts, signal)

    def configuration(
        self, arm: Arm, signal: str, files: tuple[Path, Path, Path], seed: int, settings: Settings
    ) -> str:
        """Return the TOML text of a training: the example with other files and another model.

        Args:
            arm: What is trained.
            signal: Name of the second class.
            files: Files of training, validation and test.
            seed: Seed of the training.
            settings: What is tuned.
        """
        content = tomllib.loads(_EXAMPLE.read_text(encoding="utf-8"))
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
        tuned, fixed = (dict(settings), {}) if arm.is_network else ({}, {**settings, "seed": seed})
        content["model"] = {"preset": arm.preset, "options": {**options, **fixed}}
        content["training"] = {"optimiser": OPTIMISER, **arm.training, **tuned, "seed": seed}
        return tomli_w.dumps(content)

    def _options(self, arm: Arm) -> dict[str, Any]:
        """Return the options of an arm's model with the whole backbone, as a pre-training must have the same."""
        options = dict(arm.options)
        if "backbone" in options and options["backbone"].get("kind") != "graph":
            options["backbone"] = {**options["backbone"], **self.backbone}
        return options

    def _made(
        self,
        name: str,
        text: str,
        files: Iterable[Path],
        backbone: Path | None,
        make: Callable[[TrainRequest], dict[str, Any]],
    ) -> Path:
        told = (text, digest_of(files), state_of(TRAINED), None if backbone is None else backbone.name)
        run = self.samples / "runs" / f"{name}-{hashlib.sha256(repr(told).encode()).hexdigest()[:12]}"
        with alone_with(run):
            begun = (run / "run.json").exists()
            if not begun or RunFolder.open(run).record.status != "finished":
                config, before, began = run.with_suffix(".toml"), seconds_of(run), time.process_time()
                write_text(config, text)
                try:
                    make(TrainRequest(config, run, pretrained=backbone, resume=begun))
                finally:  # a training that was stopped goes on, and has cost the time until then
                    spent = before.get(run.name, 0.0) + time.process_time() - began
                    behind = {} if backbone is None else seconds_of(backbone)
                    write_text(_cost(run), json.dumps({**behind, run.name: round(spent, 1)}))
        return run


def seconds_of(run: Path) -> dict[str, float]:
    """Return the processor time in seconds of a training, and of the pre-training it began from, by run folder."""
    found: dict[str, float] = json.loads(_cost(run).read_text(encoding="utf-8")) if _cost(run).exists() else {}
    return found


def _cost(run: Path) -> Path:
    return run.with_suffix(".json")


def validation_loss(run: Path, file: Path) -> float:
    """Return the mean cross-entropy of the classes, in nats, of a calibrated run on the events of a file."""
    opened = ClassifierRun.open(run)
    (features,) = opened.config.samples().values()
    loaded = load_arrays([file], features)
    batch = event_batch(balanced(labelled({"": loaded}, opened.config), opened.config, "test").arrays)
    label = np.asarray(to_numpy(batch.target.flat[:, 0]), dtype=np.int64)
    weight = np.asarray(to_numpy(batch.weight), dtype=np.float64)
    return log_loss(JudgedClasses(opened.classes, label, weight, None, 1), opened.probabilities(batch))[0]


def judged(run: Path, replicas: int) -> tuple[Judgement, RecognisedRelations | None]:
    """Judge a run on its test events, by the code of ``castalia classify evaluate``.

    Args:
        run: The run folder.
        replicas: Bootstrap replicas of the ROC curve.
    """
    opened = ClassifierRun.open(run)
    sample = read_judged_sample([opened], JudgeRequest((run,), (), Path()))
    (batch,) = sample.batches
    judgement = judge(sample.events, opened.probabilities(batch), replicas=replicas)
    some = torch.arange(0, len(batch), max(1, len(batch) // _RELATED))
    return judgement, recognised_relations(opened, batch.take(some))
