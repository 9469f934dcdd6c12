"""Lists of objects in a condition: padded, masked, the same whatever the chunks, and refused where they are wrong."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.feature_config import ConditionVariable, DataConfig, ObjectsConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.loading import load_arrays
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError
from castalia.estimators.arrays import batch_from_arrays

JET = {
    "pt": ConditionVariable(column="jet_pt", unit="GeV", transform="log"),
    "phi": ConditionVariable(column="jet_phi"),
}
DATA = DataConfig(files=("*.parquet",))


def features(**changes):
    given = {"met": ConditionVariable(column="met", unit="GeV")}
    return Features(DATA, None, given, {"top": TargetVariable(column="top")}, **{"lists": {"jet": JET}, **changes})


def events(counts=(2, 0, 3)):
    jets = sum(counts)
    return Table(
        {
            "met": np.arange(len(counts), dtype=float) + 10.0,
            "top": np.arange(len(counts), dtype=float),
            "jet_pt": ak.unflatten(np.arange(jets) + 30.0, counts),
            "jet_phi": ak.unflatten(np.arange(jets) / 10.0, counts),
        }
    )


def test_all_objects_are_there_and_nothing_else():
    lists = features().arrays(events()).objects["jet"]
    assert lists.mask.tolist() == [[True, True, False], [False, False, False], [True, True, True]]
    assert lists.values[0].tolist() == [[30.0, 0.0], [31.0, 0.1], [0.0, 0.0]]
    assert lists.values[2, :, 0].tolist() == [32.0, 33.0, 34.0]
    assert not lists.values[~lists.mask].any()


def test_a_table_without_any_object_has_one_place():
    lists = features().arrays(events((0, 0))).objects["jet"]
    assert lists.values.shape == (2, 1, 2)
    assert not lists.mask.any()


def test_the_layout_and_the_columns_name_them():
    assert [v.name for v in features().layout.condition_objects["jet"]] == ["pt", "phi"]
    assert {"jet_pt", "jet_phi"} <= set(features().columns_to_sample)


@pytest.mark.parametrize("chunk", [2, 100])
def test_from_a_file_whatever_the_chunks(tmp_path, save, chunk):
    counts = (1, 0, 4, 2, 7)
    save(tmp_path / "a.parquet", events(counts))
    loaded = load_arrays([tmp_path / "a.parquet"], features(), chunk=chunk).arrays
    expected = features().arrays(events(counts)).objects["jet"]
    np.testing.assert_array_equal(loaded.objects["jet"].mask, expected.mask)
    np.testing.assert_array_equal(loaded.objects["jet"].values, expected.values)
    batch = batch_from_arrays(loaded.condition, loaded.target, objects=loaded.objects)
    assert batch.take(batch.index == 4).condition.objects["jet"].mask.sum() == 7


def test_bad_objects_are_found_in_the_whole_list(tmp_path, save):
    table = events().with_columns({"jet_pt": ak.Array([[30.0, -1.0], [], [32.0, 33.0, np.nan]])})
    save(tmp_path / "a.parquet", table)
    with pytest.raises(DataError, match=r"'jet_pt' has 1 values that are NaN or infinite \(first in row 2\)"):
        load_arrays([tmp_path / "a.parquet"], features())
    assert len(load_arrays([tmp_path / "a.parquet"], features(), skip_bad=2).arrays.row) == 1


def test_what_cannot_be_a_list():
    with pytest.raises(DataError, match="'jet_phi' have lists of 2 and 1 in row 0"):
        features().arrays(events().with_columns({"jet_phi": ak.Array([[0.0], [], [0.0, 0.0, 0.0]])}))
    with pytest.raises(DataError, match="'jet_pt' is one number per event"):
        features().arrays(events().with_columns({"jet_pt": np.ones(3)}))
    with pytest.raises(ConfigError, match="also in a list"):
        features(lists={"jet": {"top": ConditionVariable(column="top")}})
    with pytest.raises(ConfigError, match="belong to whole events"):
        Features(
            DATA, ObjectsConfig(collection="a", take=1), {}, {"top": TargetVariable(column="top")}, lists={"jet": JET}
        )


def test_arrays_of_another_number_of_events_are_refused():
    lists = features().arrays(events()).objects
    with pytest.raises(DataError, match="'jet' has values of shape"):
        batch_from_arrays(np.zeros((2, 1)), None, objects=lists)
