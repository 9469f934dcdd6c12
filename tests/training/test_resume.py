"""A training stopped anywhere and resumed ends with the same bits; stops here are exceptions, kills are in faults."""

import json

import pytest
import torch

import castalia.training.loop as loop_module
from castalia.errors import ConfigError, ModelError
from castalia.rng import Stream
from castalia.training import TrainingConfig, fit
from castalia.training.checkpoint import load_checkpoint
from castalia.training.ema import MovingAverage
from castalia.training.step import ObjectiveStep


class PlannedStop(Exception):
    pass


def config(**changes) -> TrainingConfig:
    values = {"epochs": 3, "batch_size": 100, "learning_rate": 0.02, "ema": 0.9, "clip": 1.0, "checkpoint_seconds": 0}
    return TrainingConfig(**{**values, **changes})


class Training:
    """One training in a folder, which can be stopped after a number of steps and resumed."""

    def __init__(self, toys, folder, settings, make=None):
        self.toys, self.folder, self.settings = toys, folder, settings
        self.make = make or toys.LinearGaussian
        folder.mkdir()

    def run(self, stop_after=None, resume=False, train=None):
        steps = 0

        def progress(state):
            nonlocal steps
            steps += 1
            if steps == stop_after:
                raise PlannedStop

        model = self.make()
        result = fit(
            model,
            self.toys.sample(300) if train is None else train,
            self.toys.sample(100, unit="v"),
            self.settings,
            state=self.folder / "state",
            history=self.folder / "history.jsonl",
            resume=resume,
            metrics=lambda model: {"square": sum(float(p.square().sum()) for p in model.state_dict().values())},
            progress=progress,
        )
        return model, result

    def stop_and_resume(self, *stops):
        for number, stop in enumerate(stops):
            with pytest.raises(PlannedStop):
                self.run(stop, resume=number > 0)
        return self.run(resume=True)

    def end(self):
        """All that must not depend on interruptions."""
        checkpoint = load_checkpoint(self.folder / "state")
        history = [json.loads(line) for line in (self.folder / "history.jsonl").read_text().splitlines()]
        for line in history:
            del line["seconds"]
        position = {k: v for k, v in checkpoint.record["position"].items() if k not in ("seconds", "history_size")}
        return {name: tensor.numpy().tobytes() for name, tensor in checkpoint.tensors.items()}, history, position


@pytest.fixture(autouse=True)
def report_every_step(monkeypatch):
    monkeypatch.setattr(loop_module, "SECONDS_BETWEEN_REPORTS", 0.0)


def makers(toys):
    return {
        "one": toys.LinearGaussian,
        "two": toys.Alternating,
        "phases": lambda: toys.Alternating((0, 1)),
    }


@pytest.mark.parametrize("kind", ["one", "two", "phases"])
@pytest.mark.parametrize("changes", [{}, {"ema": None, "metric": "square", "weight_decay": 0.1}, {"patience": 1}])
def test_resume_is_bit_identical(toys, tmp_path, kind, changes):
    make = makers(toys)[kind]
    whole = Training(toys, tmp_path / "whole", config(**changes), make)
    model, result = whole.run()
    broken = Training(toys, tmp_path / "broken", config(**changes), make)
    resumed, again = broken.stop_and_resume(1, 3, 2)
    assert broken.end() == whole.end()
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    assert (result.best_epoch, result.best_value, result.steps) == (again.best_epoch, again.best_value, again.steps)


def test_every_single_stop(toys, tmp_path):
    """Four reports an epoch, after three steps and at its end: each of the first epoch and a half, and the last."""
    settings = config(epochs=2)
    whole = Training(toys, tmp_path / "whole", settings)
    whole.run()
    for stop in [*range(1, 7), 8]:
        broken = Training(toys, tmp_path / f"stop-{stop}", settings)
        broken.stop_and_resume(stop)
        assert broken.end() == whole.end(), f"stopped after report {stop}"


def test_rare_checkpoints_repeat_what_was_lost(toys, tmp_path):
    """Stopped before its first checkpoint, a training begins again; its torn history is cut."""
    settings = config(checkpoint_seconds=1000)
    whole, broken = Training(toys, tmp_path / "a", settings), Training(toys, tmp_path / "b", settings)
    whole.run()
    broken.stop_and_resume(8)
    assert broken.end() == whole.end()


def test_resuming_a_finished_training_changes_nothing(toys, tmp_path):
    training = Training(toys, tmp_path / "a", config())
    model, result = training.run()
    before = training.end()
    resumed, again = training.run(resume=True)
    assert training.end() == before
    assert again.best_value == result.best_value
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_control_an_order_with_memory_breaks_identity(toys, tmp_path, monkeypatch):
    """A generator that runs on, as ordinary shuffling does, is in another state after a resume."""

    def run(name, *stops):
        training = Training(toys, tmp_path / name, config())
        for number, stop in enumerate([*stops, None]):
            generator = Stream(1, "order with memory").at()
            monkeypatch.setattr(
                loop_module, "epoch_order", lambda n, s, e, g=generator: torch.from_numpy(g.permutation(n))
            )
            if stop is None:
                training.run(resume=number > 0)
            else:
                with pytest.raises(PlannedStop):
                    training.run(stop)
        return training.end()

    assert run("a") == run("b")
    assert run("c", 8) != run("a2")


@pytest.mark.parametrize("part", ["optimiser", "average"])
def test_control_a_forgotten_part_breaks_identity(toys, tmp_path, monkeypatch, part):
    whole, broken = Training(toys, tmp_path / "a", config()), Training(toys, tmp_path / "b", config())
    whole.run()
    with pytest.raises(PlannedStop):
        broken.run(8)
    if part == "optimiser":
        monkeypatch.setattr(ObjectiveStep, "load_state", lambda self, tensors: None)
    else:
        monkeypatch.setattr(MovingAverage, "values", property(lambda s: s.kept, keep_first), raising=False)
    broken.run(resume=True)
    assert broken.end() != whole.end()


def keep_first(average, values):
    if not hasattr(average, "kept"):
        average.kept = values


def test_changes_are_refused(toys, tmp_path):
    training = Training(toys, tmp_path / "a", config())
    with pytest.raises(PlannedStop):
        training.run(4)
    with pytest.raises(ConfigError, match="pass --resume"):
        training.run()
    training.settings = config(learning_rate=0.03, epochs=4)
    with pytest.raises(ConfigError, match=r"epochs \(3 before, 4 now\), learning_rate \(0\.02 before, 0\.03 now\)"):
        training.run(resume=True)
    training.settings = config()
    other = toys.sample(300)
    other.target.flat[17] += 1e-6
    with pytest.raises(ConfigError, match="other train events"):
        training.run(resume=True, train=other)
    training.make = toys.Alternating
    with pytest.raises(ModelError, match="another model"):
        training.run(resume=True)
    training.make = toys.LinearGaussian
    training.run(resume=True)


def test_resume_needs_a_state_folder(toys):
    with pytest.raises(ConfigError, match="without a state folder"):
        fit(toys.LinearGaussian(), toys.sample(100), None, config(), resume=True)
