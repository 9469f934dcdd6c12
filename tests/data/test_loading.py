import numpy as np
import pytest

from castalia.data.feature_config import ConditionVariable, DataConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.loading import load_arrays, split_sources
from castalia.data.sidecar import make_sidecar, write_sidecar
from castalia.data.splits import event_keys, split_of
from castalia.data.table import Table, jagged
from castalia.errors import ConfigError, DataError

SPLITS = ("train", "validation", "test")


def test_splits_part_the_events_and_all_is_all(tmp_path, features_of, diphoton, save):
    save(tmp_path / "a.root", diphoton)
    features = features_of()
    whole = load_arrays([tmp_path / "a.root"], features)
    parts = {split: load_arrays([tmp_path / "a.root"], features, split) for split in SPLITS}
    assert np.array_equal(whole.arrays.condition, features.arrays(diphoton).condition)
    assert np.array_equal(whole.arrays.target, features.arrays(diphoton).target)
    assert whole.counts == {"read": 400, "unselected": 0, "selected": 400, "skipped": 0, "incomplete": 0, "rows": 400}
    rows = np.concatenate([part.arrays.row for part in parts.values()])
    assert sorted(rows.tolist()) == list(range(400))
    for split, part in parts.items():
        assert np.array_equal(part.arrays.condition, whole.arrays.condition[part.arrays.row])
        assert np.array_equal(part.keys, whole.keys[part.arrays.row])
        assert (split_of(part.keys) == SPLITS.index(split)).all()
    chosen = load_arrays([tmp_path / "a.root"], features, lambda keys: split_of(keys) > 0)
    assert len(chosen.keys) == len(parts["validation"].keys) + len(parts["test"].keys)


@pytest.mark.parametrize("take", [2, "each"])
def test_chunks_and_formats_do_not_matter(tmp_path, features_of, diphoton, save, take):
    for ending in ("root", "parquet"):
        save(tmp_path / f"a.{ending}", diphoton)
    one = load_arrays([tmp_path / "a.root"], features_of(take), "train")
    two = load_arrays([tmp_path / "a.parquet"], features_of(take), "train", chunk=37)
    for name in ("condition", "target", "reference", "weight", "row"):
        assert np.array_equal(getattr(one.arrays, name), getattr(two.arrays, name)), name
    assert np.array_equal(one.keys, two.keys)
    assert one.counts == two.counts


def test_all_objects_of_an_event_are_in_one_split(tmp_path, features_of, diphoton, save):
    save(tmp_path / "a.root", diphoton)
    loaded = load_arrays([tmp_path / "a.root"], features_of("each"), "validation")
    assert (np.unique(loaded.arrays.row, return_counts=True)[1] == 2).all()
    assert loaded.counts["rows"] == 2 * loaded.counts["selected"]


def test_rows_are_located_in_their_files(tmp_path, features_of, diphoton_of, save):
    paths = [tmp_path / "a.root", tmp_path / "b.parquet"]
    tables = [diphoton_of(300, seed=1), diphoton_of(200, seed=2)]
    for path, table in zip(paths, tables, strict=True):
        save(path, table)
    loaded = load_arrays(paths, features_of(), "train", chunk=64)
    assert list(loaded.hashes) == [str(path) for path in paths]
    for position, row in enumerate(loaded.arrays.row):
        name, inside = loaded.locate(int(row))
        table = tables[[str(path) for path in paths].index(name)]
        assert table["mu"][inside] == loaded.arrays.condition[position, 4]


