"""Lost events: their targets are not read as data, everything else of them is."""

import awkward as ak
import numpy as np
import pytest

from castalia.data.feature_config import ConditionVariable, DataConfig, EfficiencyConfig, ObjectsConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.loading import load_arrays
from castalia.data.schema import ColumnSpec, Schema
from castalia.data.table import Table
from castalia.data.writers import open_writer
from castalia.errors import ConfigError, DataError


def features(take=2, column="found", objects=True):
    collection = ObjectsConfig(collection="photon", take=take, order_by="pt_true") if objects else None
    return Features(
        DataConfig(files=("a.root",), identifiers=("event",)),
        collection,
        {"pt": ConditionVariable(column="pt_true", unit="GeV", transform="log")},
        {
            "pt": TargetVariable(column="pt", minus="pt_true", unit="GeV", range=(0.0, 100.0)),
            "hits": TargetVariable(column="hits", integer=True),
        },
        EfficiencyConfig(column=column),
    )


def events(found=(1, 0, 1, 0), dtype=np.int32):
    """Four events of two or three photons; lost ones have fewer reconstructed photons, or nonsense in their place."""
    true = [[30.0, 20.0], [50.0, 40.0, 30.0], [25.0, 60.0], [22.0, 21.0]]
    pt = [[31.0, 19.0], [], [24.0, 61.0], [np.nan, 1e9]]
    hits = [[3, 4], [], [5, 6], [7, 8]]
    lists = {"pt_true": true, "pt": pt, "hits": hits}
    return Table(
        {"event": np.arange(4), "found": np.array(found, dtype=dtype)} | {n: ak.Array(v) for n, v in lists.items()}
    )


def written(path, table):
    specs = [
        ColumnSpec(name="event", dtype="int64"),
        ColumnSpec(name="found", dtype=str(table["found"].dtype)),
        *(ColumnSpec(name=n, shape="jagged", collection="photon") for n in ("pt_true", "pt")),
        ColumnSpec(name="hits", dtype="int64", shape="jagged", collection="photon"),
    ]
    with open_writer(path, Schema(columns=tuple(specs))) as writer:
        writer.write(table)
    return path


@pytest.mark.parametrize("dtype", [np.int32, np.bool_, np.float64])
def test_the_rows_stay_in_order_and_lost_ones_have_no_target(dtype):
    arrays = features().arrays(events(dtype=dtype))
    np.testing.assert_array_equal(arrays.row, [0, 1, 2, 3])
    np.testing.assert_array_equal(arrays.found, [True, False, True, False])
    np.testing.assert_array_equal(arrays.condition, [[30, 20], [50, 40], [60, 25], [22, 21]])
    np.testing.assert_array_equal(arrays.reference[:, [0, 2]], arrays.condition)
    np.testing.assert_array_equal(arrays.target[arrays.found], [[1, 3, -1, 4], [1, 6, -1, 5]])
    assert np.isnan(arrays.target[~arrays.found]).all()
    learned = arrays.reconstructed
    np.testing.assert_array_equal(learned.row, [0, 2])
    assert np.isfinite(learned.target).all()


def test_sampling_needs_no_flag_and_writes_nan():
    table = events().select(["event", "pt_true"])
    arrays = features().arrays(table)
    assert arrays.found is None
    assert arrays.target is None
    target = np.zeros((4, 4))
    target[1] = np.nan
    out = features().outputs(table, arrays, target)
    assert out["hits"].dtype == np.float64, "an integer cannot say that it is none"
    assert np.isnan(out["hits"][1]).all()
    np.testing.assert_array_equal(out["pt"][2], [60, 25])
    assert features().columns_to_sample == ("event", "pt_true")
    assert "found" in features().columns


def test_loading_looks_at_the_targets_of_reconstructed_events_only(tmp_path):
    loaded = load_arrays([written(tmp_path / "a.root", events())], features())
    np.testing.assert_array_equal(loaded.arrays.found, [True, False, True, False])
    assert loaded.counts["skipped"] == 0
    # Negative control: were the last event reconstructed, its values would be refused.
    wrong = written(tmp_path / "b.root", events(found=(1, 0, 1, 1)))
    with pytest.raises(DataError, match=r"column 'pt' has 1 values that are NaN or infinite \(first in row 3\)"):
        load_arrays([wrong], features())
    assert load_arrays([wrong], features(), skip_bad=1).counts == {
        "read": 4, "unselected": 0, "selected": 4, "skipped": 1, "incomplete": 0, "rows": 3,
    }  # fmt: skip


def test_a_flag_is_0_or_1(tmp_path):
    path = written(tmp_path / "a.root", events(found=(1, 0, 2, 0)))
    with pytest.raises(DataError, match=r"'found' must be 0 or 1 .*first in row 2"):
        load_arrays([path], features())


def test_declarations_that_contradict_each_other():
    with pytest.raises(ConfigError, match='take = "each"'):
        features(take="each")
    for column in ("pt", "pt_true", "event"):
        with pytest.raises(ConfigError, match=f"'{column}' has another use"):
            features(column=column)
