"""What ``castalia unfold sample`` says of input that it cannot use: file, column, row, and what may be left out."""

import time

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from castalia_console import here
from z_toys import config, events, write

NUMBER = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a small model."""
    path = tmp_path_factory.mktemp("bad_input")
    write(path / "z.parquet", events(1_500))
    small = "hidden = [8], encoder = { width = 8, heads = 1, blocks = 1 }"
    here("unfold", "train", config(path, options=small, epochs=1), "-o", path / "run").good()
    return path


def changed(**columns):
    return events(NUMBER, seed=4).with_columns(columns)


def _lists(*lengths):
    """Lists of jets of other lengths than the events of ``changed`` have, from row 7 on."""
    counts = np.asarray(ak.num(changed()["lepton_pt"], axis=1)).copy()
    counts[7:] += np.resize(lengths, len(counts) - 7)
    return ak.unflatten(np.full(int(counts.sum()), 30.0), counts)


def _with(column, row, value):
    """One value of a list in a row that has some."""
    lists = ak.to_list(changed()[column])
    row = next(i for i in range(row, len(lists)) if lists[i])
    lists[row][0] = value
    return {column: ak.Array(lists)}


REFUSED = {
    "no column": (lambda: events(NUMBER, seed=4).without(["met"]), "'met'"),
    "infinite": (lambda: changed(met=np.full(NUMBER, np.inf)), "'met' has 300 values that are NaN or infinite"),
    "negative": (lambda: changed(met=np.full(NUMBER, -1.0)), "'met' must be above 0"),
    "MeV": (lambda: changed(met=np.full(NUMBER, 4e4)), "'met'"),
    "text": (changed, "'met'"),
    "NaN in a list": (lambda: changed(**_with("jet_pt", 5, np.nan)), "'jet_pt' has 1 values that are NaN or infinite"),
    "infinite in a list": (lambda: changed(**_with("jet_pt", 5, np.inf)), "'jet_pt' has 1 values"),
    "MeV in a list": (lambda: changed(jet_pt=events(NUMBER, seed=4)["jet_pt"] * 1_000.0), "'jet_pt'"),
    "one number for a list": (lambda: changed(jet_pt=np.full(NUMBER, 30.0)), "needs a list"),
    "a list for one number": (lambda: changed(met=events(NUMBER, seed=4)["lepton_pt"]), "is a list per event"),
    "lists of unlike lengths": (lambda: changed(lepton_pt=_lists(1)), "(first of 3 and 2 in row 7)"),
    "no events": (lambda: events(NUMBER, seed=4).take(np.zeros(NUMBER, dtype=bool)), "has no entries"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name, folder, tmp_path):
    make, what = REFUSED[name]
    write(tmp_path / "given.parquet", make())
    path = tmp_path / "given.parquet"
    if name == "text":
        table = pq.read_table(path)
        column = table.schema.get_field_index("met")
        pq.write_table(table.set_column(column, "met", pa.array(["a"] * NUMBER)), path)
    before = time.monotonic()
    sentence = here("unfold", "sample", folder / "run", path, "-o", tmp_path / "u.parquet").refused(3)
    assert what in sentence
    assert "given.parquet" in sentence
    assert time.monotonic() - before < 5.0
    assert not (tmp_path / "u.parquet").exists()


def test_damaged_files_are_refused_by_name(folder, tmp_path):
    write(tmp_path / "whole.parquet", changed())
    whole = (tmp_path / "whole.parquet").read_bytes()
    for name, content in {"empty": b"", "cut": whole[: len(whole) // 2], "page": b"<html>"}.items():
        for suffix in ("parquet", "root"):
            path = tmp_path / f"{name}.{suffix}"
            path.write_bytes(content)
            assert path.name in here("unfold", "sample", folder / "run", path, "-o", tmp_path / "u.parquet").refused(3)


def test_one_bad_file_of_many_is_left_out_where_asked(folder, tmp_path):
    for number in range(100):
        write(tmp_path / f"part_{number:02}.parquet", events(10, seed=number + 10))
    (tmp_path / "part_42.parquet").write_bytes(b"damaged")
    words = ("unfold", "sample", folder / "run", *sorted(tmp_path.glob("part_*.parquet")), "-o", tmp_path / "u.parquet")
    assert "part_42.parquet" in here(*words).refused(3)
    here(*words, "--skip-bad-files").good()
    assert "part_42.parquet" in (tmp_path / "u.parquet.json").read_text()


def test_rows_with_lists_of_unlike_lengths_are_left_out_where_asked(folder, tmp_path):
    lists = ak.to_list(changed()["lepton_pt"])
    lists[7].append(30.0)
    write(tmp_path / "one.parquet", changed(lepton_pt=ak.Array(lists)))
    words = ("unfold", "sample", folder / "run", tmp_path / "one.parquet", "-o", tmp_path / "u.parquet", "--json")
    assert "in row 7)" in here(*words).refused(3)
    counts = here(*words, "--skip-bad", 1).good().json
    assert (counts["read"], counts["skipped"]) == (NUMBER, 1)