def test_values_of_another_split_are_never_looked_at(tmp_path, features_of, diphoton, save):
    keys = event_keys(diphoton, ("run", "luminosityBlock", "event"), "", 0)
    test_rows = np.flatnonzero(split_of(keys) == 2)
    et = diphoton["photon_et"].copy()
    et[test_rows[5], 1] = np.nan
    mu = diphoton["mu"].copy()
    mu[test_rows[:3]] = np.inf
    save(tmp_path / "good.root", diphoton)
    save(tmp_path / "bad.root", diphoton.with_columns({"photon_et": et, "mu": mu}))
    good, bad = (load_arrays([tmp_path / f"{name}.root"], features_of(), "train") for name in ("good", "bad"))
    assert np.array_equal(good.arrays.condition, bad.arrays.condition)
    assert np.array_equal(good.arrays.target, bad.arrays.target)
    with pytest.raises(DataError, match=rf"bad\.root: .*column 'photon_et' .*first in row {test_rows[5]}\)"):
        load_arrays([tmp_path / "bad.root"], features_of(), "test")
    for chunk in (10**6, 13):
        left = load_arrays([tmp_path / "bad.root"], features_of(), "test", skip_bad=4, chunk=chunk)
        assert left.counts["skipped"] == 4
        assert left.counts["rows"] == len(test_rows) - 4
        assert not set(left.arrays.row.tolist()) & {*test_rows[:3].tolist(), int(test_rows[5])}
    with pytest.raises(DataError, match="--skip-bad N"):
        load_arrays([tmp_path / "bad.root"], features_of(), "test", skip_bad=3)


def plain_features(condition=None, **target):
    return Features(
        DataConfig(files=("x.root",), identifiers=("event",)),
        None,
        {"x": ConditionVariable(column="x", **(condition or {}))},
        {"y": TargetVariable(column="y", **target)},
    )


@pytest.mark.parametrize(
    ("column", "value", "features", "said"),
    [
        ("x", 0.0, plain_features({"transform": "log"}), r"column 'x' must be above 0 \(transform = \"log\"\)"),
        ("x", -1.0, plain_features({"transform": "log"}), r"column 'x' must be above 0 \(transform = \"log\"\)"),
        ("x", 0.0, plain_features(over="x"), r"column 'x' must be other than 0 \('y' is taken over it\)"),
        ("x", 1e-310, plain_features(over="x"), r"target 'y' \(column 'y'\) must be finite"),
        ("y", 9.0, plain_features(bounds=(0.0, 9.0)), r"target 'y' \(column 'y'\) must be inside \(0, 9\) \(bounds\)"),
        ("y", 9.0, plain_features(minus="x", bounds=(-6.0, 6.0)), r"target 'y' .*inside \(-6, 6\).*such as 7"),
        ("y", 1.5, plain_features(integer=True), r"target 'y' .*must be whole \(integer = true\)"),
    ],
)
def test_values_that_no_model_can_take_are_named_by_file_and_row_and_left_out(
    tmp_path, save, column, value, features, said
):
    good = Table({"event": np.arange(300), "x": np.full(300, 2.0), "y": np.full(300, 3.0)})
    validation = np.flatnonzero(split_of(event_keys(good, ("event",), "", 0)) == 1)
    values = good[column].copy()
    values[validation[[4, 9]]] = value
    save(tmp_path / "first.root", good.with_columns({"event": 1000 + good["event"]}))
    save(tmp_path / "bad.root", good.with_columns({column: values}))
    paths = [tmp_path / "first.root", tmp_path / "bad.root"]
    whole = load_arrays(paths[:1], features, "validation")
    assert whole.counts["skipped"] == 0
    for chunk in (10**6, 17):
        with pytest.raises(DataError, match=rf"^\S*bad\.root: {said}.*first in row {validation[4]}\).*--skip-bad N"):
            load_arrays(paths, features, "validation", chunk=chunk)
        left = load_arrays(paths, features, "validation", skip_bad=2, chunk=chunk)
        assert left.counts["skipped"] == 2
        bad = 300 + validation[[4, 9]]
        assert not np.isin(bad, left.arrays.row).any()
        assert left.counts["rows"] == whole.counts["rows"] + len(validation) - 2
        with pytest.raises(DataError, match="--skip-bad N"):
            load_arrays(paths, features, "validation", skip_bad=1, chunk=chunk)
    assert load_arrays(paths, features, "train").counts["skipped"] == 0


