import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from castalia.data.readers import StoredColumn, open_reader
from castalia.errors import DataError

ENDINGS = ("root", "parquet")


def read(path, columns, chunk=64, **options):
    with open_reader(path) as reader:
        return list(reader.iterate(columns, chunk, **options))


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_are_described(tmp_path, mixed, mixed_schema, save, ending):
    save(tmp_path / f"a.{ending}", mixed, mixed_schema)
    with open_reader(tmp_path / f"a.{ending}", "events") as reader:
        assert reader.count() == 500
        assert reader.columns() == {
            "event": StoredColumn("int64", "flat"),
            "mu": StoredColumn("float64", "flat"),
            "good": StoredColumn("bool", "flat"),
            "photon_et": StoredColumn("float64", "fixed", 2),
            "photon_id": StoredColumn("uint8", "fixed", 2),
            "jet_pt": StoredColumn("float32", "jagged"),
            "jet_charge": StoredColumn("int32", "jagged"),
        }


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("chunk", "start", "stop"), [(64, 0, None), (7, 13, 401), (1000, 499, 9999), (10, 20, 20)])
def test_chunks_are_exact_and_rows_are_those_asked_for(tmp_path, mixed, mixed_schema, save, ending, chunk, start, stop):
    save(tmp_path / f"a.{ending}", mixed, mixed_schema, chunk=100)
    tables = read(tmp_path / f"a.{ending}", ["jet_pt", "event", "photon_et"], chunk, start=start, stop=stop)
    rows = max(0, min(stop or 500, 500) - start)
    assert [len(t) for t in tables] == [chunk] * (rows // chunk) + [rows % chunk] * (rows % chunk > 0)
    for name in ("jet_pt", "event", "photon_et"):
        found = [row for table in tables for row in table[name].tolist()]
        assert found == mixed[name][start : start + rows].tolist()
    assert all(t.names == ("jet_pt", "event", "photon_et") for t in tables)


def test_chunks_cross_parquet_row_groups_and_root_baskets(tmp_path):
    values = np.arange(1000)
    pq.write_table(pa.table({"x": values}), tmp_path / "a.parquet", row_group_size=37)
    with uproot.recreate(tmp_path / "a.root") as file:
        tree = file.mktree("t", {"x": "int64"})
        for start in range(0, 1000, 37):
            tree.extend({"x": values[start : start + 37]})
    for ending in ENDINGS:
        tables = read(tmp_path / f"a.{ending}", ["x"], 100, start=50, stop=950)
        assert [len(t) for t in tables] == [100] * 9
        assert np.array_equal(np.concatenate([t["x"] for t in tables]), values[50:950])


def test_of_a_parquet_row_group_nothing_is_read_beyond_the_rows_asked_for(tmp_path, monkeypatch):
    pq.write_table(pa.table({"x": np.arange(1000)}), tmp_path / "a.parquet")
    taken, batches = [], pq.ParquetFile.iter_batches

    def counted(self, **options):
        return (taken.append(batch) or batch for batch in batches(self, **options))

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    (table,) = read(tmp_path / "a.parquet", ["x"], 1, stop=1)
    assert (len(table), len(taken)) == (1, 1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_renamed_branch_is_read_under_the_column_name(tmp_path, mixed, mixed_schema, save, ending):
    path = tmp_path / f"a.{ending}"
    save(path, mixed, mixed_schema)
    with open_reader(path, rename={"pileup": "mu", "event": "jet_charge", "lost": "nowhere"}) as reader:
        names = {"pileup", "mu", "event", "good", "photon_et", "photon_id", "jet_pt", "jet_charge"}
        assert set(reader.columns()) == names
        assert reader.columns()["event"] == reader.columns()["jet_charge"]
        table = next(reader.iterate(["event", "pileup"], 500))
        assert table["event"].tolist() == mixed["jet_charge"].tolist()
        assert np.array_equal(table["pileup"], mixed["mu"])
        with pytest.raises(DataError, match=r"branch 'nowhere' \(for column 'lost'\) is not there"):
            next(reader.iterate(["lost"], 10))


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_branch_can_serve_several_columns(tmp_path, mixed, mixed_schema, save, ending):
    path = tmp_path / f"a.{ending}"
    save(path, mixed, mixed_schema)
    with open_reader(path, rename={"a": "mu", "b": "mu", "event": "photon_id", "photon_id": "event"}) as reader:
        table = next(reader.iterate(["a", "b", "mu", "event", "photon_id"], 500))
    assert all(np.array_equal(table[name], mixed["mu"]) for name in ("a", "b", "mu"))
    assert np.array_equal(table["event"], mixed["photon_id"])
    assert np.array_equal(table["photon_id"], mixed["event"])
    with (
        open_reader(path, rename={"mu": "nowhere"}) as reader,  # its own branch must not stand in for the one named
        pytest.raises(DataError, match=r"branch 'nowhere' \(for column 'mu'\) is not there; the file has event, mu"),
    ):
        next(reader.iterate(["mu"], 500))


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_absent_column_is_named_with_the_close_ones(tmp_path, mixed, mixed_schema, save, ending):
    path = tmp_path / f"a.{ending}"
    save(path, mixed, mixed_schema)
    with pytest.raises(DataError, match=rf"a\.{ending}: branch 'photon_ett' is not there; did you mean 'photon_et'"):
        read(path, ["photon_ett"])
    with pytest.raises(DataError, match="the file has event, mu, good.*--rename zzz=BRANCH"):
        read(path, ["event", "zzz"])


def test_a_column_of_another_type_is_refused_with_its_type(tmp_path):
    pq.write_table(pa.table({"x": [1], "name": ["a"], "nested": [[[1]]]}), tmp_path / "a.parquet")
    with uproot.recreate(tmp_path / "a.root") as file:
        tree = file.mktree("t", {"x": "int64", "square": np.dtype(("f8", (2, 2)))})
        tree.extend({"x": np.ones(1, dtype=int), "square": np.ones((1, 2, 2))})
    for name, ending in (("name", "parquet"), ("nested", "parquet"), ("square", "root")):
        with pytest.raises(DataError, match=f"branch '{name}' is of type .*only numbers"):
            read(tmp_path / f"a.{ending}", [name])


def test_nulls_become_nan_in_floats_and_are_refused_elsewhere(tmp_path):
    table = {"f": pa.array([1.0, None]), "i": pa.array([1, None]), "l": pa.array([[1.0], None])}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    assert np.isnan(read(tmp_path / "a.parquet", ["f"])[0]["f"]).tolist() == [False, True]
    for name in "il":
        with pytest.raises(DataError, match=f"column '{name}' has 1 nulls near row 1"):
            read(tmp_path / "a.parquet", [name])


def test_a_counter_shared_by_branches_stays_and_uproots_own_is_hidden(tmp_path):
    lists = ak.Array([[1.0], [], [2.0, 3.0]])
    with uproot.recreate(tmp_path / "a.root") as file:
        tree = file.mktree("Events", {"Photon": "var * {pt: float32, eta: float32}", "jet": "var * float64"})
        tree.extend({"Photon": ak.zip({"pt": lists, "eta": lists}), "jet": lists})
    with open_reader(tmp_path / "a.root") as reader:
        assert set(reader.columns()) == {"nPhoton", "Photon_pt", "Photon_eta", "jet"}
        assert next(reader.iterate(["nPhoton"], 9))["nPhoton"].tolist() == [1, 0, 2]


def test_a_file_name_may_have_colons_and_glob_characters(tmp_path, mixed, mixed_schema, save):
    for ending in ENDINGS:
        path = tmp_path / f"a:b*[1].{ending}"
        save(path, mixed, mixed_schema)
        assert len(read(path, ["mu"], 500)[0]) == 500


# --- faults -----------------------------------------------------------------------------------------------------------


def read_all(path, tree):
    with open_reader(path, tree) as reader:
        return list(reader.iterate(list(reader.columns()), 1000))


def refused(path, said, tree=None):
    with pytest.raises(DataError, match=said) as caught:
        read_all(path, tree)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    assert caught.value.exit_code == 3


@pytest.mark.timeout(30)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_event_file_is_refused(tmp_path, ending):
    for name, content, said in (
        ("empty", b"", "is empty"),
        ("page", b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        ("noise", bytes(range(256)) * 4, "does not begin like"),
        ("magic", b"root" if ending == "root" else b"PAR1", "damaged"),
        ("long", (b"root" if ending == "root" else b"PAR1") + b"\xff" * 4000, "cut short|damaged"),
    ):
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(content)
        refused(path, said)
    refused(tmp_path / f"absent.{ending}", "does not exist")
    (tmp_path / f"folder.{ending}").mkdir()
    refused(tmp_path / f"folder.{ending}", "cannot be read")


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_truncation_is_refused(tmp_path, mixed, mixed_schema, save, ending):
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    save(whole, mixed, mixed_schema)
    content = whole.read_bytes()
    for length in np.linspace(4, len(content) - 1, 25).astype(int):
        cut.write_bytes(content[:length])
        refused(cut, "is cut short|is damaged")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_without_rows_is_refused(tmp_path, mixed, mixed_schema, save, ending):
    path = tmp_path / f"a.{ending}"
    assert save(path, mixed.slice(0, 0), mixed_schema).entries == 0
    refused(path, "has no entries")


def test_the_tree_must_exist_and_be_a_tree(tmp_path, mixed, mixed_schema, save):
    save(tmp_path / "a.root", mixed, mixed_schema, tree="events")
    refused(tmp_path / "a.root", "there is no tree 'Events'; the file has the trees events", tree="Events")
    with uproot.recreate(tmp_path / "b.root") as file:
        file["h"] = np.histogram([1.0])
        for name in ("one", "two"):
            file.mktree(name, {"x": "int64"}).extend({"x": np.ones(3, dtype=int)})
    refused(tmp_path / "b.root", r"has 2 TTrees: one, two; name one with \[data\] tree or --tree")
    refused(tmp_path / "b.root", "'h' is a TH1.*, not a TTree", tree="h")
    with open_reader(tmp_path / "b.root", "two") as reader:
        assert reader.count() == 3


def test_an_rntuple_is_refused_with_the_cure(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple("events", {"x": np.ones(3)})
    for tree in (None, "events"):
        refused(tmp_path / "a.root", r"RNTuple is not read yet; write a TTree \(with uproot: mktree\)", tree=tree)
    with uproot.recreate(tmp_path / "b.root") as file:
        file.mktree("events", {"x": "float64"}).extend({"x": np.ones(3)})
    assert len(read_all(tmp_path / "b.root", "events")[0]) == 3


def test_other_endings_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    refused(tmp_path / "a.txt", "end in .root, .parquet, .h5, .hdf5 or .csv")
