"""castalia pixels train: a run folder with all that made it, and refusals before there is one."""

import json
import os
import shutil
import signal
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from castalia_console import here, listing
from pixel_toys import MODEL, TRAINING, config, events, hits, write

from castalia.apps.pixels.train import TrainRequest, train
from castalia.data.splits import event_keys, split_of
from castalia.detectors.pxd.columns import hit_lists, hits_of
from castalia.errors import StoppedError


def record(run):
    return json.loads((run / "run.json").read_text())


def weights(run):
    return (run / "models" / "background" / "model.safetensors").read_bytes()


def trained(path, output, *words):
    return here("pixels", "train", path, "-o", output, *words)


def test_a_run_says_what_it_was_made_from(desk):
    found = record(desk / "run")
    assert found["application"] == "pixels"
    assert found["splits"] == {str(desk / "training.parquet"): "split"}
    results = found["results"]
    assert results["training_events"] + results["validation_events"] == pytest.approx(180, abs=15)
    assert results["training_hits"] == pytest.approx(45 * results["training_events"], rel=0.1)
    assert results["sensors_without_hits"] == []
    extra = json.loads((desk / "run" / "models" / "background" / "model.json").read_text())["extra"]
    low, high = extra["condition_ranges"]["luminosity"]
    assert 0.5 <= low < 0.52
    assert 0.98 < high <= 1.0
    assert extra["condition_ranges"]["pressure"] == [1.0, 1.0]
    columns = {one["name"]: one for one in json.loads((desk / "run" / "schema.json").read_text())["columns"]}
    assert columns["luminosity"]["range"] == [low, high]


def test_resumed_seeded_and_overwritten(desk, tmp_path):
    path, run = desk / "pixels.toml", tmp_path / "run"
    summary = trained(path, run, "--json").good().json
    assert weights(run) == weights(desk / "run")
    assert "--overwrite" in trained(path, run).refused(2)
    assert trained(path, run, "--resume", "--json").good().json["model"] == summary["model"]
    assert "another configuration" in trained(path, run, "--resume", "--seed", 2).refused(2)
    assert trained(path, run, "--overwrite", "--seed", 2, "--json").good().json["model"] != summary["model"]


def test_a_stopped_training_goes_on_to_the_same_bits(desk, tmp_path):
    def stop(done, total, seconds_left, text=""):
        if done > 0.5 * total:
            os.kill(os.getpid(), signal.SIGTERM)

    # Long enough for a report between two steps, of which there are five a second.
    text = TRAINING.replace("epochs = 3", "epochs = 40")
    path = config(tmp_path / "pixels.toml", desk / "training.parquet", training=text)
    whole = train(TrainRequest(path, tmp_path / "whole"))
    stopped = TrainRequest(path, tmp_path / "stopped")
    with pytest.raises(StoppedError, match="--resume"):
        train(stopped, stop)
    assert record(stopped.output)["status"] == "started"
    assert not (stopped.output / "models").exists()
    assert train(replace(stopped, resume=True))["model"] == whole["model"]


@pytest.mark.parametrize("preset", ["iea_gan_tiny", "yoneda_tiny", "negative_binomial_clusters", "superposition"])
def test_every_kind_of_model_is_trained_and_samples(preset, tmp_path):
    write(tmp_path / "few.parquet", events(16))
    model, training = f'[model]\npreset = "{preset}"\n', "[training]\nepochs = 1\nbatch_size = 4\n"
    path = config(tmp_path / "few.toml", tmp_path / "few.parquet", model=model, training=training)
    trained(path, tmp_path / "run").good()
    words = ("pixels", "sample", tmp_path / "run", tmp_path / "few.parquet", "--json", "-o")
    assert here(*words, tmp_path / "sampled.parquet").good().json["hits"] > 0


def test_a_dry_run_writes_nothing(desk, tmp_path):
    before = listing(desk)
    summary = trained(desk / "pixels.toml", tmp_path / "run", "--dry-run", "--json").good().json
    assert summary["dry_run"] is True
    assert (summary["estimator"], summary["entries"], summary["parameters"]) == ("ToyPixels", 200, 40)
    assert listing(desk) == before
    assert not list(tmp_path.iterdir())


def test_only_the_training_split_matters(desk, tmp_path):
    table = events(200)
    # Damaged hits and conditions in an event of the test split are nobody's business yet.
    keys = event_keys(table, ("run", "luminosityBlock", "event"), "", 0)
    test = np.flatnonzero(split_of(keys) == 2)
    luminosity = np.array(table["luminosity"])
    luminosity[test] = np.nan
    lists = table["pxd_u"].to_list()
    lists[test[0]] = lists[test[0]][:-1]
    changed = table.with_columns({"luminosity": luminosity, "pxd_u": ak.values_astype(ak.Array(lists), np.uint8)})
    path = config(tmp_path / "pixels.toml", write(tmp_path / "other.parquet", changed))
    trained(path, tmp_path / "run").good()
    assert weights(tmp_path / "run") == weights(desk / "run")


