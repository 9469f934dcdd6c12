import numpy as np
import pytest
import torch

from castalia.errors import MachineError
from castalia.estimators.base import Losses, Objective
from castalia.training.diagnosis import VariableNames
from castalia.training.validation import CHUNK, validation_losses


def losses_of(toys, total, weight=None, events=None):
    """Validate with prescribed per-event losses."""
    batch = toys.sample(len(total))
    batch = batch if weight is None else toys.with_weight(batch, weight)
    parameter = torch.nn.Parameter(torch.zeros(1))

    def loss(chunk, rng):
        return Losses(total[chunk.index] + 0.0 * parameter, {"part": 2 * total[chunk.index]})

    return validation_losses([Objective("toy", (parameter,), loss)], batch, 1, VariableNames(), "epoch 1")


def test_mean_over_several_chunks(toys):
    total = torch.arange(2 * CHUNK + 17, dtype=torch.float64)
    means, excluded = losses_of(toys, total)
    assert excluded == 0
    assert means["toy"] == pytest.approx(float(total.mean()), rel=1e-12)
    assert means["toy/part"] == pytest.approx(2 * float(total.mean()), rel=1e-12)


def test_weight_two_counts_as_two_events(toys):
    total = torch.tensor([1.0, 5.0, 7.0], dtype=torch.float64)
    weighted, _ = losses_of(toys, total, torch.tensor([1.0, 2.0, 1.0]))
    doubled, _ = losses_of(toys, torch.tensor([1.0, 5.0, 5.0, 7.0], dtype=torch.float64))
    assert weighted["toy"] == doubled["toy"]


def test_a_few_events_outside_the_support_are_left_out_and_counted(toys):
    total = torch.ones(1000)
    total[:10] = np.inf
    means, excluded = losses_of(toys, total)
    assert (means["toy"], excluded) == (1.0, 10)
    total[:11] = np.inf
    with pytest.raises(MachineError, match="infinite for 11 of 1000 events"):
        losses_of(toys, total)


def test_nan_is_an_error(toys):
    total = torch.ones(1000)
    total[3] = np.nan
    with pytest.raises(MachineError, match=r"epoch 1: validation loss 'toy' is nan for 1 of 1000 events \(row 3\)"):
        losses_of(toys, total)
