"""Ensembles: members are models of their own, sampled from common noise, and survive kills like the nominal model."""

import json
import shutil
import signal
import time
from unittest import mock

import numpy as np
import pytest
from castalia_console import column_hashes, here, read, start, typed, weights, write_config

from castalia.errors import MachineError
from castalia.runs import fitting

MEMBERS = '[model]\npreset = "compact"\nmembers = 3\noptions = { hidden = [16, 16], embedding_bins = 4 }'


def model_bytes(run):
    return {path.parent.name: path.read_bytes() for path in sorted((run / "models").glob("*/model.safetensors"))}


@pytest.fixture(scope="module")
def ensemble(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble")
    here("simulate", "train", write_config(folder / "c.toml", toy, model=MEMBERS), "-o", folder / "run").good()
    return folder / "run"


@pytest.fixture(scope="module")
def sampled(ensemble, toy):
    out = ensemble.parent / "members.parquet"
    here("simulate", "sample", ensemble, toy, "-o", out, "--members", "--draws", 2).good()
    return out


def test_the_nominal_model_is_the_same_with_and_without_members(ensemble, run):
    assert weights(ensemble) == weights(run)
    models = model_bytes(ensemble)
    assert set(models) == {"response", "rival", "member-01", "member-02"}
    assert len(set(models.values())) == 4


def test_every_draw_of_every_member_from_common_noise(sampled, ensemble, toy):
    table = read(sampled)
    number = len(read(toy))
    assert len(table) == number * 2 * 3
    et = np.full((3, 2, number), np.nan)
    response = np.asarray(table["photon_et"])[:, 0] - np.asarray(table["photon_et_true"])[:, 0]
    et[table["member"], table["replica"], table["event_index"]] = response
    assert np.isfinite(et).all(), "a combination of member, replica and event is missing"
    # The same dice: members agree event by event but for their models; other draws have nothing in common but widths.
    assert np.corrcoef(et[0, 0], et[1, 0])[0, 1] > 0.9
    assert abs(np.corrcoef(et[0, 0], et[0, 1])[0, 1]) < 0.2
    assert (et[1] != et[2]).mean() > 0.99
    plain = ensemble.parent / "plain.parquet"
    here("simulate", "sample", ensemble, toy, "-o", plain, "--draws", 2).good()
    alone = read(plain)
    order = np.lexsort((alone["event_index"], alone["replica"]))
    found = np.asarray(alone["photon_et"])[order, 0] - np.asarray(alone["photon_et_true"])[order, 0]
    np.testing.assert_array_equal(found, et[0].ravel(), "member 0 is not the nominal model")


def test_the_sidecar_names_every_model(sampled):
    sidecar = json.loads((sampled.parent / f"{sampled.name}.json").read_text())
    hashes = sidecar["provenance"]["members"]
    assert len(set(hashes)) == 3
    assert hashes[0] == sidecar["provenance"]["model"]


@pytest.mark.slow
def test_members_do_not_depend_on_workers(sampled, ensemble, toy, tmp_path):
    typed(
        "simulate", "sample", ensemble, toy, "-o", tmp_path / "two.root", "--members", "--draws", 2, "--workers", 2
    ).good()
    assert column_hashes(tmp_path / "two.root") == column_hashes(sampled)


def test_a_run_without_members_or_with_unfinished_ones(ensemble, run, toy, tmp_path):
    words = ("simulate", "sample", run, toy, "-o", tmp_path / "out.root", "--members")
    assert "was trained without members; set members = 8" in here(*words).refused(4)
    shutil.copytree(ensemble, tmp_path / "part")
    shutil.rmtree(tmp_path / "part" / "models" / "member-02")
    here("simulate", "sample", tmp_path / "part", toy, "-o", tmp_path / "nominal.root").good()
    words = ("simulate", "sample", tmp_path / "part", toy, "-o", tmp_path / "out.root", "--members")
    assert "has no member-02 yet (1 of 3 models are missing)" in here(*words).refused(4)


def test_two_members_have_no_spread(toy, tmp_path):
    config = write_config(tmp_path / "c.toml", toy, model=MEMBERS.replace("members = 3", "members = 2"))
    assert "has no spread" in here("simulate", "train", config, "-o", tmp_path / "run").refused(2)


def test_a_training_stopped_between_members_goes_on(ensemble, toy, tmp_path):
    config = write_config(tmp_path / "c.toml", toy, model=MEMBERS)
    save = fitting.save_model

    def full(folder, *rest):
        if folder.name == "member-02":
            raise MachineError("the disk is full.")
        save(folder, *rest)

    with mock.patch.object(fitting, "save_model", full):
        here("simulate", "train", config, "-o", tmp_path / "run").refused(1)
    here("simulate", "train", config, "-o", tmp_path / "run", "--resume").good()
    assert model_bytes(tmp_path / "run") == model_bytes(ensemble)


@pytest.mark.slow
def test_killed_within_a_member_and_resumed_has_the_same_bits(toy, tmp_path):
    config = write_config(tmp_path / "c.toml", toy, model=MEMBERS, epochs=30, training="checkpoint_seconds = 0")
    here("simulate", "train", config, "-o", tmp_path / "whole").good()
    for member, kill in (("member-01", signal.SIGKILL), ("member-02", signal.SIGTERM)):
        words = ("simulate", "train", config, "-o", tmp_path / "run")
        process = start(*words, *(["--resume"] if (tmp_path / "run").exists() else []))
        end = time.monotonic() + 120
        while not (tmp_path / "run" / "state" / member / "training.json").exists() and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(kill)
        process.communicate(timeout=60)
        assert process.returncode in (-signal.SIGKILL, 143)
        assert not (tmp_path / "run" / "models" / member).exists(), "killed too late"
    typed("simulate", "train", config, "-o", tmp_path / "run", "--resume").good()
    assert model_bytes(tmp_path / "run") == model_bytes(tmp_path / "whole")
