import math

import pytest

from castalia.training.config import TrainingConfig
from castalia.training.schedule import learning_rate


def rates(schedule: str, steps: int, **more) -> list[float]:
    config = TrainingConfig(schedule=schedule, learning_rate=1e-3, final_learning_rate=1e-5, **more)
    return [learning_rate(config, step, steps) for step in range(steps)]


def test_constant_stays():
    assert set(rates("constant", 7)) == {1e-3}


def test_power_law_of_the_paper():
    values = rates("power", 101)
    assert values[0] == pytest.approx(1e-3, rel=1e-12)
    assert values[-1] == pytest.approx(1e-5, rel=1e-12)
    assert values[75] == pytest.approx(1e-5 + 9.9e-4 * math.sqrt(0.25), rel=1e-12)
    assert rates("power", 101, power=2.0)[50] == pytest.approx(1e-5 + 9.9e-4 * 0.25, rel=1e-12)


def test_cosine_is_halfway_in_the_middle():
    values = rates("cosine", 101)
    assert values[0] == pytest.approx(1e-3)
    assert values[50] == pytest.approx((1e-3 + 1e-5) / 2)
    assert values[-1] == pytest.approx(1e-5)


def test_one_cycle_rises_then_falls():
    values = rates("one_cycle", 101)
    assert values[0] == pytest.approx(4e-5)
    assert max(values) == values[30] == pytest.approx(1e-3)
    assert values[-1] == pytest.approx(1e-5)
    assert values[:31] == sorted(values[:31])
    assert values[30:] == sorted(values[30:], reverse=True)


@pytest.mark.parametrize("schedule", ["constant", "power", "cosine", "one_cycle"])
def test_one_step_is_possible_and_rates_are_positive(schedule):
    assert rates(schedule, 1)[0] > 0
    assert min(rates(schedule, 50)) > 0
