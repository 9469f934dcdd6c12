import pytest
import torch
from torch import nn

from castalia.training.ema import MovingAverage


def test_average_follows_its_formula():
    parameter = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    average = MovingAverage([parameter], 0.9)
    expected = 1.0
    for step in range(200):
        with torch.no_grad():
            parameter.fill_(float(step))
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.values[0]) == pytest.approx(expected, rel=1e-12)


def test_applied_puts_back_the_raw_weights_even_after_an_error():
    parameter = nn.Parameter(torch.tensor([2.0]))
    average = MovingAverage([parameter], 0.9)
    with torch.no_grad():
        parameter.fill_(5.0)

    def fail():
        with average.applied():
            assert parameter.item() == 2.0
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        fail()
    assert parameter.item() == 5.0
