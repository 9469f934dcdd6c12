"""Sampling of a response model, file to file: streaming, resumable, and the same for any number of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from castalia.apps.simulate.efficiency import PROBABILITY, probabilities
from castalia.apps.simulate.model import NOMINAL, ResponseModel, open_model, sampler_of
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Sampler
from castalia.estimators.storage import model_hash
from castalia.production.file_to_file import FileRequest, estimate_file, refuse_own_input, request_record, write_file
from castalia.production.inputs import EVENT_INDEX, InputPlan, plan_inputs, usable_batches
from castalia.production.units import Produced, Task, Unit
from castalia.rng import Stream
from castalia.runs.inputs import check_rename
from castalia.runs.members import load_member, member_hashes
from castalia.runs.ranges import described
from castalia.runs.validation import draw

__all__ = ["SampleRequest", "SampleTask", "sample"]


@dataclass(frozen=True)
class SampleRequest(FileRequest):
    """What ``castalia simulate sample`` was asked for; see its ``--help`` for each field."""

    draws: int = 1
    members: bool = False
    seed: int = 1


@dataclass(frozen=True)
class SampleTask(Task):
    """Samples one range of one input file.

    Attributes:
        request: What was asked for.
        first_event: Position of each file's first event in the whole input, by file name.
        output_schema: Columns to write.
    """

    request: SampleRequest
    first_event: Mapping[str, int]
    output_schema: Schema

    @property
    def schema(self) -> Schema:
        """Columns of the output."""
        return self.output_schema

    def run(self, unit: Unit) -> Iterator[Produced]:
        """Yield sampled batches of the unit's range."""
        request = self.request
        model = _opened(str(request.run), request.run.stat().st_mtime_ns)
        tree = request.tree or model.config.data.tree
        batches = usable_batches(unit, model.features, tree=tree, rename=request.rename, skip_bad=request.skip_bad)
        for batch in batches:
            produced = self._sample(model, batch.table, batch.rows, unit, batch.number)
            yield Produced(produced.table, {**batch.counts, **produced.counts} if batch.counts else {})

    def _sample(self, model: ResponseModel, table: Table, rows: NDArray[np.int64], unit: Unit, batch: int) -> Produced:
        """Sample the usable events of a batch; ``rows`` are their positions in the file."""
        arrays = model.features.arrays(table)
        flagged = model.outside(arrays.condition)
        if self.request.strict and flagged.any():
            where = int(np.argmax(flagged))
            what = described(arrays.condition[where], model.ranges, model.features.layout)
            raise DataError(
                f"{unit.source}: {what} in row {int(rows[arrays.row[where]])} "
                "is outside the training range; leave such rows out, train on a wider sample, or sample "
                "without --strict to have them flagged."
            )
        sampler = _sampler(str(self.request.run), self.request.run.stat().st_mtime_ns, unit.member)
        rng = Stream(self.request.seed, "response draws", unit.noise_key).at(batch)
        target = np.empty_like(arrays.reference)  # no event may have enough objects
        if len(target):
            target = draw(sampler, events_from_array(arrays.condition), rng)
        extra: dict[str, NDArray[Any]] = {}
        counts: dict[str, int] = {}
        if model.efficiency is not None and model.config.efficiency is not None:
            extra[PROBABILITY] = probability = probabilities(model.efficiency, arrays.condition)
            chance = Stream(self.request.seed, "reconstruction draws", unit.noise_key).at(batch)
            extra[model.config.efficiency.column] = found = chance.random(len(probability)) < probability
            target[~found] = np.nan  # the event stays, so that the acceptance can be computed from the output
            counts["reconstructed"] = int(found.sum())
        output = model.features.outputs(table, arrays, target)
        marked = np.zeros(len(table), dtype=bool)
        np.logical_or.at(marked, arrays.row, flagged)
        # Events without enough objects are gone from the output, except where each object stands for itself.
        kept = np.arange(len(table)) if len(output) == len(table) else np.unique(arrays.row)
        extra["out_of_support"] = marked[kept]
        if self.request.draws > 1 or self.request.members:
            extra[EVENT_INDEX] = self.first_event[unit.source] + rows[kept]
            extra["replica"] = np.full(len(output), unit.draw, dtype=np.int32)
        if self.request.members:
            extra["member"] = np.full(len(output), unit.member, dtype=np.int32)
        counts |= {"incomplete": arrays.incomplete, "flagged": int(marked.sum())}
        return Produced(output.with_columns(extra), counts)


