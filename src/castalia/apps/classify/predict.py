"""Scores of events, file to file: the probability of each class, the same for any number of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.classify.config import OF_MEMBER
from castalia.apps.classify.events import event_batch
from castalia.apps.classify.model import ClassifierRun
from castalia.apps.classify.train import CLASSIFIER
from castalia.data.feature_config import DataConfig
from castalia.data.features import Features
from castalia.data.readers import StoredColumn, open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.production.file_to_file import (
    FileRequest,
    estimate_file,
    features_of_data,
    refuse_own_input,
    request_record,
    write_file,
)
from castalia.production.inputs import EVENT_INDEX, InputBatch, InputPlan, plan_inputs, usable_batches
from castalia.production.units import Produced, Task, Unit
from castalia.runs.inputs import check_rename
from castalia.runs.members import member_hashes

__all__ = ["OUT_OF_RANGE", "PredictRequest", "PredictTask", "predict", "score_columns"]

OUT_OF_RANGE = "out_of_range"
"""Column that flags events outside what training saw."""


@dataclass(frozen=True)
class PredictRequest(FileRequest):
    """What ``castalia classify predict`` was asked for; see its ``--help`` for each field."""

    members: bool = False


def score_columns(classes: tuple[str, ...], member: int = 0) -> tuple[str, ...]:
    """Return the columns of the probabilities, in the order of the classes, by a member of an ensemble or by none."""
    return tuple(f"score_{name}_member_{member}" if member else f"score_{name}" for name in classes)


@dataclass(frozen=True)
class PredictTask(Task):
    """Scores one range of one input file.

    Attributes:
        request: What was asked for.
        features: How its files become arrays.
        passed: Columns of the input that are written as they are.
        first_event: Position of each file's first event in the whole input, by file name.
        models: How many models of the run score.
        output_schema: Columns to write.
    """

    request: PredictRequest
    features: Features
    passed: tuple[str, ...]
    first_event: Mapping[str, int]
    models: int
    output_schema: Schema

    @property
    def schema(self) -> Schema:
        """Columns of the output."""
        return self.output_schema

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the scored events of the unit's range, batch by batch."""
        request = self.request
        runs = _opened(str(request.run), request.run.stat().st_mtime_ns, self.models)
        for batch in usable_batches(
            unit,
            self.features,
            tree=request.tree or self.features.data.tree,
            rename=request.rename,
            skip_bad=request.skip_bad,
            further=(*self.passed, *_flags(self.features)),
        ):
            yield self._score(runs, batch, unit, self.features.selected(batch.table))

    def _score(
        self, runs: Sequence[ClassifierRun], batch: InputBatch, unit: Unit, selected: NDArray[np.bool_]
    ) -> Produced:
        table, rows = batch.table.take(selected), batch.rows[selected]
        arrays = self.features.arrays(table)
        flagged = runs[0].outside(arrays)
        if self.request.strict and flagged.any():
            raise DataError(
                f"{unit.source}: row {int(rows[np.argmax(flagged)])} lies outside what the training saw "
                f"({int(flagged.sum())} such events in this batch); leave such rows out, train on a wider sample, or "
                "predict without --strict to have them flagged."
            )
        events = event_batch(arrays)
        columns: dict[str, Any] = {name: table[name] for name in self.passed}
        columns[EVENT_INDEX] = self.first_event[unit.source] + rows
        for member, run in enumerate(runs):
            columns |= dict(zip(score_columns(run.classes, member), run.probabilities(events).T, strict=True))
        columns[OUT_OF_RANGE] = flagged
        counts = {**batch.counts, "unselected": int((~selected).sum()), "flagged": int(flagged.sum())}
        return Produced(Table(columns), counts)


@lru_cache(maxsize=1)
def _opened(path: str, changed: int, models: int) -> tuple[ClassifierRun, ...]:  # `changed` renews what was replaced
    run = ClassifierRun.open(Path(path))
    return run, *(run.member(number) for number in range(1, models))


