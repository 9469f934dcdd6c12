"""Parquet files, written with pyarrow; the same content gives the same bytes, whatever the chunks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal, final

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Column, jagged_parts
from castalia.data.writers.base import Writer

__all__ = ["ParquetWriter"]


@final
class ParquetWriter(Writer):
    """A Parquet file; use ``open_writer``.

    Args:
        path: Where the file shall be.
        schema: Its columns.
        compression: ``"zstd"`` for files that are kept, ``"none"`` for files that are read once and removed.
    """

    def __init__(self, path: Path, schema: Schema, compression: Literal["zstd", "none"] = "zstd") -> None:
        super().__init__(path, schema)
        self._compression = compression

    def _start(self, file: IO[bytes]) -> None:
        fields = [pa.field(spec.name, _arrow_type(spec), nullable=False) for spec in self.schema.columns]
        self._schema = pa.schema(fields)
        self._parquet: Any = pq.ParquetWriter(
            file,
            self._schema,
            compression=self._compression,
            write_page_checksum=True,
            store_schema=True,
            use_dictionary=False,
        )

    def _append(self, columns: Mapping[str, Column]) -> None:
        arrays = [_arrow(values, self._schema.field(name).type) for name, values in columns.items()]
        self._parquet.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def _finish(self) -> None:
        self._parquet.close()

    def _abandon(self) -> None:
        self._parquet.close()


def _arrow_type(spec: ColumnSpec) -> Any:
    inner = pa.from_numpy_dtype(spec.numpy_dtype)
    element = pa.field("element", inner, nullable=False)
    if spec.shape == "flat":
        return inner
    return pa.list_(element) if spec.shape == "jagged" else pa.list_(element, spec.shape)


def _arrow(values: Any, kind: Any) -> Any:
    if isinstance(values, ak.Array):
        counts, flat = jagged_parts(values)
        offsets = np.zeros(len(counts) + 1, dtype=np.int32)
        np.cumsum(counts, out=offsets[1:])
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=kind)
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind)
    return pa.array(values, type=kind)
