"""Events to judge classifiers on: what a command was asked for, and labelled events that no run learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.classify.events import equal_sums
from castalia.apps.classify.judging import Expectation, JudgedClasses
from castalia.apps.classify.model import ClassifierRun, LabelledEvents
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import to_numpy
from castalia.estimators.base import Batch

__all__ = ["FEWEST_EVENTS", "JudgeRequest", "JudgedSample", "expectation_of", "files_by_class", "read_judged_sample"]

FEWEST_EVENTS = 200
"""Events of each class that a judgement needs: ten a bin of the calibration."""


@dataclass(frozen=True)
class JudgeRequest:
    """What ``castalia classify evaluate`` (of one run) or ``compare`` (of several) was asked for; see ``--help``.

    Attributes:
        runs: Run folders.
        files: Files of each class by its name, or a plain list where a column tells the class; none for the files of
            the training.
        output: Report folder.
        expected: Expected events of classes, by name; empty for no significance.
        systematic: Relative error of the expected background.
        goal: Least mean AUC that the gate accepts; ``None`` for any that is not a guess.
        recipes: Names of runs that belong to one learning curve, one a run, empty for none.
        seed: Seed of all that is random.
        rename: Branch in the files by column name.
        tree: Name of the tree, where it is not the one of the configuration.
        skip_bad: How many bad rows of each class may be left out.
        skip_bad_files: Leave out files that cannot be used.
        overwrite: Replace an earlier report.
        dry_run: Only read the events, and say how long the rest takes.
    """

    runs: tuple[Path, ...]
    files: Mapping[str, Sequence[Path]] | Sequence[Path]
    output: Path
    expected: Mapping[str, float] = field(default_factory=dict)
    systematic: float = 0.0
    goal: float | None = None
    recipes: tuple[str, ...] = ()
    seed: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    skip_bad_files: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class JudgedSample:
    """Events to judge on.

    Attributes:
        batches: As each run is given them, in the order of the runs.
        events: As the metrics take them.
        counts: Events read and left out, by name.
        checksums: SHA-256 by file.
        skipped: Why files were left out, by their names.
    """

    batches: tuple[Batch, ...]
    events: JudgedClasses
    counts: dict[str, int]
    checksums: Mapping[str, str]
    skipped: Mapping[str, str]


def files_by_class(words: Sequence[str]) -> Mapping[str, Sequence[Path]] | Sequence[Path]:
    """Turn ``CLASS=FILE`` words, or plain files where a column tells the class, into the files of a request.

    Raises:
        ConfigError: If some words name a class and others do not.
    """
    pairs = [word.partition("=") for word in words]
    named = [name for name, equals, _ in pairs if equals and name.replace("_", "").isalnum()]
    if not named:
        return tuple(Path(word) for word in words)
    if len(named) < len(words):
        raise ConfigError(f"{words[0]}: name the class of every file, as in CLASS=FILE, or of none.")
    return {name: tuple(Path(path) for other, _, path in pairs if other == name) for name in dict.fromkeys(named)}


def expectation_of(request: JudgeRequest, classes: Sequence[str]) -> Expectation | None:
    """Return the counting experiment that was asked for.

    Raises:
        ConfigError: If a class is not known, the background or every signal is missing, a number is not positive, or
            there is an error of the background and nothing is expected.
    """
    if not request.expected:
        if request.systematic:
            raise ConfigError("--systematic is the error of an expected background; give --expect too.")
        return None
    unknown = [name for name in request.expected if name not in classes]
    if unknown:
        raise ConfigError(f"--expect {unknown[0]}=…: the run knows no such class; it knows {', '.join(classes)}.")
    if classes[0] not in request.expected or len(request.expected) < 2:
        raise ConfigError(f"--expect needs the background, {classes[0]}, and a signal; give both, as in CLASS=EVENTS.")
    wrong = [name for name, events in request.expected.items() if not 0.0 < events < np.inf]
    if wrong or not 0.0 <= request.systematic < np.inf:
        raise ConfigError("--expect takes positive numbers of events, --systematic a relative error of at least 0.")
    return Expectation(dict(request.expected), request.systematic)


def read_judged_sample(runs: Sequence[ClassifierRun], request: JudgeRequest) -> JudgedSample:
    """Read the events that runs are judged on, of which none of the runs learned.

    Args:
        runs: The runs, of the same classes.
        request: Which files.

    Raises:
        ConfigError: If the files do not go with the classes, or none are named and the runs have different ones.
        DataError: If a file, column or row cannot be used, or a class has too few events.
    """
    read = [_events_of(run, request) for run in runs]
    first = read[0]
    if any(set(one.checksums.values()) != set(first.checksums.values()) for one in read):
        raise ConfigError("The runs were trained on different files; name those to judge on with --events-from.")
    index = [np.asarray(to_numpy(one.batch.index)) for one in read]
    shared = reduce(np.intersect1d, index)
    batches = tuple(
        one.batch.take(torch.from_numpy(np.flatnonzero(np.isin(rows, shared))))
        for one, rows in zip(read, index, strict=True)
    )
    label = first.label[np.isin(index[0], shared)]
    weight = _balanced(np.asarray(to_numpy(batches[0].weight), dtype=np.float64), label, runs[0].classes, first)
    counts = {**first.counts, "judged": len(label), "learned_from_by_another_run": len(first.label) - len(label)}
    events = JudgedClasses(runs[0].classes, label, weight, _mass(runs[0], batches[0]), request.seed)
    tensor = torch.from_numpy(weight)
    batches = tuple(replace(one, weight=tensor.to(one.weight.dtype)) for one in batches)
    return JudgedSample(batches, events, counts, first.checksums, first.skipped)


def _balanced(
    weight: NDArray[np.float64], label: NDArray[np.int64], classes: Sequence[str], read: LabelledEvents
) -> NDArray[np.float64]:
    """Give every class the same sum of weights again, after some of its events were left out."""
    for number, name in enumerate(classes):
        own = label == number
        if own.sum() < FEWEST_EVENTS:
            raise DataError(
                f"{next(iter(read.checksums))}: only {int(own.sum())} events of class '{name}' are left to judge on "
                f"(of files that a run was trained on, the test split); at least {FEWEST_EVENTS} are needed, so give "
                "more."
            )
    return equal_sums(weight, label, classes, "test")


def _events_of(run: ClassifierRun, request: JudgeRequest) -> LabelledEvents:
    return run.events(
        request.files,
        tree=request.tree,
        rename=request.rename,
        skip_bad=request.skip_bad,
        skip_bad_files=request.skip_bad_files,
    )


def _mass(run: ClassifierRun, batch: Batch) -> tuple[NDArray[np.float64], str, str] | None:
    chosen = run.config.decorrelation
    if chosen is None:
        return None
    return np.asarray(to_numpy(batch.target.flat[:, 1]), dtype=np.float64), chosen.column, chosen.unit