def predict(
    request: PredictRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Score every selected event of the files and write one file with its sidecar.

    All numbers of an event are written as they are, lists too; to them are appended ``event_index``, its position in
    the input, ``score_CLASS``, the probability of a class where all are equally frequent, with ``members`` also
    ``score_CLASS_member_1`` and so on, those by each model of the ensemble, and ``out_of_range``, which flags events
    outside what training saw. These take the place of columns of the same names, and of the members of another run.

    Returns:
        Summary with the output's name, counts, content hash and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced, or a column would be there twice.
        DataError: If a file, column or row cannot be used, or ``strict`` meets a flagged row.
        ModelError: If the run folder holds no usable classifier, or no members where they are wanted.
    """
    started = time.monotonic()
    refuse_own_input(request, "the scores")
    run = ClassifierRun.open(request.run)
    members = member_hashes(run.folder, run.config.model.members, CLASSIFIER) if request.members else []
    models = max(len(members), 1)
    stored = _stored(request, run.config.data)
    check_rename(request.rename, (*run.features.columns_to_sample, *_flags(run.features)))
    features = features_of_data(run.features, request)
    appended = _appended(run, models)
    passed = _passed(features, run, stored, appended)
    plan = plan_inputs(
        request.files,
        features,
        tree=request.tree or features.data.tree,
        rename=request.rename,
        skip_bad_files=request.skip_bad_files,
        further=(*passed, *_flags(features)),
    )
    columns = _schema(features, plan, passed, stored).with_columns(*appended)
    task = PredictTask(request, features, passed, plan.first_event, models, columns)
    if request.dry_run:
        return estimate_file(task, plan, request, numbers=2.0)  # half of the columns are lists of a few objects
    return write_file(
        task,
        plan,
        request,
        provenance={**_provenance(request, run, plan), **({"members": members} if members else {})},
        flag=OUT_OF_RANGE,
        began=started,
        progress=progress,
    )


def _stored(request: PredictRequest, data: DataConfig) -> dict[Path, dict[str, StoredColumn]]:
    """Return the columns of every file that can be opened, those of its layout included."""
    found = {}
    for path in request.files:
        try:
            with open_reader(path, request.tree or data.tree, request.rename, data.layout) as reader:
                found[path] = reader.columns()
        except DataError:
            if not request.skip_bad_files:  # otherwise it is left out, and named, where the work is planned
                raise
    return found


def _flags(features: Features) -> tuple[str, ...]:
    """Return the column that tells selected events, where there is one."""
    return () if features.data.selection is None else (features.data.selection,)


def _passed(
    features: Features,
    run: ClassifierRun,
    stored: Mapping[Path, Mapping[str, StoredColumn]],
    appended: Sequence[ColumnSpec],
) -> tuple[str, ...]:
    """Return the columns that are written as they were read: all of the first file that has what is needed.

    Raises:
        ConfigError: If one that is used has the name of one that is appended.
    """
    needed, added = {*features.columns_to_sample, *_flags(features)}, {spec.name for spec in appended}
    if needed & added:
        raise ConfigError(
            f"{run.folder.path}: writes a column '{min(needed & added)}' of its own; rename that of the input."
        )
    needed -= {*features.passed_columns}
    first = next((columns for columns in stored.values() if needed <= set(columns)), {})
    scores = score_columns(run.classes)  # those of members, by an earlier prediction, may be another model's
    return tuple(name for name in first if name not in added and OF_MEMBER.sub("", name) not in scores)


def _appended(run: ClassifierRun, models: int) -> tuple[ColumnSpec, ...]:
    scores = [name for member in range(models) for name in score_columns(run.classes, member)]
    return (
        ColumnSpec(name=EVENT_INDEX, dtype="int64", role="identifier"),
        *(ColumnSpec(name=name, range=(0.0, 1.0), role="parameter") for name in scores),
        ColumnSpec(name=OUT_OF_RANGE, dtype="bool", role="selection"),
    )


def _schema(
    features: Features,
    plan: InputPlan,
    passed: tuple[str, ...],
    stored: Mapping[Path, Mapping[str, StoredColumn]],
) -> Schema:
    first, *others = plan.inputs.paths
    other = next((path for path in others if stored[path] != stored[first]), None)
    if other is not None:
        raise DataError(f"{other}: has other columns or types than {first}; score the two separately.")
    specs, columns = {spec.name: spec for spec in features.input_schema.columns}, []
    for name in passed:
        how = stored[first][name]
        spec = specs.get(name, ColumnSpec(name=name, role="identifier" if name in features.data.identifiers else None))
        shape = how.length if how.length is not None else how.kind
        columns.append(spec.model_copy(update={"dtype": how.dtype, "shape": shape, "needs": ()}))
    return Schema(columns=tuple(columns))


def _provenance(request: PredictRequest, run: ClassifierRun, plan: InputPlan) -> dict[str, Any]:
    """Return what the rows depend on, for the sidecar."""
    return {
        **request_record(request, plan, request.tree or run.config.data.tree),
        "command": "classify predict",
        "model": run.sha256,
        "classes": [*run.classes],
        "configuration": run.config.model_dump(mode="json", exclude_none=True),
    }
