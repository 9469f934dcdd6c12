import gc
import resource
from contextlib import contextmanager

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest

from castalia.data.readers import open_reader
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table, jagged
from castalia.data.writers import open_writer
from castalia.errors import ConfigError, DataError, MachineError

ENDINGS = ("root", "parquet")


@contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def copy(source, target, schema, chunk):
    with open_reader(source) as reader, open_writer(target, schema) as writer:
        for table in reader.iterate(schema.names, chunk):
            writer.write(table)
    return writer.summary


def test_content_survives_any_chain_of_formats_and_chunks(tmp_path, mixed_of, mixed_schema, save):
    table = mixed_of(3000)
    first = save(tmp_path / "a.root", table, mixed_schema, chunk=700)
    second = copy(tmp_path / "a.root", tmp_path / "b.parquet", mixed_schema, 311)
    third = copy(tmp_path / "b.parquet", tmp_path / "c.root", mixed_schema, 10**6)
    assert first.column_hashes == second.column_hashes == third.column_hashes
    assert first.entries == second.entries == third.entries == 3000
    with open_reader(tmp_path / "c.root") as reader:
        found = next(reader.iterate(mixed_schema.names, 10**6))
    for name in table.names:
        assert ak.array_equal(found[name], table[name], dtype_exact=True), name
    other = save(tmp_path / "d.root", table.with_columns({"mu": table["mu"] + 1e-12}), mixed_schema)
    assert [n for n in table.names if other.column_hashes[n] != first.column_hashes[n]] == ["mu"]


def test_parquet_bytes_depend_on_the_content_only(tmp_path, mixed_of, mixed_schema, save):
    table = mixed_of(70_000)  # more than one row group
    one = save(tmp_path / "a.parquet", table, mixed_schema)
    two = save(tmp_path / "b.parquet", table, mixed_schema, chunk=9_999)
    assert one == two
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.num_row_groups == 2
    changed = save(tmp_path / "c.parquet", mixed_of(70_001), mixed_schema)
    assert changed.sha256 != one.sha256


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_is_there_at_the_end_only(tmp_path, mixed, mixed_schema, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("old")
    writer = open_writer(path, mixed_schema)

    def write_half():
        with writer:
            writer.write(mixed)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="not written yet"):
        _ = writer.summary
    with open_writer(path, mixed_schema) as writer:
        writer.write(mixed)
        assert path.read_text() == "old"
    assert writer.summary.bytes == path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("rows", "limit"), [(200_000, 300_000), (2_000, 10_000), (200, 200)])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, mixed_of, mixed_schema, ending, rows, limit):
    path = tmp_path / f"a.{ending}"
    table = mixed_of(rows)
    with largest_file(limit):
        writer = open_writer(path, mixed_schema)
        with pytest.raises(MachineError, match="cannot be written.*free some space") as caught, writer:
            writer.write(table)
        del writer
        gc.collect()  # nothing may come back to life when the libraries' objects are collected
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_differs_from_the_schema_is_refused(tmp_path, mixed, mixed_schema, ending):
    path = tmp_path / f"a.{ending}"
    for change, said in (
        (mixed.without(["mu"]), "column 'mu' is missing"),
        (mixed.with_columns({"extra": mixed["mu"]}), "column 'extra' is not in the schema"),
        (mixed.with_columns({"mu": mixed["photon_et"]}), "column 'mu' is 2, but declared flat"),
        (mixed.with_columns({"photon_et": np.ones((500, 3))}), "column 'photon_et' is 3, but declared 2"),
        (mixed.with_columns({"jet_pt": mixed["mu"]}), "column 'jet_pt' is flat, but declared jagged"),
        (mixed.with_columns({"event": mixed["mu"]}), "column 'event' holds float64 values that do not fit"),
        (mixed.with_columns({"photon_id": np.full((500, 2), 256)}), "column 'photon_id' holds int64 values"),
        (mixed.with_columns({"photon_id": np.full((500, 2), -1)}), "column 'photon_id' holds int64 values"),
    ):
        with pytest.raises(DataError, match=said), open_writer(path, mixed_schema) as writer:
            writer.write(change)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_numbers_that_fit_are_converted(tmp_path, mixed, mixed_schema, save, ending):
    wide = mixed.with_columns({"photon_id": mixed["photon_id"].astype(np.int64), "event": mixed["event"].astype("u4")})
    assert save(tmp_path / f"a.{ending}", wide, mixed_schema) == save(
        tmp_path / f"b.{ending}", mixed, mixed_schema
    ) or (
        ending == "root"  # a ROOT file holds the time it was made
    )


def test_a_jagged_column_may_not_meet_its_counter(tmp_path):
    schema = Schema(columns=(ColumnSpec(name="pt", shape="jagged"), ColumnSpec(name="npt", dtype="int64")))
    with pytest.raises(DataError, match="'npt' has the name of the counter"):
        open_writer(tmp_path / "a.root", schema)
    table = Table({"pt": jagged(np.array([2, 0]), np.ones(2)), "npt": [2, 0]})
    with open_writer(tmp_path / "a.parquet", schema) as writer:
        writer.write(table)
    assert writer.summary.entries == 2


def test_other_endings_are_refused(tmp_path, mixed_schema):
    with pytest.raises(ConfigError, match=r"name the output \.root or \.parquet"):
        open_writer(tmp_path / "a.csv", mixed_schema)
