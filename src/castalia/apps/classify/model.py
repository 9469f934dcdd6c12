"""A trained classifier, opened from its run folder with all that is needed to use and to judge it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.classify.config import ClassifyConfig, parse_config
from castalia.apps.classify.events import balanced, event_batch, given_objects, labelled, object_keys, of_class
from castalia.apps.classify.pretrain import APPLICATION as PRETRAINING
from castalia.apps.classify.train import APPLICATION, CLASSIFIER
from castalia.data.feature_arrays import FeatureArrays
from castalia.data.features import Features
from castalia.data.loading import LoadedArrays
from castalia.data.readers import open_reader
from castalia.data.typed_objects import TypedObjects
from castalia.errors import ConfigError, DataError, MachineError, ModelError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch, Classifier, Estimator
from castalia.estimators.storage import load_model, model_hash
from castalia.metrics.support import ConditionRanges, outside
from castalia.runs.folder import RunFolder
from castalia.runs.members import load_member, member_name
from castalia.runs.ranges import summary_names, summary_of_events
from castalia.runs.seen import unseen
from castalia.runs.unlearned import files_to_judge_on, load_unlearned

__all__ = ["ClassifierRun", "LabelledEvents"]

log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class LabelledEvents:
    """Events of known classes that a run did not learn from.

    Attributes:
        batch: The events; ``target.flat[:, 0]`` is the number of the class; all have the same sum of weights.
        counts: Events read, left out and kept, by what happened to them; ``outside_training_range`` are kept.
        checksums: SHA-256 by file.
        skipped: Why files were left out, by their names.
    """

    batch: Batch
    counts: Mapping[str, int]
    checksums: Mapping[str, str]
    skipped: Mapping[str, str]

    @property
    def label(self) -> NDArray[np.int64]:
        """Number of each event's class, shape ``(events,)``."""
        return np.asarray(to_numpy(self.batch.target.flat[:, 0]), dtype=np.int64)


