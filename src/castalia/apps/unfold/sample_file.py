"""Unfolded samples on disk: a Parquet or ROOT file that any tool reads, and its sidecar, which says what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue, ValidationError

from castalia.apps.unfold.unfolded_sample import BinCovariance, Replica, ReplicaKind, TruthColumn, UnfoldedSample
from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Role, Schema
from castalia.data.sidecar import Sidecar, input_sha256, make_sidecar, read_sidecar, sidecar_path, write_sidecar
from castalia.data.strict import StrictModel
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.errors import DataError

__all__ = ["WEIGHT", "read_unfolded", "sample_record", "write_unfolded"]

Array = NDArray[np.float64]

WEIGHT = "unfolded_weight"
"""Column of the events' weights."""

_KEY = "unfolded_sample"
_DRAW_WEIGHT = "unfolded_draw_weight"


class _StoredReplica(StrictModel):
    source: str
    kind: ReplicaKind


class _StoredCovariance(StrictModel):
    column: str
    edges: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


class _Record(StrictModel):
    """What a sidecar says of an unfolded sample beyond its columns."""

    format: Literal[1] = 1
    columns: tuple[str, ...]
    draws: int
    replicas: tuple[_StoredReplica, ...]
    bin_covariances: tuple[_StoredCovariance, ...]
    inputs: dict[str, str]
    model: str


def write_unfolded(path: Path, sample: UnfoldedSample) -> None:
    """Write an unfolded sample and its sidecar; the same sample gives the same bytes in Parquet.

    Truth columns keep their names: one number a row where there is one draw, else a list of all draws. The weights are
    ``unfolded_weight`` and ``unfolded_draw_weight``; a replica has those of its columns that differ from the nominal
    ones, behind its number: ``replica_000_unfolded_weight``.

    Args:
        path: A ``.parquet`` or ``.root`` file; an existing one is replaced.
        sample: What to write.

    Raises:
        ConfigError: If the file's ending is another.
        DataError: If the name of a truth column is taken.
        MachineError: If the disk refuses.
    """
    parts = list(_parts(sample))
    names = [spec.name for spec, _ in parts]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise DataError(f"{path}: the name '{double[0]}' is taken twice in the file; rename that truth column.")
    schema = Schema(columns=tuple(spec for spec, _ in parts))
    with open_writer(path, schema) as writer:
        writer.write(Table({spec.name: values for spec, values in parts}))
    record = _Record(
        columns=tuple(column.name for column in sample.columns),
        draws=sample.values.shape[1],
        replicas=tuple(_StoredReplica(source=r.source, kind=r.kind) for r in sample.replicas),
        bin_covariances=tuple(
            _StoredCovariance(
                column=one.column,
                edges=tuple(map(float, one.edges)),
                covariance=tuple(tuple(map(float, row)) for row in one.covariance),
            )
            for one in sample.bin_covariances
        ),
        inputs=dict(sample.inputs),
        model=sample.model,
    )
    provenance: dict[str, JsonValue] = {**sample.provenance, _KEY: record.model_dump(mode="json")}
    write_sidecar(path, make_sidecar(path, writer.summary, schema, provenance=provenance))


def sample_record(columns: tuple[str, ...], draws: int, inputs: Mapping[str, str], model: str) -> dict[str, JsonValue]:
    """Return what the provenance of a file says that is an unfolded sample without replicas, written piece by piece.

    Args:
        columns: Truth columns of the file: one number a row where there is one draw, else a list of all draws.
        draws: Draws an event.
        inputs: SHA-256 by input file.
        model: Hash of the model.
    """
    record = _Record(columns=columns, draws=draws, replicas=(), bin_covariances=(), inputs=dict(inputs), model=model)
    return {_KEY: record.model_dump(mode="json")}