@lru_cache(maxsize=99)  # as many members as there can be: units alternate between them
def _sampler(path: str, changed: int, member: int) -> Sampler:
    model = _opened(path, changed)
    return model.sampler if member == 0 else sampler_of(load_member(model.folder.models, member, NOMINAL), Path(path))


@lru_cache(maxsize=1)
def _opened(path: str, changed: int) -> ResponseModel:  # `changed` renews the cache when the run was replaced
    return open_model(Path(path))


def _plan(request: SampleRequest, model: ResponseModel) -> tuple[InputPlan, Schema]:
    """Return the units of work of all files, and the columns of what is made of them."""
    check_rename(request.rename, model.features.columns_to_sample)
    plan = plan_inputs(
        request.files,
        model.features,
        tree=request.tree or model.config.data.tree,
        rename=request.rename,
        skip_bad_files=request.skip_bad_files,
        draws=request.draws,
        members=model.config.model.members if request.members else 1,
    )
    return plan, plan.sampled_schema(model.features)


def sample(
    request: SampleRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Sample the model for every event of the files and write one output file with its sidecar.

    Identifiers, weights and the truth pass through; ``out_of_support`` flags conditions outside the training range.
    With ``draws > 1`` the output holds every draw, with ``event_index`` (position in the input) and ``replica``; with
    ``members`` it holds every draw of every member of the ensemble, told apart by ``member``, from the same base noise.
    A run with an efficiency adds its probability and whether the event was reconstructed; lost events stay, with NaN.

    Returns:
        Summary with the output's name, counts, content hash and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, or ``strict`` meets a flagged row.
        ModelError: If the run folder holds no usable model, or no members where they are wanted.
    """
    started = time.monotonic()
    refuse_own_input(request, "the sampled events")
    model = open_model(request.run)
    number = model.config.model.members
    members = member_hashes(model.folder, number, NOMINAL) if request.members else ()
    plan, columns = _plan(request, model)
    task = SampleTask(request, plan.first_event, _with_flags(columns, request, model))
    if request.dry_run:
        # Half as many numbers again as columns: objects come in pairs.
        return estimate_file(task, plan, request, copies=request.draws * max(len(members), 1), numbers=1.5)
    return write_file(
        task,
        plan,
        request,
        provenance=_provenance(request, model, members, plan),
        flag="out_of_support",
        began=started,
        progress=progress,
    )


def _provenance(
    request: SampleRequest, model: ResponseModel, members: Sequence[str], plan: InputPlan
) -> dict[str, JsonValue]:
    """Return what the rows depend on, for the sidecar."""
    return {
        **request_record(request, plan, request.tree or model.config.data.tree),
        "command": "simulate sample",
        "seed": request.seed,
        "draws": request.draws,
        "model": model.sha256,
        **({"members": [*members]} if members else {}),
        **({"efficiency": model_hash(model.folder.models / "efficiency")} if model.efficiency else {}),
        "configuration": model.config.model_dump(mode="json", exclude_none=True),
    }


def _with_flags(schema: Schema, request: SampleRequest, model: ResponseModel) -> Schema:
    flags = []
    if model.config.efficiency is not None:
        flags.append(ColumnSpec(name=PROBABILITY, dtype="float64", role="parameter", range=(0.0, 1.0)))
        flags.append(ColumnSpec(name=model.config.efficiency.column, dtype="bool", role="selection"))
    flags.append(ColumnSpec(name="out_of_support", dtype="bool", role="selection"))
    if request.draws > 1 or request.members:
        flags.append(ColumnSpec(name=EVENT_INDEX, dtype="int64", role="identifier"))
        flags.append(ColumnSpec(name="replica", dtype="int32", role="identifier"))
    if request.members:
        flags.append(ColumnSpec(name="member", dtype="int32", role="identifier"))
    taken = next((spec.name for spec in flags if spec.name in schema.names), None)
    if taken is not None:
        raise ConfigError(f"{request.run}: writes a column '{taken}' of its own; give that of the input another name.")
    return schema.with_columns(*flags)
