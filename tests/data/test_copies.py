from pathlib import Path

import numpy as np
import pytest

from castalia.data.copies import content_keys, distinct_contents, distinct_files, overlap
from castalia.data.features import FeatureArrays
from castalia.data.loading import load_arrays
from castalia.data.table import Table
from castalia.errors import DataError
from castalia.rng import Stream


def test_two_files_of_one_content_are_named():
    distinct_contents({Path("a.root"): "1" * 64, Path("b.root"): "2" * 64})
    with pytest.raises(
        DataError, match=r"^a\.root and c\.root: have the same content \(SHA-256 1{12}…\); give only one"
    ):
        distinct_contents({Path("a.root"): "1" * 64, Path("b.root"): "2" * 64, Path("c.root"): "1" * 64})


def test_files_of_equal_length_are_no_copies_unless_their_bytes_are_equal(tmp_path):
    for name, content in (("a", b"123"), ("b", b"124"), ("c", b"123"), ("none", b""), ("nil", b"")):
        (tmp_path / name).write_bytes(content)
    distinct_files([tmp_path / name for name in ("a", "b", "none", "nil", "absent", "a")])
    with pytest.raises(DataError, match=r"a and \S*c: have the same content"):
        distinct_files([tmp_path / name for name in ("a", "b", "c")])


@pytest.mark.parametrize("take", [2, "each"])
def test_keys_follow_the_values_and_not_the_file(tmp_path, features_of, diphoton, diphoton_of, save, take):
    order = Stream(1, "permutation").at().permutation(400)
    single = Table({n: v.astype(np.float32) if (v := diphoton[n]).dtype == float else v for n in diphoton.names})
    for name, table in (
        ("a.root", diphoton),
        ("a.parquet", diphoton),
        ("shuffled.root", diphoton.take(order).with_columns({"event": np.arange(5000, 5400)})),
        ("single.parquet", single),
        ("other.root", diphoton_of(400, seed=2)),  # the same counters run, block and event, but other events
        ("redrawn.root", diphoton.with_columns({"photon_et": diphoton["photon_et"][::-1].copy()})),
    ):
        save(tmp_path / name, table)

    def keys(name):
        return content_keys(load_arrays([tmp_path / name], features_of(take)).arrays)

    one = keys("a.root")
    assert one.dtype == np.uint64
    assert len(np.unique(one)) == len(one) == (400 if take == 2 else 800)
    assert np.array_equal(one, keys("a.parquet"))
    assert np.array_equal(np.sort(one), np.sort(keys("shuffled.root")))
    known = np.sort(one)
    # Angles that cross the seam are rounded elsewhere: E|d phi| / (2 pi) = 1.3 % of photons, 2.5 % + 5 sigma of pairs.
    assert 1.0 - overlap(known, keys("single.parquet")) <= 0.025 + 5 * np.sqrt(0.025 / 400)
    assert overlap(known, keys("other.root")) == overlap(known, keys("redrawn.root")) == 0.0


def test_every_part_of_a_row_counts():
    def keys(condition=1.0, target=2.0, reference=3.0, swap=False):
        pair = [[reference, 5.0]]
        return content_keys(
            FeatureArrays(
                np.array([[condition, 4.0][:: -1 if swap else 1]]),
                None if target is None else np.array([[target, 6.0]]),
                np.array(pair),
                np.ones(1),
                np.zeros(1, dtype=np.int64),
                0,
            )
        )[0]

    others = (keys(condition=1.5), keys(target=2.5), keys(reference=3.5), keys(swap=True), keys(target=None))
    assert len({keys(), *others}) == 6
    assert keys(condition=1.0 + 1e-9) == keys()
    assert keys(condition=-0.0) == keys(condition=0.0)


def test_overlap_is_the_fraction_of_the_second():
    known = np.array([1, 5, 9], dtype=np.uint64)
    assert overlap(known, np.array([9, 2, 1, 10, 0, 5, 5, 7], dtype=np.uint64)) == 0.5
    assert overlap(known, known[:0]) == overlap(known[:0], known) == 0.0
