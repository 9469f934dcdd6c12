"""HDF5 files: flat and fixed columns, lists by their counts, and what of it may be wrong."""

import h5py
import numpy as np
import pytest

from castalia.cli.inspection import inspect_file
from castalia.data.readers import StoredColumn, open_reader
from castalia.errors import DataError
from castalia.rng import Stream

ROWS = 200
COUNTS = Stream(1, "hdf5 lists").at().poisson(1.5, ROWS)


def fill(path, counts=COUNTS, values=None, **datasets):
    values = np.arange(COUNTS.sum(), dtype=np.float32) if values is None else values
    with h5py.File(path, "w") as file:
        muons = file.create_group("muons")
        muons.attrs["counter"] = np.bytes_("muons/nmuons")
        muons["nmuons"], muons["px"] = counts, values
        muons["charge"] = np.sign(values - 10.0).astype(np.int8)
        for name, content in {"METx": np.arange(ROWS, dtype=">f4"), "cells": np.ones((ROWS, 3)), **datasets}.items():
            file[name] = content
    return path


def read(path, columns, chunk=64, **options):
    with open_reader(path) as reader:
        return list(reader.iterate(columns, chunk, **options))


@pytest.mark.parametrize("ending", ["h5", "hdf5"])
def test_columns_are_described(tmp_path, ending):
    path = fill(tmp_path / f"a.{ending}", names=np.array([b"a", b"b"]), one=3.0, other=np.ones(7))
    with open_reader(path) as reader:
        assert reader.count() == ROWS
        assert reader.columns() == {
            "METx": StoredColumn("float32", "flat"),
            "cells": StoredColumn("float64", "fixed", 3),
            "muons/charge": StoredColumn("int8", "jagged"),
            "muons/nmuons": StoredColumn("int64", "flat"),
            "muons/px": StoredColumn("float32", "jagged"),
        }
        with pytest.raises(DataError, match=r"branch 'other' is of type float64 of shape \(7,\)"):
            next(reader.iterate(["other"], 9))
    assert inspect_file(path, None)[0]["columns"]["muons/px"] == "float32 jagged list"


@pytest.mark.parametrize(("chunk", "start", "stop"), [(64, 0, None), (7, 13, 101), (1000, 199, 9999), (10, 20, 20)])
def test_chunks_are_exact_and_lists_are_those_of_their_events(tmp_path, chunk, start, stop):
    tables = read(fill(tmp_path / "a.h5"), ["muons/px", "METx", "cells"], chunk, start=start, stop=stop)
    stop = min(stop or ROWS, ROWS)
    assert [len(t) for t in tables] == [chunk] * ((stop - start) // chunk) + [(stop - start) % chunk] * (
        (stop - start) % chunk > 0
    )
    ends = np.concatenate([[0], np.cumsum(COUNTS)])
    wanted = [list(range(ends[row], ends[row + 1])) for row in range(start, stop)]
    assert [values for t in tables for values in t["muons/px"].tolist()] == wanted
    assert [value for t in tables for value in t["METx"]] == list(range(start, stop))
    assert all(t["METx"].dtype.isnative and t["cells"].shape[1] == 3 for t in tables)


def test_a_file_without_lists_has_the_length_of_its_datasets(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["flag"] = np.arange(5), np.array([True, False, True, True, False])
    (table,) = read(tmp_path / "a.h5", ["flag", "x"])
    assert table["flag"].tolist() == [True, False, True, True, False]
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"], file["y"] = np.arange(5), np.arange(6)
    refused(tmp_path / "b.h5", "dataset 'x' has 5 rows and 'y' 6; .*'counter'")


# --- faults -----------------------------------------------------------------------------------------------------------


def refused(path, said):
    with pytest.raises(DataError, match=said) as caught, open_reader(path) as reader:
        list(reader.iterate(list(reader.columns()), 1000))
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_hdf5_file_is_refused(tmp_path):
    magic = b"\x89HDF\r\n\x1a\n"
    for content, said in (
        (b"", "is empty"),
        (b"<html>Sign in</html>", "web page"),
        (b"x,y\n1,2\n", "does not begin like a .h5 file"),
        (magic, "damaged"),
        (magic + b"\xff" * 4000, "damaged"),
    ):
        (tmp_path / "a.h5").write_bytes(content)
        refused(tmp_path / "a.h5", said)
    refused(tmp_path / "absent.h5", "does not exist")


def test_every_truncation_is_refused(tmp_path):
    content = fill(tmp_path / "whole.h5").read_bytes()
    for length in np.linspace(8, len(content) - 1, 15).astype(int):
        (tmp_path / "cut.h5").write_bytes(content[:length])
        refused(tmp_path / "cut.h5", "is damaged")


def test_counts_that_do_not_fit_are_refused(tmp_path):
    short = fill(tmp_path / "short.h5", values=np.zeros(COUNTS.sum() - 1))
    refused(
        short, rf"'muons/charge' has {COUNTS.sum() - 1} values, but its counter 'muons/nmuons' counts {COUNTS.sum()}"
    )
    negative = COUNTS.copy()
    negative[7] = -1
    refused(fill(tmp_path / "negative.h5", counts=negative), "counter 'muons/nmuons' is -1 in row 7")
    refused(fill(tmp_path / "real.h5", counts=COUNTS.astype(float)), "names 'muons/nmuons' as its counter, which is no")


def test_a_counter_that_is_not_there_is_refused(tmp_path):
    path = fill(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["muons"].attrs["counter"] = "nowhere"
    refused(path, "group '/muons' names 'nowhere' as its counter")


def test_collections_of_different_events_are_refused(tmp_path):
    path = fill(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.create_group("jets").attrs["counter"] = "jets/n"
        file["jets/n"], file["jets/px"] = np.ones(3, dtype=int), np.zeros(3)
    refused(path, "dataset 'jets/n' has 3 rows and 'muons/nmuons' 200")


def test_a_file_without_events_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.empty(0)
    refused(tmp_path / "a.h5", "has no entries")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["name"] = np.array([b"a"])
    refused(tmp_path / "b.h5", "has no entries")