@final
@dataclass(frozen=True)
class ClassifierRun:
    """A finished run of ``castalia classify train``; use `open`.

    Attributes:
        folder: The run folder.
        config: Its configuration.
        classes: Names of the classes, in the order of their numbers.
        features: How unlabelled files become arrays.
        estimator: The nominal model.
        ranges: Lowest and highest training value of what ``summary_of_events`` makes of an event.
        sha256: Hash of the saved model.
    """

    folder: RunFolder
    config: ClassifyConfig
    classes: tuple[str, ...]
    features: Features
    estimator: Estimator
    ranges: ConditionRanges
    sha256: str

    @classmethod
    def open(cls, run: Path) -> ClassifierRun:
        """Open a finished run folder.

        Raises:
            ModelError: If the folder is no run of ``classify``, is not finished, or its model is damaged.
        """
        folder = RunFolder.open(run)
        made = folder.record.application
        if made == PRETRAINING:
            raise ModelError(f"{run}: knows no classes yet; train one with `castalia classify train … --from {run}`.")
        if made != APPLICATION:
            raise ModelError(f"{run}: is a run of {made!r}; give one written by `castalia classify train`.")
        if not (folder.models / CLASSIFIER).is_dir():
            raise ModelError(f"{run}: has no trained model yet; finish it with `castalia classify train … --resume`.")
        config = parse_config(folder.config_text(), run / "config.toml", run)
        loaded = load_model(folder.models / CLASSIFIER)
        ranges, layout = loaded.extra.get("ranges"), config.layout
        if loaded.layout != layout or not isinstance(ranges, dict) or tuple(ranges) != summary_names(layout):
            raise ModelError(f"{run}: the model's variables are not those of its config.toml; the folder was changed.")
        return cls(
            folder,
            config,
            tuple(config.classes),
            config.features(),
            loaded.estimator.eval(),
            ConditionRanges(*np.array(list(ranges.values()), dtype=np.float64).T),
            model_hash(folder.models / CLASSIFIER),
        )

    def member(self, number: int) -> ClassifierRun:
        """Return the run with another model of its ensemble; 0 is the nominal one.

        Raises:
            ModelError: If that model is missing or damaged.
        """
        estimator = load_member(self.folder.models, number, CLASSIFIER).eval()
        return replace(
            self, estimator=estimator, sha256=model_hash(self.folder.models / member_name(number, CLASSIFIER))
        )

    def outside(self, arrays: FeatureArrays) -> NDArray[np.bool_]:
        """Flag events that lie outside what training saw in any variable, object or number of objects."""
        given = replace(arrays, objects=given_objects(arrays))
        return outside(summary_of_events(given, self.ranges.low), self.ranges)

    def probabilities(self, batch: Batch) -> NDArray[np.float64]:
        """Return the probability of each class, shape ``(events, classes)``, where all classes are equally frequent.

        Raises:
            ModelError: If the estimator is no classifier.
            MachineError: If a probability is not finite.
        """
        if not isinstance(self.estimator, Classifier):
            raise ModelError(f"{self.folder.path}: its estimator {type(self.estimator).__name__} is no classifier.")
        with torch.inference_mode():
            logits = self.estimator.logits(batch.condition)
            result = np.asarray(to_numpy(torch.softmax(logits.double(), dim=1)), dtype=np.float64)
        bad = ~np.isfinite(result).all(axis=1)
        if bad.any():
            raise MachineError(
                f"The model gave {int(bad.sum())} scores that are not finite (first for event {int(np.argmax(bad))}); "
                "train it longer or with a smaller learning rate."
            )
        return result

    def events(
        self,
        files: Mapping[str, Sequence[Path]] | Sequence[Path] = (),
        *,
        tree: str | None = None,
        rename: Mapping[str, str] | None = None,
        skip_bad: int = 0,
        skip_bad_files: bool = False,
    ) -> LabelledEvents:
        """Read labelled events to judge the run on; of files that it was trained on, only the test split.

        Ancestors of objects are read where all files tell them.

        Args:
            files: Files of each class by its name, or a plain list where the configuration names a label column; none
                for the files of the training.
            tree: Name of the tree, where it is not the one of the configuration.
            rename: Branch in the files by column name.
            skip_bad: How many bad rows of each class may be left out.
            skip_bad_files: Leave out files that cannot be used.

        Raises:
            ConfigError: If the files do not go with the classes, or a column is renamed that is not used.
            DataError: If a file, column or row cannot be used, a class has no events, or all were learned from.
        """
        loaded: dict[str, LoadedArrays] = {}
        skipped: dict[str, str] = {}
        samples = self.config.samples()
        named = self._files(samples, files)
        if not _tell_ancestors(samples, named, tree, rename or {}):
            plain = TypedObjects(self.config.objects)
            samples = {name: replace(one, typed=plain) for name, one in samples.items()}
        for name, paths in named.items():
            features = samples[name]
            with of_class(name):
                usable = files_to_judge_on(
                    paths, features, tree=tree, rename=rename or {}, skip_bad_files=skip_bad_files
                )
                skipped |= usable.skipped
                loaded[name] = load_unlearned(
                    self.folder, features, usable, tree=tree, rename=rename or {}, skip_bad=skip_bad
                )
        joined = labelled(loaded, self.config)
        new = unseen(self.folder.models / CLASSIFIER, object_keys(joined.arrays))
        kept = balanced(joined.take(new), self.config, "test")
        counts = {
            **joined.counts,
            "learned_from": int((~new).sum()),
            "outside_training_range": int(self.outside(kept.arrays).sum()),
        }
        return LabelledEvents(event_batch(kept.arrays), counts, joined.hashes, skipped)

    def _files(
        self, samples: Mapping[str, Features], files: Mapping[str, Sequence[Path]] | Sequence[Path]
    ) -> dict[str, Sequence[Path]]:
        """Return the files by the names of the samples they belong to."""
        if not files:
            data = {name: features.data for name, features in samples.items()}
            return {name: one.paths(Path(), "test_files") or one.paths(Path()) for name, one in data.items()}
        named = dict(files) if isinstance(files, Mapping) else {"": files}
        if set(named) != set(samples):
            raise ConfigError(
                f"The column '{self.config.label}' tells the classes; give files without naming a class."
                if self.config.label is not None
                else f"Files are named for {', '.join(filter(None, named)) or 'no class'}; name those of each of "
                f"{', '.join(self.classes)}."
            )
        return {name: named[name] for name in samples}


def _tell_ancestors(
    samples: Mapping[str, Features],
    files: Mapping[str, Sequence[Path]],
    tree: str | None,
    rename: Mapping[str, str],
) -> bool:
    """Tell whether all files have the columns of ancestors, of which a renamed one is wanted in any case."""
    for name, paths in files.items():
        features = samples[name]
        wanted = () if features.typed is None else features.typed.ancestry_columns
        if not wanted or set(wanted) & set(rename):
            continue
        for path in paths:
            try:
                with open_reader(path, tree or features.data.tree, rename, features.data.layout) as reader:
                    lacking = next((column for column in wanted if column not in reader.columns()), None)
            except DataError:  # it is refused, or left out and named, where it is read
                continue
            if lacking is not None:
                log.info("%s: has no column '%s', so that relations of objects are not judged", path, lacking)
                return False
    return True
