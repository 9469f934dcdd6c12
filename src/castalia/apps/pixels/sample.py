"""Sampling of background hits, file to file: streaming, resumable, and the same for any number of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.pixels.config import FLAG, PixelsConfig
from castalia.apps.pixels.model import DRAWN_AT_ONCE, PixelModel, open_model
from castalia.data.features import Features
from castalia.data.schema import ColumnSpec, Schema
from castalia.detectors.pxd.columns import BASF2_COLUMNS, HIT_COLUMNS, hit_lists
from castalia.errors import DataError
from castalia.production.file_to_file import FileRequest, estimate_file, refuse_own_input, request_record, write_file
from castalia.production.inputs import InputBatch, InputPlan, plan_inputs, usable_batches
from castalia.production.units import Produced, Task, Unit
from castalia.rng import Stream
from castalia.runs.inputs import check_rename
from castalia.runs.ranges import described

__all__ = ["SampleRequest", "SampleTask", "sample"]

# A unit is some seconds of work and 25 MB of hits: long against the start of a worker, small against its memory.
_UNIT_EVENTS: Final = 64

_BYTES_AN_EVENT: Final = 350_000  # 70,000 hits at the reference, for the estimate of a dry run


@dataclass(frozen=True)
class SampleRequest(FileRequest):
    """What ``castalia pixels sample`` was asked for; see its ``--help`` for each field."""

    seed: int = 1


@dataclass(frozen=True)
class SampleTask(Task):
    """Samples one range of one input file.

    Attributes:
        request: What was asked for.
        output_schema: Columns to write.
    """

    request: SampleRequest
    output_schema: Schema

    @property
    def schema(self) -> Schema:
        """Columns of the output."""
        return self.output_schema

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield sampled events of the unit's range, as many at a time as a model draws."""
        request = self.request
        model = _opened(str(request.run), request.run.stat().st_mtime_ns)
        features = _features(model.config)
        for batch in usable_batches(
            unit,
            features,
            tree=request.tree or features.data.tree,
            rename=request.rename,
            skip_bad=request.skip_bad,
            batch_events=DRAWN_AT_ONCE,
        ):
            if len(batch.table):
                yield self._sample(model, features, batch, unit)
            else:
                yield Produced(batch.table, batch.counts)

    def _sample(self, model: PixelModel, features: Features, batch: InputBatch, unit: Unit) -> Produced:
        table, condition = batch.table, features.arrays(batch.table).condition
        flagged = model.outside(condition)
        if self.request.strict and flagged.any():
            raise DataError(_refusal(model, condition, flagged, batch.rows, unit))
        rng = Stream(self.request.seed, "background draws", unit.noise_key).at(batch.number)
        hits = model.draw(condition, rng)
        passed = table.select([name for name in features.columns_to_sample if name in table])
        lists = hit_lists(hits, basf2=_in_basf2_terms(self.request))
        counts = {**batch.counts, "flagged": int(flagged.sum()), "hits": len(hits.event)}
        return Produced(passed.with_columns({FLAG: flagged, **lists}), counts)


def sample(
    request: SampleRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Sample the hits of one event for every event of the files and write one output file with its sidecar.

    Identifiers and conditions pass through; hits that the files hold are not looked at. ``out_of_support`` flags
    conditions outside the training range. Where the output ends in ``.root``, hits are in basf2's terms.

    Returns:
        Summary with the output's name, counts of events and hits, content hash and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, or ``strict`` meets a flagged row.
        MachineError: If the model draws what no detector reports.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()
    refuse_own_input(request, "the sampled events")
    model = open_model(request.run)
    features = _features(model.config)
    check_rename(request.rename, features.columns_to_sample)
    plan = plan_inputs(
        request.files,
        features,
        tree=request.tree or features.data.tree,
        rename=request.rename,
        skip_bad_files=request.skip_bad_files,
        unit_events=_UNIT_EVENTS,
    )
    task = SampleTask(request, _schema(features, plan, request))
    if request.dry_run:
        return estimate_file(task, plan, request, numbers=_BYTES_AN_EVENT / (8 * len(task.schema.columns)))
    return write_file(
        task, plan, request, provenance=_provenance(request, model, plan), flag=FLAG, began=started, progress=progress
    )


@lru_cache(maxsize=1)
def _opened(path: str, changed: int) -> PixelModel:  # `changed` renews the cache when the run was replaced
    return open_model(Path(path))


def _features(config: PixelsConfig) -> Features:
    """Return how the files become conditions; nothing is to be weighted."""
    features = config.features()
    return replace(features, data=features.data.model_copy(update={"weight": None}))


def _in_basf2_terms(request: SampleRequest) -> bool:
    return request.output.suffix == ".root"


def _refusal(
    model: PixelModel, condition: NDArray[np.float64], flagged: NDArray[np.bool_], rows: NDArray[np.int64], unit: Unit
) -> str:
    where = int(np.argmax(flagged))
    return (
        f"{unit.source}: {described(condition[where], model.ranges, model.layout)} in row {int(rows[where])} is "
        "outside the training range; leave such rows out, train on a wider sample, or sample without --strict to have "
        "them flagged."
    )


def _schema(features: Features, plan: InputPlan, request: SampleRequest) -> Schema:
    """Return the columns to write: those that pass through as they are stored, the flag, and the hits."""
    flag = ColumnSpec(name=FLAG, dtype="bool", role="selection")
    return plan.sampled_schema(features).with_columns(
        flag, *(BASF2_COLUMNS if _in_basf2_terms(request) else HIT_COLUMNS)
    )


def _provenance(request: SampleRequest, model: PixelModel, plan: InputPlan) -> dict[str, Any]:
    """Return what the rows depend on, for the sidecar."""
    return {
        **request_record(request, plan, request.tree or model.config.data.tree),
        "command": "pixels sample",
        "seed": request.seed,
        "model": model.sha256,
        "configuration": model.config.model_dump(mode="json", exclude_none=True),
    }