def test_a_sensor_without_hits_is_warned_of_and_recorded(tmp_path):
    def only(table, sensors):
        hits = hits_of(table)
        mine = np.isin(hits.sensor, sensors)
        kept = replace(hits, **{name: getattr(hits, name)[mine] for name in ("event", "sensor", "u", "v", "charge")})
        return table.with_columns(hit_lists(kept))

    first = write(tmp_path / "first.parquet", only(events(100), np.arange(38)))
    ended = trained(config(tmp_path / "a.toml", first), tmp_path / "a").good()
    assert "no training event has a hit in sensor 2.12.1, 2.12.2" in ended.err
    assert record(tmp_path / "a")["results"]["sensors_without_hits"] == ["2.12.1", "2.12.2"]
    # One event that has them is enough, and events without any hit are nothing special.
    mixed = only(events(100), np.arange(38))
    rows = [mixed.slice(0, 40), events(100).slice(40, 60), only(events(100), []).slice(60, 100)]
    second = write(tmp_path / "second.parquet", type(mixed).concatenate(rows))
    assert "no training event" not in trained(config(tmp_path / "b.toml", second), tmp_path / "b").good().err
    # None at all cannot be learned from.
    none = write(tmp_path / "none.parquet", only(events(100), []))
    assert "no training event has a hit;" in trained(config(tmp_path / "c.toml", none), tmp_path / "c").refused(3)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("off", [0, 1])
def test_a_sensor_that_is_off_in_an_event_is_warned_of_and_counted(off, tmp_path):
    keys = event_keys(events(60), ("run", "luminosityBlock", "event"), "", 0)
    counts = np.full(60, 2_000)  # 50 a sensor
    counts[np.flatnonzero(split_of(keys) == 0)[:off]] = 0
    table = events(60).with_columns(hit_lists(hits(counts)))
    ended = trained(config(tmp_path / "a.toml", write(tmp_path / "a.parquet", table)), tmp_path / "a").good()
    assert ("without a hit" in ended.err) is bool(off)
    assert record(tmp_path / "a")["results"]["readouts_without_hits"] == 40 * off


def test_files_that_cannot_be_used_are_refused_or_left_out_and_recorded(desk, tmp_path):
    good = desk / "training.parquet"
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-2000])
    (tmp_path / "page.root").write_text("<html>")
    (tmp_path / "empty.parquet").write_bytes(b"")
    write(tmp_path / "no_rows.parquet", events(3).slice(0, 0))
    write(tmp_path / "no_hits.parquet", events(9).without(["pxd_sensor", "pxd_u", "pxd_v", "pxd_charge"]))
    damaged = tmp_path / "damaged.parquet"
    content = bytearray(write(damaged, events(80, seed=5)).read_bytes())
    content[len(content) // 2] ^= 1  # in the hits, which are nine tenths of the file
    damaged.write_bytes(content)
    for bad in ("cut.parquet", "page.root", "empty.parquet", "no_rows.parquet", "no_hits.parquet", "damaged.parquet"):
        path = config(tmp_path / "pixels.toml", good, tmp_path / bad)
        assert bad in trained(path, tmp_path / "run").refused(3), bad
        assert not (tmp_path / "run").exists()
        summary = trained(path, tmp_path / "run", "--skip-bad-files", "--json").good().json
        assert summary["skipped_files"] == 1
        assert [*record(tmp_path / "run")["results"]["skipped_files"]] == [str(tmp_path / bad)]
        shutil.rmtree(tmp_path / "run")
    write(tmp_path / "events.root", events(50, basf2=True))
    path = config(tmp_path / "pixels.toml", tmp_path / "events.root", data='tree = "other"')
    assert "events.root" in trained(path, tmp_path / "run").refused(3)


def test_bad_rows_are_counted(tmp_path):
    table = events(100)
    luminosity = np.array(table["luminosity"])
    luminosity[:20] = np.inf
    path = config(
        tmp_path / "pixels.toml", write(tmp_path / "a.parquet", table.with_columns({"luminosity": luminosity}))
    )
    assert "'luminosity' has" in trained(path, tmp_path / "run").refused(3)
    skipped = trained(path, tmp_path / "run", "--skip-bad", 20, "--json").good().json["skipped"]
    assert 10 < skipped <= 20  # those of the test split are not looked at
    # Training and validation have one limit together.
    trained(path, tmp_path / "run", "--overwrite", "--skip-bad", skipped).good()
    assert "bad" in trained(path, tmp_path / "run", "--overwrite", "--skip-bad", skipped - 1).refused(3)


def test_models_that_cannot_be_trained_on_hits_are_refused(desk, tmp_path):
    for model, what in (
        (MODEL.replace("toy-pixels", "coupling_spline_flow"), "no model of pixel hits"),
        ('[model]\npreset = "nobody"\n', "no preset 'nobody'"),
    ):
        path = config(tmp_path / "pixels.toml", desk / "training.parquet", model=model)
        assert what in trained(path, tmp_path / "run").refused(2)
    negative = events(100).with_columns({"weight": np.where(np.arange(100) % 5, 1.0, -1.0)})
    path = config(tmp_path / "pixels.toml", write(tmp_path / "n.parquet", negative), data='weight = "weight"')
    assert "negative" in trained(path, tmp_path / "run").refused(2)
    assert not (tmp_path / "run").exists()


def test_columns_may_be_called_otherwise(desk, tmp_path):
    table = events(200, basf2=True)
    names = {"VxdID": "pxd_id", "uCellID": "u", "vCellID": "v", "charge": "adu"}
    others = {other: table[name] for name, other in names.items()}
    path = write(tmp_path / "triggers.root", table.without([*names]).with_columns(others))
    assert "has no pixel hits" in trained(config(tmp_path / "a.toml", path), tmp_path / "run").refused(3)
    layout = "[data.layout.columns]\n" + "".join(f'{name} = "{other}"\n' for name, other in names.items())
    trained(config(tmp_path / "b.toml", path, data=layout), tmp_path / "run").good()
    assert weights(tmp_path / "run") == weights(desk / "run")
