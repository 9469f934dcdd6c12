import json

import pytest
import torch

import castalia.training.checkpoint as checkpoint_module
from castalia.errors import MachineError, ModelError
from castalia.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def save(folder, number):
    save_checkpoint(folder, Checkpoint({"raw/w": torch.full((3,), float(number))}, {"number": number, "x": 0.1 + 0.2}))


def test_round_trip_is_exact_and_leaves_two_files(tmp_path):
    for number in range(3):
        save(tmp_path, number)
    loaded = load_checkpoint(tmp_path)
    assert loaded.record == {"number": 2, "x": 0.1 + 0.2}
    assert torch.equal(loaded.tensors["raw/w"], torch.full((3,), 2.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training-00000003.safetensors", "training.json"]


def test_nothing_saved_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "absent") is None


def test_orphans_are_swept_and_the_last_good_one_loads(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "training-00000002.safetensors").write_bytes(b"half")
    (tmp_path / ".training-00000003.safetensors.partial-77-0").write_bytes(b"half")
    (tmp_path / ".training.json.partial-77-1").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    assert load_checkpoint(tmp_path).record["number"] == 1
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["notes.txt", "training-00000001.safetensors", "training.json"]
    save(tmp_path, 2)
    assert load_checkpoint(tmp_path).record["number"] == 2


def test_shared_and_strided_tensors_are_saved(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    save_checkpoint(tmp_path, Checkpoint({"a": base.T, "b": base}, {}))
    loaded = load_checkpoint(tmp_path).tensors
    assert torch.equal(loaded["a"], base.T)
    assert torch.equal(loaded["b"], base)


def test_a_disk_that_fills_between_the_two_files_leaves_the_first_checkpoint(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(path, obj):
        raise MachineError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "write_json", full)
        with pytest.raises(MachineError, match="planted"):
            save(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training-00000001.safetensors", "training.json"]
    assert load_checkpoint(tmp_path).record["number"] == 1


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def test_damage_is_a_model_error_naming_the_file(tmp_path):
    save(tmp_path, 1)
    tensors, record = tmp_path / "training-00000001.safetensors", tmp_path / "training.json"
    flip(tensors)
    with pytest.raises(ModelError, match=r"training-00000001\.safetensors: its content differs"):
        load_checkpoint(tmp_path)
    flip(tensors)
    assert load_checkpoint(tmp_path) is not None
    header = json.loads(record.read_text())
    for change, message in [
        ({"format": 2}, "format 2"),
        ({"tensors": "../training-00000001.safetensors"}, "outside its own folder"),
        ({"tensors": "training-9.safetensors"}, "not readable"),
    ]:
        record.write_text(json.dumps({**header, **change}))
        with pytest.raises(ModelError, match=message):
            load_checkpoint(tmp_path)
    record.write_text("{")
    with pytest.raises(ModelError, match=r"training\.json: not readable"):
        load_checkpoint(tmp_path)
    record.write_text("[]")
    with pytest.raises(ModelError, match="not a training checkpoint"):
        load_checkpoint(tmp_path)
