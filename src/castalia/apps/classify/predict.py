"""Scores of events, file to file: the probability of each class, the same for any number of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.classify.events import event_batch
from castalia.apps.classify.model import ClassifierRun
from castalia.data.feature_config import DataConfig
from castalia.data.features import Features
from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.production.file_to_file import FileRequest, estimate_file, refuse_own_input, request_record, write_file
from castalia.production.inputs import InputBatch, InputPlan, plan_inputs, usable_batches
from castalia.production.units import Produced, Task, Unit
from castalia.runs.inputs import check_rename

__all__ = ["OUT_OF_RANGE", "PredictRequest", "PredictTask", "predict", "score_columns"]

OUT_OF_RANGE = "out_of_range"
"""Column that flags events outside what training saw."""

INDEX = "event_index"
"""Column with the position of an event in the whole input, from 0."""


@dataclass(frozen=True)
class PredictRequest(FileRequest):
    """What ``castalia classify predict`` was asked for; see its ``--help`` for each field."""


def score_columns(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of the probabilities, in the order of the classes."""
    return tuple(f"score_{name}" for name in classes)


@dataclass(frozen=True)
class PredictTask(Task):
    """Scores one range of one input file.

    Attributes:
        request: What was asked for.
        features: How its files become arrays.
        first_event: Position of each file's first event in the whole input, by file name.
        output_schema: Columns to write.
    """

    request: PredictRequest
    features: Features
    first_event: Mapping[str, int]
    output_schema: Schema

    @property
    def schema(self) -> Schema:
        """Columns of the output."""
        return self.output_schema

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield the scored events of the unit's range, batch by batch."""
        request = self.request
        run = _opened(str(request.run), request.run.stat().st_mtime_ns)
        for batch in usable_batches(
            unit,
            self.features,
            tree=request.tree or self.features.data.tree,
            rename=request.rename,
            skip_bad=request.skip_bad,
            further=_flags(self.features),
        ):
            yield self._score(run, batch, unit, self.features.selected(batch.table))

    def _score(self, run: ClassifierRun, batch: InputBatch, unit: Unit, selected: NDArray[np.bool_]) -> Produced:
        table, rows = batch.table.take(selected), batch.rows[selected]
        arrays = self.features.arrays(table)
        flagged = run.outside(arrays)
        if self.request.strict and flagged.any():
            raise DataError(
                f"{unit.source}: row {int(rows[np.argmax(flagged)])} lies outside what the training saw "
                f"({int(flagged.sum())} such events in this batch); leave such rows out, train on a wider sample, or "
                "predict without --strict to have them flagged."
            )
        probability = run.probabilities(event_batch(arrays))
        columns: dict[str, Any] = {name: table[name] for name in _passed(self.features) if name in table}
        columns[INDEX] = self.first_event[unit.source] + rows
        columns |= dict(zip(score_columns(run.classes), probability.T, strict=True))
        columns[OUT_OF_RANGE] = flagged
        counts = {**batch.counts, "unselected": int((~selected).sum()), "flagged": int(flagged.sum())}
        return Produced(Table(columns), counts)


@lru_cache(maxsize=1)
def _opened(path: str, changed: int) -> ClassifierRun:  # `changed` renews the cache when the run was replaced
    return ClassifierRun.open(Path(path))


def predict(
    request: PredictRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Score every selected event of the files and write one file with its sidecar.

    Identifiers, the weight where there is one, and variables of whole events pass through; ``event_index`` is the
    position in the input, ``score_CLASS`` the probability of a class where all are equally frequent, and
    ``out_of_range`` flags events outside what training saw.

    Returns:
        Summary with the output's name, counts, content hash and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced, or a column would be there twice.
        DataError: If a file, column or row cannot be used, or ``strict`` meets a flagged row.
        ModelError: If the run folder holds no usable classifier.
    """
    started = time.monotonic()
    refuse_own_input(request, "the scores")
    run = ClassifierRun.open(request.run)
    features = _features(run, request)
    plan = plan_inputs(
        request.files,
        features,
        tree=request.tree or features.data.tree,
        rename=request.rename,
        skip_bad_files=request.skip_bad_files,
        further=_flags(features),
    )
    task = PredictTask(request, features, plan.first_event, _schema(run, features, plan))
    if request.dry_run:
        return estimate_file(task, plan, request)
    return write_file(
        task,
        plan,
        request,
        provenance=_provenance(request, run, plan),
        flag=OUT_OF_RANGE,
        began=started,
        progress=progress,
    )


def _features(run: ClassifierRun, request: PredictRequest) -> Features:
    """Return how the files become arrays; measured events need no weight."""
    features, weight = run.features, run.config.data.weight
    check_rename(request.rename, (*features.columns_to_sample, *_flags(features)))
    if weight is None or _has_column(request, weight, features.data):
        return features
    return replace(features, data=features.data.model_copy(update={"weight": None}))


def _has_column(request: PredictRequest, name: str, data: DataConfig) -> bool:
    """Tell whether the first file that can be opened has a column, by any name or by its layout."""
    for path in request.files:
        try:
            with open_reader(path, request.tree or data.tree, request.rename, data.layout) as reader:
                return name in reader.columns()
        except DataError:
            if not request.skip_bad_files:
                raise
    return True  # no file can be opened, which is refused where the work is planned


def _flags(features: Features) -> tuple[str, ...]:
    """Return the column that tells selected events, where there is one."""
    return () if features.data.selection is None else (features.data.selection,)


def _passed(features: Features) -> tuple[str, ...]:
    """Return the columns that are written as they were read: one value an event."""
    given = (variable.column for variable in features.condition.values())
    return tuple(dict.fromkeys((*features.passed_columns, *given)))


def _schema(run: ClassifierRun, features: Features, plan: InputPlan) -> Schema:
    first, stored = next((path, file.columns) for path, file in plan.inputs.files.items())
    specs = {spec.name: spec for spec in features.input_schema.columns}
    passed = [
        specs.get(name, ColumnSpec(name=name, role="identifier")).model_copy(
            update={"dtype": stored[name].dtype, "needs": ()}
        )
        for name in _passed(features)
        if name in stored
    ]
    for path, file in plan.inputs.files.items():
        other = {name: file.columns[name].dtype if name in file.columns else None for name in _passed(features)}
        if other != {name: stored[name].dtype if name in stored else None for name in _passed(features)}:
            raise DataError(f"{path}: has other columns or types than {first}; score the two separately.")
    written = [
        ColumnSpec(name=INDEX, dtype="int64", role="identifier"),
        *(ColumnSpec(name=name, range=(0.0, 1.0), role="parameter") for name in score_columns(run.classes)),
        ColumnSpec(name=OUT_OF_RANGE, dtype="bool", role="selection"),
    ]
    taken = next((spec.name for spec in written if spec.name in {one.name for one in passed}), None)
    if taken is not None:
        raise ConfigError(f"{run.folder.path}: writes a column '{taken}' of its own; rename that of the input.")
    return Schema(columns=(*passed, *written))


def _provenance(request: PredictRequest, run: ClassifierRun, plan: InputPlan) -> dict[str, Any]:
    """Return what the rows depend on, for the sidecar."""
    return {
        **request_record(request, plan, request.tree or run.config.data.tree),
        "command": "classify predict",
        "model": run.sha256,
        "classes": [*run.classes],
        "configuration": run.config.model_dump(mode="json", exclude_none=True),
    }
