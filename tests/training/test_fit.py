import json
import math
import os
import signal

import numpy as np
import pytest
import torch

from castalia.errors import ConfigError, MachineError, StoppedError
from castalia.estimators.base import Losses, Objective
from castalia.training import TrainingConfig, fit


def settings(**changes) -> TrainingConfig:
    return TrainingConfig(**{"epochs": 6, "batch_size": 250, "learning_rate": 0.05, **changes})


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def within_five_standard_errors(toys, model, events) -> bool:
    slope, offset, width = model.answer
    error = toys.WIDTH / math.sqrt(events)
    pulls = [
        (slope - toys.SLOPE) / error,
        (offset - toys.OFFSET) / error,
        (width - toys.WIDTH) / (error / math.sqrt(2)),
    ]
    return bool(np.max(np.abs(pulls)) < 5)


@pytest.mark.statistical
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"clip": 1.0, "schedule": "cosine"}, {"schedule": "power"}])
def test_the_line_is_found_within_its_statistical_error(toys, changes):
    model, train = toys.LinearGaussian(), toys.sample(5000)
    # A validation sample smaller than the training sample would select epochs by its own, larger, fluctuation.
    result = fit(model, train, toys.sample(20_000, unit="validation"), settings(epochs=12, **changes))
    assert within_five_standard_errors(toys, model, 5000)
    assert result.steps == 12 * 20
    assert result.weights.effective == pytest.approx(5000)
    assert not model.training


def test_a_device_that_is_not_there_is_named(toys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"device = 'cuda', but torch finds no such device here"):
        fit(toys.LinearGaussian(), toys.sample(100), None, settings(device="cuda"), state=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.statistical
def test_control_a_training_cut_short_misses_the_line(toys):
    model = toys.LinearGaussian()
    fit(model, toys.sample(5000), None, settings(epochs=1, learning_rate=1e-3))
    assert not within_five_standard_errors(toys, model, 5000)


@pytest.mark.statistical
def test_weights_select_the_population(toys):
    """Events of a wrong line with weight zero change nothing, with weight one they do."""
    right, wrong = toys.sample(5000), toys.sample(5000, unit="wrong")
    mixed = right.map(lambda values: values.clone())
    both = {}
    for weight in (0.0, 1.0):
        target = torch.cat([right.target.flat, wrong.target.flat + 3.0])
        condition = torch.cat([right.condition.flat, wrong.condition.flat])
        weights = torch.cat([torch.ones(5000), torch.full((5000,), weight)])
        mixed = type(right)(
            type(right.condition)(condition), type(right.target)(target), weights, torch.arange(len(weights))
        )
        model = toys.LinearGaussian()
        result = fit(model, mixed, None, settings(epochs=12))
        both[weight] = within_five_standard_errors(toys, model, 5000)
    assert both == {0.0: True, 1.0: False}
    assert result.weights.effective == 10000


def test_history_has_one_line_an_epoch(toys, tmp_path):
    path = tmp_path / "history.jsonl"
    result = fit(
        toys.LinearGaussian(),
        toys.sample(1000),
        toys.sample(500, unit="v"),
        settings(epochs=3),
        history=path,
        metrics=lambda model: {"distance": 1.0},
    )
    lines = rows(path)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert set(lines[0]["train"]) == {"line", "line/pull"}
    assert lines[0]["validation"]["loss"] == lines[0]["validation"]["line"]
    assert lines[0]["metrics"] == {"distance": 1.0}
    assert lines[-1]["learning_rate"] == pytest.approx(1e-5)
    best = min(lines, key=lambda line: line["validation"]["loss"])
    assert (result.best_epoch, result.best_value) == (best["epoch"], best["validation"]["loss"])


@pytest.mark.parametrize("ema", [None, 0.9])
def test_best_epoch_by_metric_is_what_remains(toys, ema):
    seen = []

    def metrics(model):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"distance": [5.0, 2.0, 3.0, 4.0][len(seen) - 1], "other": float("nan")}

    model = toys.LinearGaussian()
    result = fit(model, toys.sample(500), None, settings(epochs=4, metric="distance", ema=ema), metrics=metrics)
    assert (result.best_epoch, result.best_value) == (2, 2.0)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in seen[1].items())
    assert not all(torch.equal(model.state_dict()[name], value) for name, value in seen[3].items())


def test_patience_ends_the_training(toys):
    values = iter([5.0, 2.0, 3.0, 4.0, 1.0])
    result = fit(
        toys.LinearGaussian(),
        toys.sample(500),
        None,
        settings(epochs=5, metric="d", patience=2),
        metrics=lambda model: {"d": next(values)},
    )
    assert (result.best_epoch, result.epochs, result.stopped_early) == (2, 4, True)
    values = iter([5.0, 2.0, 3.0, 4.0, 1.0])
    patient = fit(
        toys.LinearGaussian(),
        toys.sample(500),
        None,
        settings(epochs=5, metric="d", patience=3),
        metrics=lambda model: {"d": next(values)},
    )
    assert (patient.best_epoch, patient.epochs, patient.stopped_early) == (5, 5, False)


def test_metrics_that_cannot_select(toys):
    train = toys.sample(500)
    with pytest.raises(ConfigError, match="'distance' is not computed"):
        fit(toys.LinearGaussian(), train, None, settings(metric="distance"))
    with pytest.raises(ConfigError, match="'distance' is unknown; known are loss, width"):
        fit(toys.LinearGaussian(), train, None, settings(metric="distance"), metrics=lambda model: {"width": 1.0})
    with pytest.raises(MachineError, match="epoch 1: the metric 'd' is nan"):
        fit(toys.LinearGaussian(), train, None, settings(metric="d"), metrics=lambda model: {"d": math.nan})


