"""[data] selection: events that were not selected are counted and not looked at."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from castalia.data.feature_config import ConditionVariable, DataConfig, EfficiencyConfig, TargetVariable
from castalia.data.features import Features
from castalia.data.loading import load_arrays
from castalia.errors import ConfigError, DataError

CHOSEN = np.array([1, 0, 1, 1, 0, 1])


def features(selection="chosen", efficiency=None):
    return Features(
        DataConfig(files=("a.parquet",), selection=selection),
        None,
        {"c": ConditionVariable(column="c")},
        {"x": TargetVariable(column="x")},
        None if efficiency is None else EfficiencyConfig(column=efficiency),
    )


def written(path, flags):
    x = np.where(np.asarray(flags) == 0, np.nan, np.arange(6.0))
    pq.write_table(pa.table({"chosen": flags, "c": np.arange(6.0), "x": x}), path)
    return path


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float64])
def test_only_selected_events_are_read(tmp_path, dtype):
    path = written(tmp_path / "a.parquet", CHOSEN.astype(dtype))
    loaded = load_arrays([path], features(), chunk=4)
    np.testing.assert_array_equal(loaded.arrays.row, [0, 2, 3, 5])
    np.testing.assert_array_equal(loaded.arrays.target[:, 0], [0, 2, 3, 5])
    assert loaded.counts == {"read": 6, "unselected": 2, "selected": 4, "skipped": 0, "incomplete": 0, "rows": 4}
    with pytest.raises(DataError, match="'x'"):  # negative control: without a selection the others' NaN is found
        load_arrays([path], features(selection=None))


@pytest.mark.parametrize("wrong", [2.0, np.nan, -1.0])
def test_a_flag_is_0_or_1(tmp_path, wrong):
    flags = CHOSEN.astype(float)
    flags[3] = wrong
    with pytest.raises(DataError, match=r"'chosen'.* row 3"):
        load_arrays([written(tmp_path / "a.parquet", flags)], features())


def test_no_event_selected(tmp_path):
    with pytest.raises(DataError, match="none of the 6 events"):
        load_arrays([written(tmp_path / "a.parquet", np.zeros(6, int))], features())


def test_sampling_needs_no_selection():
    assert "chosen" not in features().columns_to_sample
    assert "chosen" in features().columns


def test_a_column_of_its_own():
    with pytest.raises(ConfigError, match=r"\[data\] selection = 'x' has another use"):
        features(selection="x")
    with pytest.raises(ConfigError, match="keep one of them"):
        features(efficiency="chosen")
