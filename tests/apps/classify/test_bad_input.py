"""What ``castalia classify`` says of input that it cannot use: file, column, row, and what may be left out."""

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from castalia_console import here
from class_toys import config, events, write

NUMBER = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("bad_input")
    for name, heavy in (("light", False), ("heavy", True)):
        write(path / f"{name}.parquet", events(600, heavy))
    here("classify", "train", config(path), "-o", path / "run").good()
    return path


def changed(**columns):
    return events(NUMBER, heavy=True, seed=4).with_columns(columns)


def with_one(column, value, number=40):
    """One value of a list in a row from ``number`` on."""
    lists = ak.to_list(changed()[column])
    row = next(i for i in range(number, len(lists)) if lists[i])
    lists[row][0] = value
    return {column: ak.Array(lists)}


def longer(number):
    """Jets with one transverse momentum more than they have other numbers, in one row."""
    lists = ak.to_list(changed()["jet_pt"])
    lists[number].append(30.0)
    return {"jet_pt": ak.Array(lists)}


REFUSED = {
    "no column": (lambda: changed().without(["jet_eta"]), "'jet_eta'"),
    "text": (changed, "'met_pt'"),
    "NaN in a list": (lambda: changed(**with_one("jet_pt", np.nan)), "'jet_pt' has 1 values that are NaN or infinite"),
    "infinite in a list": (lambda: changed(**with_one("jet_pt", np.inf)), "'jet_pt' has 1 values"),
    "MeV in a list": (lambda: changed(jet_pt=changed()["jet_pt"] * 1_000.0), "'jet_pt'"),
    "a number for no direction": (lambda: changed(**with_one("jet_eta", -99.0)), "'jet_eta' has 1 values"),
    "a number for no mass": (lambda: changed(**with_one("jet_mass", -99.0)), "'jet_mass' has 1 values"),
    "one number for a list": (lambda: changed(jet_pt=np.full(NUMBER, 30.0)), "but 'jet' needs a list"),
    "a list for one number": (lambda: changed(met_pt=changed()["jet_pt"]), "'met_pt' is a list per event"),
    "lists of unlike lengths": (lambda: changed(**longer(77)), "in row 77)"),
    "no events": (lambda: changed().take(np.zeros(NUMBER, dtype=bool)), "has no entries"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_prediction_refuses_by_name(name, folder, tmp_path):
    make, what = REFUSED[name]
    path = write(tmp_path / "given.parquet", make())
    if name == "text":
        table = pq.read_table(path)
        column = table.schema.get_field_index("met_pt")
        pq.write_table(table.set_column(column, "met_pt", pa.array(["a"] * NUMBER)), path)
    sentence = here("classify", "predict", folder / "run", path, "-o", tmp_path / "s.parquet").refused(3)
    assert what in sentence
    assert "given.parquet" in sentence
    assert not (tmp_path / "s.parquet").exists()


@pytest.mark.parametrize(
    "name", ["NaN in a list", "a number for no mass", "one number for a list", "lists of unlike lengths"]
)
def test_a_training_refuses_by_name(name, folder, tmp_path):
    make, what = REFUSED[name]
    write(tmp_path / "light.parquet", events(600, heavy=False))
    write(tmp_path / "heavy.parquet", make())
    sentence = here("classify", "train", config(tmp_path), "-o", tmp_path / "run").refused(3)
    assert what in sentence
    assert "heavy.parquet" in sentence
    assert not (tmp_path / "run").exists()


def test_a_mass_that_was_rounded_below_zero_is_one(folder, tmp_path):
    path = write(tmp_path / "rounded.parquet", changed(**with_one("jet_mass", -0.02)))
    here("classify", "predict", folder / "run", path, "-o", tmp_path / "s.parquet").good()


def test_bad_rows_are_left_out_where_asked(folder, tmp_path):
    write(tmp_path / "one.parquet", changed(**longer(77)))
    words = ("classify", "predict", folder / "run", tmp_path / "one.parquet", "-o", tmp_path / "s.parquet", "--json")
    counts = here(*words, "--skip-bad", 1).good().json
    assert (counts["read"], counts["skipped"]) == (NUMBER, 1)


@pytest.mark.parametrize("content", [b"damaged", b"", None])
def test_one_bad_file_of_many_is_left_out_where_asked(content, folder, tmp_path):
    for number in range(20):
        write(tmp_path / f"part_{number:02}.parquet", events(10, heavy=True, seed=number + 10))
    bad = tmp_path / "part_13.parquet"
    if content is None:  # a file of the wrong shape
        write(bad, changed(jet_pt=np.full(NUMBER, 30.0)))
    else:
        bad.write_bytes(content)
    words = (
        "classify",
        "predict",
        folder / "run",
        *sorted(tmp_path.glob("part_*.parquet")),
        "-o",
        tmp_path / "s.parquet",
    )
    assert "part_13.parquet" in here(*words).refused(3)
    here(*words, "--skip-bad-files").good()
    assert "part_13.parquet" in (tmp_path / "s.parquet.json").read_text()


def test_a_mass_that_scores_may_follow_is_said(folder, tmp_path):
    for name in ("light", "heavy"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    section = '[decorrelation]\ncolumn = "m_bb"\n'
    said = here("classify", "train", config(tmp_path, further=section), "-o", tmp_path / "follows").good().err
    assert "scores may follow 'm_bb'" in said
