"""Events that a model has learned from are recognised by their values, and only then left out."""

import numpy as np
import pytest

from castalia.errors import ConfigError, ModelError
from castalia.rng import Stream
from castalia.runs.inputs import check_rename
from castalia.runs.seen import NAME, save_seen, unseen


def keys(count, counter=0):
    return Stream(1, "seen test").at(counter).integers(0, 2**64, count, dtype=np.uint64)


def test_training_events_are_left_out_and_others_kept(tmp_path):
    learned, new = keys(1_000), keys(500, 1)
    save_seen(tmp_path, learned)
    mixed = np.concatenate([new[:200], learned[:300], new[200:]])
    expected = np.concatenate([np.ones(200, bool), np.zeros(300, bool), np.ones(300, bool)])
    assert np.array_equal(unseen(tmp_path, mixed), expected)


def test_events_that_look_alike_are_not_taken_for_copies(tmp_path):
    save_seen(tmp_path, np.repeat(keys(10), 100))
    assert unseen(tmp_path, keys(10)).all()


def test_a_model_without_kept_keys_has_seen_nothing(tmp_path):
    assert unseen(tmp_path, keys(5)).all()


def test_damaged_keys_are_an_error(tmp_path):
    (tmp_path / NAME).write_bytes(b"no safetensors")
    with pytest.raises(ModelError, match=NAME):
        unseen(tmp_path, keys(5))


def test_an_unused_column_cannot_be_renamed():
    check_rename({"mu": "pileup"}, ["mu", "et"])
    with pytest.raises(ConfigError, match="foo"):
        check_rename({"foo": "bar"}, ["mu", "et"])


def test_values_that_meet_by_chance_are_no_copies(tmp_path):
    # A coarse observable: of 16,384 values 200 events take, every fortieth new event meets a learned one.
    coarse = Stream(2, "seen test").at().integers(0, 1 << 14, 200, dtype=np.uint64)
    save_seen(tmp_path, coarse)
    new = Stream(2, "seen test").at(1).integers(0, 1 << 14, 400, dtype=np.uint64)
    assert np.isin(new, coarse).any()
    repeated = 1.0 - len(np.unique(coarse)) / len(coarse)
    assert 0.0 < repeated < 0.01
    assert unseen(tmp_path, new).all()
    # Negative control: real copies among them are more than chance has.
    assert not unseen(tmp_path, np.concatenate([new, coarse[:100]]))[400:].any()
