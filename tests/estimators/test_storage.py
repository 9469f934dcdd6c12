"""Saved models: what is damaged, missing or of another format is named."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from castalia.data.layout import Decays, Layout, Variable
from castalia.errors import ConfigError, ModelError
from castalia.estimators.registry import build
from castalia.estimators.storage import load_model, model_hash, save_model

LAYOUT = Layout((Variable("c"),), (Variable("x", bounds=(0.0, math.inf)), Variable("y", scale=3.0, unit="GeV")))


@pytest.fixture
def folder(tmp_path):
    save_model(
        tmp_path / "ein Modell é", build("masked_autoregressive_flow", {"hidden": [8]}, LAYOUT), LAYOUT, {"a": 1}
    )
    return tmp_path / "ein Modell é"


def _edit(folder, **changes):
    record = json.loads((folder / "model.json").read_text())
    record.update(changes)
    (folder / "model.json").write_text(json.dumps(record))


def test_a_good_folder_loads(folder):
    loaded = load_model(folder)
    assert loaded.layout == LAYOUT
    assert loaded.extra == {"a": 1}
    assert not loaded.estimator.training
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]


def test_saving_replaces_and_the_hash_follows_the_content(folder):
    first = model_hash(folder)
    save_model(folder, load_model(folder).estimator, LAYOUT, {"other": "extra"})
    assert model_hash(folder) == first
    save_model(folder, build("masked_autoregressive_flow", {"hidden": [8]}, LAYOUT, seed=5), LAYOUT)
    assert model_hash(folder) != first


def test_places_and_decays_come_back_and_only_where_there_are_any(folder, tmp_path):
    lists = {"jet": (Variable("pt"),)}
    layout = Layout((), (Variable("x"), Variable("quark_jet")), lists, {"quark_jet": "jet"})
    small = {"hidden": [4], "encoder": {"width": 4, "heads": 1, "blocks": 1}}
    save_model(tmp_path / "places", build("event_flow_matching", small, layout), layout)
    assert load_model(tmp_path / "places").layout == layout
    assert load_model(tmp_path / "places").estimator.choice is not None
    decays = Decays({"z": ("plus", "minus")}, {"plus": 0.1, "minus": 0.1})
    names = ("z_px", "z_py", "z_rapidity", "z_mass", "z_u", "z_v")
    target = (*(Variable(name) for name in names), Variable("plus_mass_number", peaks=True))
    layout = replace(layout, target=target, places={}, decays=decays)
    save_model(tmp_path / "decays", build("event_flow_matching", small, layout), layout)
    assert load_model(tmp_path / "decays").layout == layout
    assert "decays" not in json.loads((tmp_path / "places" / "model.json").read_text())["layout"]
    assert "places" not in json.loads((folder / "model.json").read_text())["layout"]  # as in records of before


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_model(folder)


def test_a_flipped_bit_is_noticed(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="does not match the hash"):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"abc", (2**62).to_bytes(8, "little") + b"{}", b"<html></html>" * 9])
def test_an_oversize_header_or_a_stub_is_noticed(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model.safetensors: is no complete safetensors file"):
        load_model(folder)


def test_valid_hash_of_garbage_is_no_model(folder):
    import hashlib

    content = (20).to_bytes(8, "little") + b"x" * 40
    (folder / "model.safetensors").write_bytes(content)
    _edit(folder, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "null"])
def test_a_record_that_is_no_json_object(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match="model.json: is not the record"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, this version reads format 1"),
        ({"estimator": "gone"}, "no estimator 'gone'"),
        ({"config": {"hidden": [9]}}, "do not fit"),
        ({"config": {"bogus": 1}}, "unknown key 'bogus'"),
        ({"layout": {"condition": []}}, "'layout.target' is wrong"),
        ({"dtype": "int8"}, "'dtype' is wrong"),
    ],
)
def test_a_record_that_does_not_fit(folder, changes, message):
    _edit(folder, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_a_module_without_its_configuration_cannot_be_saved(folder):
    estimator = build("masked_autoregressive_flow", {}, LAYOUT)
    estimator.config = None
    with pytest.raises(ConfigError, match=r"self\.config"):
        save_model(folder, estimator, LAYOUT)


def test_double_precision_survives(folder):
    estimator = build("parametric_smearing", {"bins": 2}, LAYOUT).double()
    estimator.location += math.pi
    save_model(folder, estimator, LAYOUT)
    assert torch.equal(load_model(folder).estimator.location, estimator.location)
    assert load_model(folder).estimator.location.dtype == torch.float64