@pytest.mark.parametrize("take", [2, "each"])
def test_an_event_with_one_bad_object_is_left_out_whole(tmp_path, features_of, diphoton, save, take):
    base = features_of(take)
    bounded = base.target["et"].model_copy(update={"bounds": (-50.0, 50.0)})
    features = Features(base.data, base.objects, base.condition, {**base.target, "et": bounded})
    et = diphoton["photon_et"].copy()
    et[7, 1] = diphoton["photon_et_true"][7, 1] + 60.0
    save(tmp_path / "a.root", diphoton.with_columns({"photon_et": et}))
    with pytest.raises(DataError, match=r"a\.root: target 'et(_2)?' \(column 'photon_et'\).*first in row 7\)"):
        load_arrays([tmp_path / "a.root"], features)
    loaded = load_arrays([tmp_path / "a.root"], features, skip_bad=1)
    assert np.array_equal(np.unique(loaded.arrays.row), np.delete(np.arange(400), 7))
    assert loaded.counts["skipped"] == 1


def test_a_copy_of_a_file_is_refused(tmp_path, features_of, diphoton, diphoton_of, save):
    save(tmp_path / "a.root", diphoton)
    save(tmp_path / "other.root", diphoton_of(400, seed=2))
    (tmp_path / "copy.root").write_bytes((tmp_path / "a.root").read_bytes())
    both = [tmp_path / "a.root", tmp_path / "copy.root"]
    with pytest.raises(DataError, match=r"a\.root and \S*copy\.root: have the same content"):
        load_arrays(both, features_of())
    with pytest.raises(DataError, match=r"a\.root: is given twice"):
        load_arrays([both[0], both[0]], features_of())
    assert load_arrays([both[0], tmp_path / "other.root"], features_of()).counts["rows"] == 800
    for own in ({"test_files": ("copy.root",)}, {"validation_files": ("copy.root",)}):
        with pytest.raises(DataError, match=r"a\.root and \S*copy\.root: have the same content"):
            split_sources(DataConfig(files=("a.root",), **own), tmp_path)
    sources = split_sources(DataConfig(files=("a.root",), test_files=("other.root",)), tmp_path)
    assert sources["test"].paths[0].name == "other.root"


def test_identifiers_that_are_not_whole_are_named_by_file_and_row(tmp_path, features_of, diphoton, save):
    run = np.ones(400)
    save(tmp_path / "good.root", diphoton.with_columns({"run": run}))
    run[123] = 0.5
    save(tmp_path / "a.root", diphoton.with_columns({"run": run}))
    with pytest.raises(DataError, match=r"a\.root: identifier 'run' is no whole number in row 123;"):
        load_arrays([tmp_path / "a.root"], features_of(), chunk=50)
    assert load_arrays([tmp_path / "good.root"], features_of(), chunk=50).counts["rows"] == 400


def test_mev_for_gev_is_refused(tmp_path, features_of, diphoton, save):
    mev = {name: 1000 * diphoton[name] for name in ("photon_et", "photon_et_true")}
    save(tmp_path / "a.root", diphoton.with_columns(mev))
    with pytest.raises(DataError, match=r"a\.root: column 'photon_et_true' is declared in GeV.*MeV"):
        load_arrays([tmp_path / "a.root"], features_of(), skip_bad=10**6)


def test_renamed_branches(tmp_path, features_of, diphoton, save):
    renamed = Table({{"mu": "pileup", "photon_et": "ph_pt"}.get(n, n): diphoton[n] for n in diphoton.names})
    save(tmp_path / "a.root", renamed)
    with pytest.raises(DataError, match="branch 'mu' is not there"):
        load_arrays([tmp_path / "a.root"], features_of())
    loaded = load_arrays([tmp_path / "a.root"], features_of(), rename={"mu": "pileup", "photon_et": "ph_pt"})
    assert np.array_equal(loaded.arrays.condition[:, 4], diphoton["mu"])


def test_without_identifiers_rows_part_the_events(tmp_path, features_of, diphoton, save):
    bare = diphoton.without(["run", "luminosityBlock", "event"])
    save(tmp_path / "a.root", bare)
    whole = load_arrays([tmp_path / "a.root"], features_of(), chunk=7)
    assert np.array_equal(whole.keys, load_arrays([tmp_path / "a.root"], features_of()).keys)
    assert len(np.unique(whole.keys)) == 400
    save(tmp_path / "b.root", diphoton.without(["run"]))
    with pytest.raises(DataError, match=r"b\.root: identifier 'run' is not there"):
        load_arrays([tmp_path / "b.root"], features_of())