def read_unfolded(path: Path) -> UnfoldedSample:
    """Read an unfolded sample.

    Raises:
        DataError: If the file or its sidecar is missing, damaged, or does not belong to the other.
    """
    sidecar = read_sidecar(path)
    if sidecar is None or _KEY not in sidecar.provenance:
        raise DataError(
            f"{path}: there is no {sidecar_path(path).name} that calls it an unfolded sample; copy both files together."
        )
    input_sha256(path)
    try:
        record = _Record.model_validate(sidecar.provenance[_KEY])
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DataError(f"{sidecar_path(path)}: '{_KEY}' is wrong ({reason}); make the file again.") from error
    columns = _read_columns(path, sidecar)

    def take(name: str, width: int) -> Any:
        """Return a column as one row of ``width`` draws an event, or ``None`` where the file has none of it."""
        if name not in columns:
            return None
        if columns[name].size != sidecar.file.entries * width:
            raise DataError(f"{path}: column '{name}' has not {width} draws, as its sidecar says; make the file again.")
        return columns[name].reshape(-1, width)

    def values(prefix: str) -> Array | None:
        draws = [take(prefix + name, record.draws) for name in record.columns]
        return None if any(one is None for one in draws) else np.stack(draws, axis=2)

    nominal, weights = values(""), take(WEIGHT, 1)
    if nominal is None or weights is None:
        raise DataError(f"{path}: lacks a column that its sidecar names; make the file again.")
    replicas = [
        Replica(
            one.source,
            one.kind,
            None if (varied := take(_prefix(number) + WEIGHT, 1)) is None else varied[:, 0],
            take(_prefix(number) + _DRAW_WEIGHT, record.draws),
            values(_prefix(number)),
        )
        for number, one in enumerate(record.replicas)
    ]
    return UnfoldedSample(
        columns=tuple(TruthColumn(name, sidecar.columns[name].unit) for name in record.columns),
        values=nominal,
        weights=weights[:, 0],
        draw_weights=take(_DRAW_WEIGHT, record.draws),
        replicas=tuple(replicas),
        bin_covariances=tuple(
            BinCovariance(one.column, np.array(one.edges), np.array(one.covariance)) for one in record.bin_covariances
        ),
        inputs=record.inputs,
        model=record.model,
        provenance={name: value for name, value in sidecar.provenance.items() if name != _KEY},
    )


def _prefix(number: int) -> str:
    return f"replica_{number:03d}_"


def _parts(sample: UnfoldedSample) -> Iterator[tuple[ColumnSpec, Array]]:
    """Yield every column of the file: the nominal ones, then those that replicas have of their own."""
    shared = Replica("", "bootstrap", sample.weights, sample.draw_weights, sample.values)
    prefixes = ("", *(_prefix(number) for number in range(len(sample.replicas))))
    for prefix, one in zip(prefixes, (shared, *sample.replicas), strict=True):
        if one.values is not None:
            for i, column in enumerate(sample.columns):
                yield _part(prefix + column.name, one.values[:, :, i], "target", column.unit)
        if one.weights is not None:
            yield _part(prefix + WEIGHT, one.weights[:, None], "weight")
        if one.draw_weights is not None:
            yield _part(prefix + _DRAW_WEIGHT, one.draw_weights, "weight")


def _part(name: str, values: Array, role: Role, unit: str = "") -> tuple[ColumnSpec, Array]:
    """Declare one column: a list of fixed length, or a number where there is one draw."""
    draws = values.shape[1]
    spec = ColumnSpec(name=name, unit=unit, dtype=str(values.dtype), role=role, shape="flat" if draws == 1 else draws)
    return spec, np.ascontiguousarray(values[:, 0] if draws == 1 else values)


def _read_columns(path: Path, sidecar: Sidecar) -> dict[str, Any]:
    names = list(sidecar.columns)
    with open_reader(path) as reader:
        stored = reader.columns()
        wrong = [name for name in names if name in stored and stored[name].dtype != sidecar.columns[name].dtype]
        if wrong:
            raise DataError(f"{path}: column '{wrong[0]}' is not what its sidecar says; make the file again.")
        table = Table.concatenate(list(reader.iterate(names, reader.count())))
    return {name: table[name] for name in names}
