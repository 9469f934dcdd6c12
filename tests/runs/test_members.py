"""Members of an ensemble: bootstrap samples that belong to the events, and seeds of their own."""

import numpy as np
import torch

from castalia.estimators.arrays import batch_from_arrays
from castalia.runs.members import bootstrap, bootstrap_counts, member_training
from castalia.training.config import TrainingConfig


def test_bootstrap_counts_are_poisson_and_belong_to_the_event():
    rows = np.repeat(np.arange(40_000), 2)
    counts = bootstrap_counts(rows, 1, 1)
    np.testing.assert_array_equal(counts[::2], counts[1::2])
    mean, variance = counts[::2].mean(), counts[::2].var()
    assert abs(mean - 1) < 5 / np.sqrt(40_000)
    assert abs(variance - 1) < 5 * np.sqrt(3 / 40_000)  # fourth central moment of the Poisson distribution: 1 + 3
    # A function of (seed, member, row): another selection of rows changes nothing, another member or seed everything.
    np.testing.assert_array_equal(bootstrap_counts(np.array([7, 3]), 1, 1), counts[[14, 6]])
    for other in (bootstrap_counts(rows, 1, 2), bootstrap_counts(rows, 2, 1)):
        assert abs(np.corrcoef(other[::2], counts[::2])[0, 1]) < 5 / np.sqrt(40_000)


def test_bootstrap_repeats_events():
    batch = batch_from_arrays(np.arange(50.0)[:, None], None, index=np.arange(100, 150))
    drawn = bootstrap(batch, 1, 3)
    repeats = torch.bincount(drawn.index, minlength=150)[100:]
    np.testing.assert_array_equal(repeats.numpy(), bootstrap_counts(batch.index.numpy(), 1, 3))


def test_members_have_seeds_of_their_own():
    training = TrainingConfig(seed=3)
    assert member_training(training, 0) == training
    seeds = [member_training(training, member).seed for member in range(5)]
    assert len(set(seeds)) == 5