def test_events_that_cannot_be_used_are_counted_and_named(tmp_path, features_of, diphoton, save):
    counts = np.arange(400) % 3
    lists = {n: jagged(counts, diphoton[n].ravel()[: counts.sum()]) for n in diphoton.names if n.startswith("photon")}
    save(tmp_path / "a.root", diphoton.with_columns(lists))
    loaded = load_arrays([tmp_path / "a.root"], features_of())
    assert (loaded.counts["incomplete"], loaded.counts["rows"]) == (267, 133)
    same = diphoton.with_columns({"event": np.ones(400, dtype=np.int64)})
    save(tmp_path / "b.root", same)
    empty = [
        split for split in SPLITS if not (split_of(event_keys(same, ("event",), "", 0)) == SPLITS.index(split)).any()
    ]
    features = features_of(identifiers=("event",))
    with pytest.raises(DataError, match=rf"b\.root: none of the 400 events of the {empty[0]} split"):
        load_arrays([tmp_path / "b.root"], features, empty[0])
    wrong = diphoton.with_columns({"photon_eta": np.ones((400, 3))})
    save(tmp_path / "c.root", wrong)
    with pytest.raises(DataError, match=r"c\.root: rows 0 to 399: columns 'photon_et' and 'photon_eta' have lists"):
        load_arrays([tmp_path / "c.root"], features_of())


def test_a_file_that_changed_behind_its_sidecar_is_refused(tmp_path, features_of, diphoton, save):
    path = tmp_path / "a.parquet"
    written = save(path, diphoton)
    from castalia.data.schema import ColumnSpec, Schema

    schema = Schema(
        columns=tuple(ColumnSpec(name=n, shape=2 if diphoton[n].ndim == 2 else "flat") for n in diphoton.names)
    )
    write_sidecar(path, make_sidecar(path, written, schema))
    assert load_arrays([path], features_of()).hashes == {str(path): written.sha256}
    save(path, diphoton.slice(0, 399))
    with pytest.raises(DataError, match="is not the file that"):
        load_arrays([path], features_of())


def test_a_split_must_exist(tmp_path, features_of, diphoton, save):
    save(tmp_path / "a.root", diphoton)
    with pytest.raises(ConfigError, match="no split 'training'; choose one of train, validation, test"):
        load_arrays([tmp_path / "a.root"], features_of(), "training")


def test_patterns_find_files_and_name_what_they_do_not_find(tmp_path):
    folder = tmp_path / "odd [name]*"
    folder.mkdir()
    for name in ("b.root", "a.root", "c.parquet"):
        (folder / name).touch()
    data = DataConfig(files=("*.root", "a.root", "c.parquet"))
    assert [path.name for path in data.paths(folder)] == ["a.root", "b.root", "c.parquet"]
    assert DataConfig(files=(str(tmp_path / "odd*" / "a.root"),)).paths(tmp_path / "elsewhere")[0].name == "a.root"
    with pytest.raises(DataError, match=r"absent\.root: no such file; correct test_files"):
        DataConfig(files=("a.root",), test_files=("absent.root",)).paths(folder, "test_files")


def test_splits_with_files_of_their_own_leave_their_tenth_to_training(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.root").touch()
    keys = event_keys(Table({"event": np.arange(1000)}), ("event",), "", 0)

    def shares(**own):
        sources = split_sources(DataConfig(files=("a.root",), **own), tmp_path)
        return {s: (src.paths[0].name, src.select) for s, src in sources.items()}, sources["train"].select(keys)

    split = split_of(keys)
    named, train = shares()
    assert np.array_equal(train, split == 0)
    assert [named[s] for s in ("validation", "test")] == [("a.root", "validation"), ("a.root", "test")]
    named, train = shares(test_files=("b.root",))
    assert np.array_equal(train, split != 1)
    assert named["test"] == ("b.root", None)
    named, train = shares(test_files=("b.root",), validation_files=("c.root",))
    assert train.all()
    assert named["validation"] == ("c.root", None)
    with pytest.raises(ConfigError, match="is in files and in test_files"):
        shares(test_files=("*.root",))
