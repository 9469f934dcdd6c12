"""What the unfolding benchmarks learn from: the selected events of the samples, all of them and no others."""

import os

import numpy as np
import pytest

from castalia.data.readers import open_reader
from castalia.errors import DataError
from collider_samples import Sample, make_samples
from unfold_data import training_files
from unfold_selected import selected_files


def _read(path):
    with open_reader(path) as reader:
        (table,) = reader.iterate(["event", "jet_pt", "semileptonic"], 100_000)
    return table


def test_selected_events_are_kept_once_for_all(tmp_path):
    names = [path.stem for path in training_files(tmp_path)]
    make_samples([Sample(name, "ttbar", 300, 7 + number) for number, name in enumerate(names)], tmp_path, workers=1)
    files = selected_files(tmp_path)
    for whole, part in zip(training_files(tmp_path), files, strict=True):
        every, kept = _read(whole), _read(part)
        chosen = np.flatnonzero(every["semileptonic"])
        assert 0 < len(chosen) < len(every)  # negative control: not all are
        np.testing.assert_array_equal(kept["event"], every["event"][chosen])
        assert kept["jet_pt"].tolist() == every["jet_pt"][chosen].tolist()
    before = [os.stat(path).st_mtime_ns for path in files]
    assert selected_files(tmp_path) == files
    assert [os.stat(path).st_mtime_ns for path in files] == before
    # Of another sample it is made anew.
    first = training_files(tmp_path)[0]
    for path in tmp_path.glob(f"{first.name}*"):
        path.unlink()
    make_samples([Sample(first.stem, "ttbar", 300, 99)], tmp_path, workers=1)
    assert selected_files(tmp_path) == files
    assert [os.stat(path).st_mtime_ns == old for path, old in zip(files, before, strict=True)] == [False, True, True]


def test_a_sample_that_is_not_there_is_named(tmp_path):
    with pytest.raises((DataError, FileNotFoundError), match="train_1"):
        selected_files(tmp_path)