@pytest.mark.statistical
@pytest.mark.parametrize("phases", [(0, 0), (0, 1), (3, 7)])
def test_two_objectives_together_or_one_after_the_other(toys, tmp_path, phases):
    model, path = toys.Alternating(phases), tmp_path / "history.jsonl"
    result = fit(model, toys.sample(5000), None, settings(epochs=10), history=path)
    assert within_five_standard_errors(toys, model.model, 5000)
    together = phases[0] == phases[1]
    assert result.epochs == (10 if together else 20)
    assert set(rows(path)[0]["train"]) == ({"squares", "width"} if together else {"squares"})
    assert set(rows(path)[-1]["train"]) == ({"squares", "width"} if together else {"width"})
    assert result.best_epoch > (0 if together else 10)


def test_a_later_phase_leaves_the_earlier_parameters_alone_and_starts_from_the_best(toys):
    model, seen = toys.Alternating((0, 1)), []

    def metrics(model):
        seen.append(model.model.line.weight.detach().clone())
        return {}

    fit(model, toys.sample(1000), toys.sample(200, unit="v"), settings(epochs=5, ema=0.9), metrics=metrics)
    assert len(seen) == 5  # asked in the last phase only
    assert all(torch.equal(weight, seen[0]) for weight in seen)


def test_nothing_to_train_but_prepare(toys, tmp_path):
    model, train = toys.MeanOnly(), toys.sample(1000)
    result = fit(model, train, None, settings(), state=tmp_path / "state")
    assert (result.best_epoch, result.best_value, result.steps) == (0, None, 0)
    assert model.mean.item() == pytest.approx(train.target.flat.mean().item(), rel=1e-5)


def test_nan_loss_names_step_row_and_column_and_keeps_weights_and_checkpoint(toys, tmp_path):
    train = toys.sample(1000)
    train.target.flat[321, 0] = 1e30
    model, config = toys.LinearGaussian(), settings(checkpoint_seconds=0)
    model.prepare = lambda stream: None
    with pytest.raises(MachineError) as caught:
        fit(model, train, None, config, state=tmp_path, names=(["mu"], ["et"]))
    assert "(epoch 1): loss 'line' is infinite for 1 of 250 events (row 321)" in str(caught.value)
    assert "target column 'et' is 1e+30 in row 321" in str(caught.value)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_gradient_that_is_not_finite_stops_before_the_step(toys):
    class Cliff(toys.LinearGaussian):
        def objectives(self):
            def loss(batch, rng):
                return Losses(torch.sqrt(self.line.weight[0, 0] ** 2) * torch.ones(len(batch)))

            return (Objective("cliff", tuple(self.line.parameters()), loss),)

    model = Cliff()
    with pytest.raises(MachineError, match=r"training step 1 \(epoch 1\): the gradient of loss 'cliff' is nan"):
        fit(model, toys.sample(500), None, settings())
    assert model.line.weight.item() == 0.0


def train_rows(toys, tmp_path, name, train, validation):
    path = tmp_path / name
    model = toys.LinearGaussian()
    fit(model, train, validation, settings(epochs=2), history=path, state=tmp_path / f"{name}-state")
    return [line["train"] for line in rows(path)]


def test_validation_events_leave_the_training_untouched(toys, tmp_path):
    train, validation = toys.sample(1000), toys.sample(400, unit="v")
    poisoned = validation.map(lambda values: values * 100)
    clean = train_rows(toys, tmp_path, "clean", train, validation)
    assert train_rows(toys, tmp_path, "poisoned", train, poisoned) == clean
    # control: the same poison in a training event is seen
    train.target.flat[0] *= 100
    assert train_rows(toys, tmp_path, "control", train, validation) != clean


def test_negative_weights_are_refused_unless_reweighted(toys):
    train = toys.sample(2000)
    train = toys.with_weight(train, torch.where(torch.arange(2000) % 5 == 0, -1.0, 1.0))
    with pytest.raises(ConfigError, match="400 of 2000 training events have negative weights"):
        fit(toys.LinearGaussian(), train, None, settings())
    result = fit(toys.LinearGaussian(), train, None, settings(epochs=1, positive_reweighting=True))
    assert result.weights.total == pytest.approx(1200, rel=1e-6)


def test_sigterm_while_setting_up_changes_nothing(toys, tmp_path):
    """The signal arrives in the pass that measures scaling statistics."""

    class Slow(toys.LinearGaussian):
        def prepare(self, stream):
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("went on")

    with pytest.raises(StoppedError, match="before anything was changed"):
        fit(Slow(), toys.sample(100), None, settings(), state=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_sigterm_in_the_last_step_is_not_lost(toys, tmp_path):
    def progress(state):
        if state.step == state.steps:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="saved in"):
        fit(toys.LinearGaussian(), toys.sample(100), None, settings(), state=tmp_path, progress=progress)
    assert fit(toys.LinearGaussian(), toys.sample(100), None, settings(), state=tmp_path, resume=True).epochs == 6


def test_progress_counts_to_the_end(toys):
    seen = []
    fit(toys.LinearGaussian(), toys.sample(1000), None, settings(epochs=3), progress=seen.append)
    assert seen[-1].step == seen[-1].steps == 12
    assert seen[-1].epoch == seen[-1].epochs == 3
    assert seen[-1].seconds_left == 0.0
    assert all(state.seconds_left is None or state.seconds_left >= 0 for state in seen)
    assert any("line" in state.losses for state in seen)


def test_objective_names_must_be_usable(toys):
    class Twice(toys.LinearGaussian):
        def objectives(self):
            return (*super().objectives(), *super().objectives())

    with pytest.raises(ConfigError, match="Twice: objective names must be unique"):
        fit(Twice(), toys.sample(500), None, settings())
