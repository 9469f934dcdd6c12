"""Unfolding of events, file to file: draws of the truth behind each, the same for any number of workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.model import PosteriorModel, open_model
from castalia.apps.unfold.sample_file import WEIGHT, sample_record
from castalia.data.features import Features
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
from castalia.rng import Stream
from castalia.runs.inputs import check_rename

__all__ = ["OUT_OF_RANGE", "SampleRequest", "SampleTask", "sample", "truth_columns"]

log = logging.getLogger(__name__)

OUT_OF_RANGE = "out_of_range"
"""Column that flags events measured outside what training saw."""

# A draw costs some 200 microseconds: a unit with ten of each event is some seconds of work.
_UNIT_EVENTS, _BATCH_EVENTS = 4_096, 1_024


@dataclass(frozen=True)
class SampleRequest(FileRequest):
    """What ``castalia unfold sample`` was asked for; see its ``--help`` for each field."""

    draws: int = 10
    seed: int = 1


def truth_columns(numbers: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that are written for the paper's numbers, with units: an energy for its logarithm."""
    return {
        (name.removesuffix("log_energy") + "energy" if name.endswith("_log_energy") else name): (
            "GeV" if name.endswith("_log_energy") else unit
        )
        for name, unit in numbers.items()
    }


@dataclass(frozen=True)
class SampleTask(Task):
    """Unfolds one range of one input file.

    Attributes:
        request: What was asked for.
        features: How its files become arrays.
        first_event: Position of each file's first event in the whole input, by file name.
        output_schema: Columns to write.
    """

    request: SampleRequest
    features: Features
    first_event: Mapping[str, int]
    output_schema: Schema

    @property
    def schema(self) -> Schema:
        """Columns of the output."""
        return self.output_schema

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield unfolded batches of the unit's range."""
        request = self.request
        model = _opened(str(request.run), request.run.stat().st_mtime_ns)
        for batch in usable_batches(
            unit,
            self.features,
            tree=request.tree or model.config.data.tree,
            rename=request.rename,
            skip_bad=request.skip_bad,
            batch_events=_BATCH_EVENTS,
            further=_flags(self.features),
        ):
            selected = self.features.selected(batch.table)
            rng = Stream(request.seed, "posterior draws", unit.noise_key).at(batch.number)
            yield self._unfold(model, batch, selected, unit, rng)

    def _unfold(
        self,
        model: PosteriorModel,
        batch: InputBatch,
        selected: NDArray[np.bool_],
        unit: Unit,
        rng: np.random.Generator,
    ) -> Produced:
        table, rows = batch.table.take(selected), batch.rows[selected]
        counts = {**batch.counts, "unselected": int((~selected).sum())}
        arrays = self.features.arrays(table)
        flagged = model.outside(arrays)
        if not len(table):
            return Produced(table, {**counts, "flagged": 0})
        if self.request.strict and flagged.any():
            raise DataError(
                f"{unit.source}: {model.outlier(arrays.take(flagged))} in row {int(rows[flagged][0])} is outside the "
                "training range; leave such rows out, train on a wider sample, or unfold without --strict to have them "
                "flagged."
            )
        numbers = model.numbers(model.draw(arrays, self.request.draws, rng))
        columns: dict[str, Any] = {name: table[name] for name in self.features.passed_columns if name in table}
        columns[EVENT_INDEX] = self.first_event[unit.source] + rows
        for place, name in enumerate(truth_columns(model.coordinates.tree.numbers)):
            values = numbers[:, :, place]
            values = np.expm1(values) if name.endswith("_energy") else values
            columns[name] = values[:, 0] if self.request.draws == 1 else values
        columns[WEIGHT] = arrays.weight
        columns[OUT_OF_RANGE] = flagged
        return Produced(Table(columns), {**counts, "flagged": int(flagged.sum())})


@lru_cache(maxsize=1)
def _opened(path: str, changed: int) -> PosteriorModel:  # `changed` renews the cache when the run was replaced
    return open_model(Path(path))


def sample(
    request: SampleRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Draw the truth of every selected event of the files and write one unfolded sample with its sidecar.

    Identifiers and weights pass through, and events without a weight weigh one each; ``event_index`` is the position in
    the input, and ``out_of_range`` flags events measured outside what training saw. The file is read back by
    ``castalia.apps.unfold.sample_file.read_unfolded``, without torch.

    Returns:
        Summary with the output's name, counts, content hash and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, or ``strict`` meets a flagged row.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()
    refuse_own_input(request, "the unfolded events")
    model = open_model(request.run)
    check_rename(request.rename, (*model.features.columns_to_sample, *_flags(model.features)))
    features = features_of_data(model.features, request)
    plan = plan_inputs(
        request.files,
        features,
        tree=request.tree or model.config.data.tree,
        rename=request.rename,
        skip_bad_files=request.skip_bad_files,
        unit_events=_UNIT_EVENTS,
        further=_flags(features),
    )
    task = SampleTask(request, features, plan.first_event, _schema(model, features, plan, request.draws))
    if request.dry_run:
        return estimate_file(task, plan, request, numbers=request.draws)
    summary = write_file(
        task,
        plan,
        request,
        provenance=_provenance(request, model, plan),
        flag=OUT_OF_RANGE,
        began=started,
        rate="draws_per_second",
        draws=request.draws,
        progress=progress,
    )
    if not summary["events"]:
        log.warning("%s: no event of the input is selected, so that the file holds none", request.output)
    return summary


def _flags(features: Features) -> tuple[str, ...]:
    """Return the column that tells selected events, where there is one."""
    return () if features.data.selection is None else (features.data.selection,)


def _schema(model: PosteriorModel, features: Features, plan: InputPlan, draws: int) -> Schema:
    stored = next(iter(plan.inputs.files.values())).columns
    passed = [name for name in features.passed_columns if name in stored]
    specs = [
        *(ColumnSpec(name=name, dtype=stored[name].dtype, role="identifier") for name in passed),
        ColumnSpec(name=EVENT_INDEX, dtype="int64", role="identifier"),
        *(
            ColumnSpec(name=name, unit=unit, role="target", shape="flat" if draws == 1 else draws)
            for name, unit in truth_columns(model.coordinates.tree.numbers).items()
        ),
        ColumnSpec(name=WEIGHT, role="weight"),
        ColumnSpec(name=OUT_OF_RANGE, dtype="bool", role="selection"),
    ]
    names = [spec.name for spec in specs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ConfigError(
            f"{model.folder.path}: writes a column '{double}' of its own; give that of the input another name."
        )
    return Schema(columns=tuple(specs))


def _provenance(request: SampleRequest, model: PosteriorModel, plan: InputPlan) -> dict[str, Any]:
    """Return what the rows depend on, for the sidecar."""
    return {
        **request_record(request, plan, request.tree or model.config.data.tree),
        "command": "unfold sample",
        "seed": request.seed,
        "configuration": model.config.model_dump(mode="json", exclude_none=True),
        **sample_record(
            tuple(truth_columns(model.coordinates.tree.numbers)), request.draws, plan.inputs.checksums, model.sha256
        ),
    }
