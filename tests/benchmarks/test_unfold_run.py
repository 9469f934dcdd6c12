"""Runs of the unfolding benchmarks: a configuration is trained once, another one beside it."""

import pytest

import unfold_run
from castalia.apps.unfold.config import parse_config
from castalia.data.schema import Schema
from castalia.runs.folder import RunFolder
from unfold_data import training_files


@pytest.fixture(autouse=True)
def _files_that_are_named_but_not_read(monkeypatch):
    monkeypatch.setattr(unfold_run, "selected_files", training_files)


@pytest.fixture
def trained(monkeypatch):
    """Trainings that are asked for: of each, whether it goes on. The first is stopped."""
    asked = []

    def train(config, run, *, resume):
        asked.append(resume)
        folder = (
            RunFolder.open(run)
            if resume
            else RunFolder.create(run, "unfold", config.read_text(), Schema(columns=()), {}, 1, overwrite=False)
        )
        with folder.lock():
            if len(asked) == 1:
                raise KeyboardInterrupt
            folder.finish({})

    monkeypatch.setattr(unfold_run, "train", train)
    return asked


def test_a_configuration_is_trained_once(tmp_path, trained):
    samples, runs = tmp_path / "samples", tmp_path / "runs"
    with pytest.raises(KeyboardInterrupt):
        unfold_run.trained_run(runs, "vld", samples, training={"epochs": 3})
    first = unfold_run.trained_run(runs, "vld", samples, training={"epochs": 3})
    assert unfold_run.trained_run(runs, "vld", samples, training={"epochs": 3}) == first
    assert trained == [False, True]  # stopped, gone on with, and left alone
    others = [
        unfold_run.trained_run(runs, "vld", samples, training={"epochs": 4}),
        unfold_run.trained_run(runs, "vld", samples, training={"epochs": 3}, seed=2),
        unfold_run.trained_run(runs, "vld", samples, training={"epochs": 3}, coordinates="cartesian"),
        unfold_run.trained_run(runs, "cvae", samples, training={"epochs": 3}),
    ]
    assert len({first, *others}) == 5
    assert trained[2:] == [False] * 4


def test_the_configuration_is_the_example_with_another_model(tmp_path):
    text = unfold_run.configuration(
        tmp_path, "vld", coordinates="cartesian", options={"marginals": "standardise"}, training={"epochs": 2}, seed=5
    )
    config = parse_config(text, tmp_path / "c.toml", tmp_path)
    assert config.data.files == tuple(str(tmp_path / f"train_{i}.parquet") for i in (1, 2, 3))
    assert config.data.test_files == (str(tmp_path / "test.parquet"),)
    assert config.data.selection == "semileptonic"
    assert (config.model.preset, config.model.options) == ("vld", {"marginals": "standardise"})
    assert (config.training.epochs, config.training.seed, config.training.batch_size) == (2, 5, 128)
    assert config.truth.coordinates == "cartesian"
    assert len(config.truth.tree().numbers) == 55
