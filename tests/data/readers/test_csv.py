"""CSV files: types, chunks, what spreadsheets write, and every fault named by its row and column."""

import numpy as np
import pytest

from castalia.cli.inspection import inspect_file
from castalia.data.readers import StoredColumn, open_reader
from castalia.errors import DataError

TEXT = "Event,MR,nJets\n302318745,215.553,2\n302323641,155,2\n17,-1.5e2,0\n"


@pytest.fixture
def file(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def read(path, columns, chunk=100, **options):
    with open_reader(path) as reader:
        return list(reader.iterate(columns, chunk, **options))


def test_columns_are_described_and_read(file):
    path = file(TEXT)
    with open_reader(path) as reader:
        assert reader.count() == 3
        types = {name: column.dtype for name, column in reader.columns().items()}
    assert types == {"Event": "int64", "MR": "float64", "nJets": "int64"}
    assert reader.columns()["MR"] == StoredColumn("float64", "flat")
    (table,) = read(path, ["MR", "Event"])
    assert table.names == ("MR", "Event")
    assert table["MR"].tolist() == [215.553, 155.0, -150.0]
    assert table["Event"].tolist() == [302318745, 302323641, 17]
    assert table["Event"].dtype == np.int64


def test_inspect_shows_the_columns(file):
    summary, failure = inspect_file(file(TEXT), None)
    assert failure is None
    assert summary["entries"] == 3
    assert summary["columns"] == {"Event": "int64", "MR": "float64", "nJets": "int64"}


@pytest.mark.parametrize(("chunk", "start", "stop"), [(64, 0, None), (7, 13, 401), (1000, 499, 9999), (10, 20, 20)])
def test_chunks_are_exact_and_rows_are_those_asked_for(file, chunk, start, stop):
    path = file("x,y\n" + "".join(f"{row},{row / 8}\n" for row in range(500)))
    tables = read(path, ["y"], chunk, start=start, stop=stop)
    rows = max(0, min(stop or 500, 500) - start)
    assert [len(t) for t in tables] == [chunk] * (rows // chunk) + [rows % chunk] * (rows % chunk > 0)
    assert [value for t in tables for value in t["y"]] == [row / 8 for row in range(start, start + rows)]


def test_what_spreadsheets_write_is_read(file):
    path = file('﻿"x", "y"\r\n"1","2.5"\r\n\r\n 3 , nan \r\n   \n')
    (table,) = read(path, ["x", "y"])
    assert table["x"].tolist() == [1, 3]
    assert table["y"][0] == 2.5
    assert np.isnan(table["y"][1])
    assert len(read(file("x\n1\n2"), ["x"])[0]) == 2, "one column, and no end of the last line"


def test_a_column_can_be_renamed(file):
    with open_reader(file(TEXT), rename={"event": "Event"}) as reader:
        assert next(reader.iterate(["event"], 3))["event"].tolist() == [302318745, 302323641, 17]


def refused(path, said):
    with pytest.raises(DataError, match=said) as caught, open_reader(path) as reader:
        list(reader.iterate(list(reader.columns()), 1000))
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        ("x,y\n", "has no entries"),
        ("\n\n", "no name"),
        ("1,2\n3,4\n", "'1' where a column's name belongs"),
        ("x,\n3,4\n", "no name"),
        ("x,x\n3,4\n", "two columns 'x'"),
        ("x,y\n1,2\n3,abc\n", "column 'y' has 'abc' in row 1, which is no number"),
        ("x,y\n1,2\n,4\n", "column 'x' has '' in row 1"),
        ("x,y\n1,1_000\n", "column 'y' has '1_000' in row 0"),
        ("x,y\n1,2\n3\n", "row 1 has 1 cells instead of 2"),
        ("x,y\n1,2\n3,4,5\n", "row 1 has 3 cells instead of 2"),
        ("x,y\n1,2,3\n4,5,6\n", "row 0 has 3 cells instead of 2"),
        ("x\n9007199254740993\n", "column 'x' has whole numbers of 2\\*\\*53 or more"),
        (bytes(range(256)) * 4, "cells instead of|where a column's name belongs|no number"),
        (b"x,y\n1,\xff\n", "column 'y' has '.' in row 0"),
    ],
)
def test_a_fault_is_named(file, text, said):
    refused(file(text), said)


def test_a_bad_cell_far_down_is_named_by_its_row(file):
    rows = [f"{row},1" for row in range(70_000)]
    rows[66_000] = "66000,?"
    refused(file("x,y\n" + "\n".join(rows)), r"column 'y' has '\?' in row 66000")


def test_a_cut_between_or_inside_lines_is_seen_unless_it_is_in_the_last_number(file):
    for length in range(len("Event,MR,nJets\n302"), len(TEXT) - 1):
        cut = TEXT[:length]
        complete = cut.rstrip("\n").count(",") % 2 == 0 and cut[-1] not in ",-e"
        if not complete:
            refused(file(cut), "cells instead of|no number")


def test_absent_columns_and_files_are_named(file, tmp_path):
    with pytest.raises(DataError, match="branch 'mr' is not there; .*--rename mr=BRANCH"):
        read(file(TEXT), ["mr"])
    refused(tmp_path / "absent.csv", "does not exist")
