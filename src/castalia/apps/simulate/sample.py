"""Sampling of a response model, file to file: streaming, resumable, and the same for any number of workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from castalia import __version__
from castalia.apps.simulate.inputs import check_rename
from castalia.apps.simulate.model import ResponseModel, open_model
from castalia.apps.simulate.validation import draw
from castalia.data.checks import BadRowPolicy, check_table
from castalia.data.loading import distinct_contents
from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.sidecar import input_sha256
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import events_from_array
from castalia.production.pool import produce
from castalia.production.units import Produced, Task, Unit, plan_units
from castalia.rng import Stream

__all__ = ["SampleRequest", "SampleTask", "sample"]

log = logging.getLogger(__name__)

UNIT_EVENTS = 131_072
BATCH_EVENTS = 16_384


@dataclass(frozen=True)
class SampleRequest:
    """What ``castalia simulate sample`` was asked for; see its ``--help`` for each field."""

    run: Path
    files: tuple[Path, ...]
    output: Path
    draws: int = 1
    seed: int = 1
    workers: int = 1
    rename: Mapping[str, str] = field(default_factory=dict)
    tree: str | None = None
    skip_bad: int = 0
    strict: bool = False
    resume: bool = False
    overwrite: bool = False
    dry_run: bool = False


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
        model = _opened(str(self.request.run), self.request.run.stat().st_mtime_ns)
        schema = model.features.input_schema
        policy = BadRowPolicy(self.request.skip_bad)
        stream = Stream(self.request.seed, "response draws", unit.key)
        tree = self.request.tree or model.config.data.tree
        with open_reader(Path(unit.source), tree, self.request.rename) as reader:
            row = unit.start
            columns = model.features.readable(model.features.columns_to_sample, reader.columns(), unit.source)
            for number, table in enumerate(reader.iterate(columns, BATCH_EVENTS, unit.start, unit.stop)):
                rows = np.arange(row, row + len(table))
                row += len(table)
                good = policy.keep(check_table(table, schema, unit.source, int(rows[0])))
                produced = self._sample(model, table.take(good), rows[good], unit, stream.at(number))
                counts = {"read": len(table), "skipped": int((~good).sum()), **produced.counts}
                # An event is read once for each draw, but it is one event.
                yield Produced(produced.table, counts if unit.draw == 0 else {})

    def _sample(
        self, model: ResponseModel, table: Table, rows: NDArray[np.int64], unit: Unit, rng: np.random.Generator
    ) -> Produced:
        """Sample usable events; ``rows`` are their positions in the file."""
        arrays = model.features.arrays(table)
        flagged = model.outside(arrays.condition)
        if self.request.strict and flagged.any():
            where = int(np.argmax(flagged))
            raise DataError(
                f"{unit.source}: {_worst(model, arrays.condition[where])} in row {int(rows[arrays.row[where]])} "
                "is outside the training range; leave such rows out, train on a wider sample, or sample "
                "without --strict to have them flagged."
            )
        target = draw(model.sampler, events_from_array(arrays.condition), rng)
        output = model.features.outputs(table, arrays, target)
        marked = np.zeros(len(table), dtype=bool)
        np.logical_or.at(marked, arrays.row, flagged)
        # Events without enough objects are gone from the output, except where each object stands for itself.
        kept = np.arange(len(table)) if len(output) == len(table) else np.unique(arrays.row)
        extra: dict[str, NDArray[Any]] = {"out_of_support": marked[kept]}
        if self.request.draws > 1:
            extra["event_index"] = self.first_event[unit.source] + rows[kept]
            extra["replica"] = np.full(len(output), unit.draw, dtype=np.int32)
        counts = {"incomplete": arrays.incomplete, "flagged": int(marked.sum())}
        return Produced(output.with_columns(extra), counts)


@lru_cache(maxsize=1)
def _opened(path: str, changed: int) -> ResponseModel:  # `changed` renews the cache when the run was replaced
    return open_model(Path(path))


def _worst(model: ResponseModel, condition: NDArray[np.float64]) -> str:
    low, high = model.ranges.low, model.ranges.high
    column = int(np.argmax((condition < low) | (condition > high)))
    variable = model.features.layout.condition[column]
    unit = f" {variable.unit}" if variable.unit else ""
    return f"{variable.name} = {condition[column]:.6g}{unit} (trained on {low[column]:.6g} to {high[column]:.6g}{unit})"


@dataclass(frozen=True)
class _Plan:
    """The units of work of all input files, and what is known of the files before the first is sampled."""

    units: tuple[Unit, ...]
    first_event: dict[str, int]
    checksums: dict[str, str]
    schema: Schema
    entries: int


def _plan(request: SampleRequest, model: ResponseModel) -> _Plan:
    units: list[Unit] = []
    first_event: dict[str, int] = {}
    checksums: dict[str, str] = {}
    schemas: list[Schema] = []
    entries = 0
    check_rename(request.rename, model.features.columns_to_sample)
    tree = request.tree or model.config.data.tree
    for path in request.files:
        checksums[str(path)] = digest = input_sha256(path)
        with open_reader(path, tree, request.rename) as reader:
            stored, count = reader.columns(), reader.count()
            columns = model.features.readable(model.features.columns_to_sample, stored, str(path))
            next(reader.iterate(columns, 1, 0, 1))
            schemas.append(model.features.output_schema({name: stored[name] for name in columns}))
        first_event[str(path)] = entries
        entries += count
        source = f"{digest} {tree or ''}"
        units += plan_units(source, count, UNIT_EVENTS, request.draws, source=str(path), first_index=len(units))
    distinct_contents({Path(name): digest for name, digest in checksums.items()})
    other = next((path for path, schema in zip(request.files, schemas, strict=True) if schema != schemas[0]), None)
    if other is not None:
        raise DataError(f"{other}: has other columns or types than {request.files[0]}; sample the two separately.")
    return _Plan(tuple(units), first_event, checksums, schemas[0], entries)


def sample(
    request: SampleRequest, progress: Callable[[float, float, float | None], None] | None = None
) -> dict[str, Any]:
    """Sample the model for every event of the files and write one output file with its sidecar.

    Identifiers, weights and the truth pass through; ``out_of_support`` flags conditions outside the training range.
    With ``draws > 1`` the output holds every draw, with ``event_index`` (position in the input) and ``replica``.

    Returns:
        Summary with the output's name, counts, content hash and rate.

    Raises:
        ConfigError: If the output exists and is not to be replaced.
        DataError: If a file, column or row cannot be used, or ``strict`` meets a flagged row.
        ModelError: If the run folder holds no usable model.
    """
    started = time.monotonic()
    if request.output.resolve() in {path.resolve() for path in request.files}:
        raise ConfigError(f"{request.output}: is one of the inputs; write the sampled events to another file.")
    model = open_model(request.run)
    plan = _plan(request, model)
    task = SampleTask(request, plan.first_event, _with_flags(plan.schema, request.draws))
    if request.dry_run:
        return _estimate(task, plan.units[0], plan.entries)
    produced = produce(
        task,
        plan.units,
        request.output,
        workers=request.workers,
        resume=request.resume,
        overwrite=request.overwrite,
        provenance={
            "castalia": __version__,
            "command": "simulate sample",
            "seed": request.seed,
            "draws": request.draws,
            "model": model.sha256,
            "rename": {**request.rename},
            "tree": request.tree or model.config.data.tree,
            "skip_bad": request.skip_bad,
            "strict": request.strict,
            "inputs": {**plan.checksums},
            "configuration": model.config.model_dump(mode="json", exclude_none=True),
        },
        accept=lambda counts: _accept(counts, request),
        progress=progress,
    )
    flagged = produced.counts.get("flagged", 0)
    if flagged:
        log.warning("%d of %d events lie outside the training range (column out_of_support)", flagged, produced.entries)
    seconds = time.monotonic() - started
    return {
        "output": str(request.output),
        "events": produced.entries,
        **produced.counts,
        "sha256": produced.sha256,
        "seconds": round(seconds, 2),
        "events_per_second": round(produced.entries / seconds),
    }


def _accept(counts: Mapping[str, int], request: SampleRequest) -> None:
    """Hold the limit on bad rows over all units; each unit alone only knows its own."""
    if counts.get("skipped", 0) > request.skip_bad:
        raise DataError(
            f"{request.output}: {counts['skipped']} rows of the input cannot be used and --skip-bad allows "
            f"{request.skip_bad}; mend them or allow more."
        )


def _with_flags(schema: Schema, draws: int) -> Schema:
    schema = schema.with_columns(ColumnSpec(name="out_of_support", dtype="bool", role="selection"))
    if draws == 1:
        return schema
    return schema.with_columns(
        ColumnSpec(name="event_index", dtype="int64", role="identifier"),
        ColumnSpec(name="replica", dtype="int32", role="identifier"),
    )


def _estimate(task: SampleTask, unit: Unit, entries: int) -> dict[str, Any]:
    begin = time.monotonic()
    first = next(iter(task.run(unit)))
    seconds = time.monotonic() - begin
    events = max(len(first.table), 1)
    draws = task.request.draws
    return {
        "dry_run": True,
        "entries": entries,
        "estimated_seconds": round(seconds / events * entries * draws / task.request.workers, 1),
        "estimated_bytes": int(8 * len(task.schema.columns) * entries * draws * 1.5),
    }
