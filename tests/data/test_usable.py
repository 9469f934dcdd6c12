import pytest

from castalia.data.readers import open_reader
from castalia.data.usable import usable_files
from castalia.errors import DataError


@pytest.fixture
def look(features_of):
    """Call with paths: which of them can be trained on."""

    def usable(*paths, **options):
        features = features_of()
        return usable_files(paths, features, features.columns, tree=None, **options)

    return usable


def flip(path, place):
    """Change one bit in the middle of a file, where opening it does not look."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_what_is_known_of_good_files(tmp_path, look, save, diphoton):
    paths = [tmp_path / "a.root", tmp_path / "b.parquet"]
    written = [save(path, diphoton) for path in paths]
    for skip_bad in (False, True):
        found = look(*paths, skip_bad=skip_bad)
        assert found.paths == tuple(paths)
        assert found.checksums == {str(path): w.sha256 for path, w in zip(paths, written, strict=True)}
        assert [file.entries for file in found.files.values()] == [len(diphoton)] * 2
        assert set(found.files[paths[0]].columns) == set(diphoton.names)
        assert not found.skipped


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_is_given_once(tmp_path, look, save, diphoton, skip_bad):
    for name in ("a.root", "b.root"):
        save(tmp_path / name, diphoton)
    with pytest.raises(DataError, match=r"a\.root: is given twice; give it once"):
        look(tmp_path / "a.root", tmp_path / "b.root", tmp_path / "a.root", skip_bad=skip_bad)


@pytest.mark.parametrize("fault", ["absent", "empty", "cut short", "without a column"])
def test_a_bad_file_is_refused_or_left_out_with_its_reason(tmp_path, look, save, diphoton, fault, caplog):
    good, bad = tmp_path / "good.root", tmp_path / "bad.root"
    save(good, diphoton)
    if fault == "empty":
        bad.touch()
    elif fault == "cut short":
        bad.write_bytes(good.read_bytes()[:2000])
    elif fault == "without a column":
        save(bad, diphoton.without(["mu"]))
    with pytest.raises(DataError, match=r"bad\.root") as refused:
        look(good, bad)
    found = look(bad, good, skip_bad=True)
    assert found.paths == (good,)
    assert found.skipped == {str(bad): str(refused.value)}
    assert str(bad) in caplog.text


def test_damage_inside_is_found_before_the_work_begins(tmp_path, look, save, diphoton):
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    for path in (good, bad):
        save(path, diphoton)
    flip(bad, bad.stat().st_size // 4)
    with open_reader(bad) as reader, pytest.raises(DataError, match=r"bad\.parquet: is damaged"):
        list(reader.iterate(diphoton.names, 100))
    assert look(good, bad, skip_bad=True).paths == (good,)


def test_none_left_is_an_error(tmp_path, look):
    with pytest.raises(DataError, match=r"none of the 2 files can be used; the first: .*a\.root: cannot be read"):
        look(tmp_path / "a.root", tmp_path / "b.root", skip_bad=True)


def test_columns_can_be_found_by_what_a_file_holds(tmp_path, save, diphoton, features_of, caplog):
    features = features_of()
    with_extra, without = tmp_path / "a.parquet", tmp_path / "b.parquet"
    save(with_extra, diphoton)
    save(without, diphoton.without(["mu"]))
    wanted = tuple(name for name in features.columns if name != "mu")

    def found(stored, where):
        if "mu" not in stored:
            raise DataError(f"{where}: has no mu; write it.")
        return ("mu",)

    for skip_bad in (False, True):
        one = usable_files([with_extra], features, wanted, tree=None, skip_bad=skip_bad, found=found)
        assert "mu" in one.files[with_extra].columns
    assert "mu" not in usable_files([with_extra], features, wanted, tree=None).files[with_extra].columns
    with pytest.raises(DataError, match=r"b\.parquet: has no mu"):
        usable_files([with_extra, without], features, wanted, tree=None, found=found)
    some = usable_files([with_extra, without], features, wanted, tree=None, skip_bad=True, found=found)
    assert some.paths == (with_extra,)
