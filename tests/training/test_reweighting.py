import numpy as np
import pytest
import torch

from castalia.errors import ConfigError
from castalia.estimators.base import Batch, Events
from castalia.rng import Stream
from castalia.training import TrainingConfig, fit
from castalia.training.reweighting import reweight_positive


def signed_sample(events: int, unit: str) -> tuple[Batch, np.ndarray]:
    """A fifth of the events negative, more of them at large ``x``; also the true local average weight, ``2 p - 1``."""
    rng = Stream(3, "signed sample", unit).at()
    x = rng.uniform(-1, 1, events)
    negative_probability = 0.2 + 0.15 * x
    weight = np.where(rng.uniform(size=events) < negative_probability, -1.0, 1.0)
    batch = Batch(
        Events(torch.from_numpy(x[:, None]).float()),
        Events(torch.from_numpy(rng.standard_normal((events, 1))).float()),
        torch.from_numpy(weight).float(),
        torch.arange(events),
    )
    return batch, 1 - 2 * negative_probability


def largest_bin_pull(x, weight, reference_weight):
    """Compare sums in ten bins of ``x``, in units of the statistical error of the original, signed sums."""
    bins = np.clip(((x + 1) * 5).astype(int), 0, 9)
    sums = np.bincount(bins, weight)
    reference, squares = np.bincount(bins, reference_weight), np.bincount(bins, reference_weight**2)
    return np.max(np.abs(sums - reference) / np.sqrt(squares))


@pytest.mark.statistical
def test_closure_with_a_fifth_of_negative_weights():
    train, local = signed_sample(20_000, "train")
    validation, _ = signed_sample(5_000, "validation")
    old, x = train.weight.double().numpy(), train.condition.flat[:, 0].double().numpy()
    assert 0.18 < (old < 0).mean() < 0.22
    new_train, new_validation = reweight_positive(train, validation, 1)
    new = new_train.weight.double().numpy()
    assert new.min() > 0
    assert new_validation.weight.min() > 0
    assert new.sum() == pytest.approx(old.sum(), rel=1e-6)
    assert new_validation.weight.double().sum().item() == pytest.approx(
        validation.weight.double().sum().item(), rel=1e-6
    )
    # Both sums fluctuate about the truth, the new one less; their difference is within five errors of the old.
    assert largest_bin_pull(x, new, old) < 5
    # The weights follow the true local average: what is left is far less than what a constant leaves.
    assert np.std(new - local) < 0.5 * np.std(local)
    # control: magnitudes scaled to the same sum have the wrong shape
    flat = np.abs(old) * old.sum() / np.abs(old).sum()
    assert largest_bin_pull(x, flat, old) > 5


def test_no_event_is_judged_by_trees_that_saw_it():
    """Signs that are pure noise cannot be learned: cross-fitted factors do not know them."""
    train, _ = signed_sample(4_000, "train")
    rng = Stream(4, "random signs").at()
    weight = torch.from_numpy(np.where(rng.uniform(size=4000) < 0.2, -1.0, 1.0)).float()
    new, _ = reweight_positive(Batch(train.condition, train.target, weight, train.index), None, 1)
    positive, negative = new.weight[weight > 0].double(), new.weight[weight < 0].double()
    error = (positive.var() / len(positive) + negative.var() / len(negative)).sqrt()
    assert abs(positive.mean() - negative.mean()) < 5 * error


def test_reproducible_and_dependent_on_the_seed():
    train, _ = signed_sample(2_000, "train")
    first, again, other = (reweight_positive(train, None, seed)[0].weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_positive_weights_come_back_unchanged():
    train, _ = signed_sample(100, "train")
    positive = Batch(train.condition, train.target, train.weight.abs(), train.index)
    assert reweight_positive(positive, None, 1) == (positive, None)


def test_a_few_negative_weights_are_spread_evenly():
    train, _ = signed_sample(1_000, "train")
    weight = torch.ones(1000)
    weight[:3] = -1
    new, _ = reweight_positive(Batch(train.condition, train.target, weight, train.index), None, 1)
    assert new.weight.min() > 0
    assert new.weight.double().sum().item() == pytest.approx(994, rel=1e-6)


def test_a_negative_total_is_refused():
    train, _ = signed_sample(1_000, "train")
    with pytest.raises(ConfigError, match="add up to"):
        reweight_positive(Batch(train.condition, train.target, -train.weight, train.index), None, 1)


def signed_least_squares(batch):
    """Slope and offset of the line through signed weights, with the statistical error of the offset."""
    x, y, w = (v.double().numpy() for v in (batch.condition.flat[:, 0], batch.target.flat[:, 0], batch.weight))
    design = np.stack([x, np.ones_like(x)], axis=1)
    slope, offset = np.linalg.solve(design.T @ (w[:, None] * design), design.T @ (w * y))
    residual = np.sqrt(np.sum(w * (y - slope * x - offset) ** 2) / w.sum())
    return slope, offset, residual * np.sqrt(np.sum(w**2)) / w.sum()


@pytest.mark.statistical
def test_training_with_a_fifth_of_negative_weights(toys):
    """Half the events lie on another line, two fifths of them with weight -1: the signed average is found."""
    events = 10_000
    right, other = toys.sample(events), toys.sample(events, unit="other line")
    sign = torch.where(torch.arange(events) % 5 < 2, -1.0, 1.0)
    train = Batch(
        Events(torch.cat([right.condition.flat, other.condition.flat])),
        Events(torch.cat([right.target.flat, other.target.flat + 3.0])),
        torch.cat([torch.ones(events), sign]),
        torch.arange(2 * events),
    )
    assert int((train.weight < 0).sum()) == 0.2 * len(train)
    config = TrainingConfig(epochs=8, batch_size=500, learning_rate=0.05, positive_reweighting=True)
    model, control = toys.LinearGaussian(), toys.LinearGaussian()
    fit(model, train, None, config)
    fit(control, toys.with_weight(train, train.weight.abs()), None, config)
    slope, offset, error = signed_least_squares(train)
    assert abs(model.answer[0] - slope) < 5 * error
    assert abs(model.answer[1] - offset) < 5 * error
    assert abs(control.answer[1] - offset) > 5 * error
