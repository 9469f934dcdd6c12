"""What is drawn far outside what training saw is drawn anew."""

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Objective
from castalia.estimators.event_estimator import EventEstimator, EventEstimatorConfig
from castalia.rng import Stream

EVENTS = 50


class Scripted(EventEstimator):
    """Draws one half in every event, but what its script says at the first attempts."""

    Config = EventEstimatorConfig
    script: tuple[float, ...] = ()
    attempts = 0

    def draw(self, vectors: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        drawn = torch.full((len(vectors), 2), 0.5)
        if self.attempts < len(self.script):
            drawn[-1, 1] = self.script[self.attempts]
        self.attempts += 1
        return drawn

    def objectives(self) -> tuple[Objective, ...]:
        return ()


@pytest.fixture
def model():
    layout = Layout((Variable("c"),), (Variable("x"), Variable("y", "GeV")))
    made = Scripted(EventEstimatorConfig(marginals="standardise"), layout)
    rng = Stream(1, "test event estimator").at()
    made.prepare([batch_from_arrays(rng.random((EVENTS, 1)), rng.uniform(0.0, 10.0, (EVENTS, 2)))])
    return made


def sampled(model, script):
    model.script, model.attempts = script, 0
    condition = batch_from_arrays(np.zeros((4, 1)), np.zeros((4, 2))).condition
    return model.sample(condition, 1, Stream(2, "draws").at()).flat


def test_what_runs_away_is_drawn_anew(model):
    usual = sampled(model, ())
    assert model.attempts == 1
    for script in [(1e6,), (-1e6, 1e30), (float("nan"),), (float("inf"), float("-inf"), 7.0)]:
        assert torch.equal(sampled(model, script), usual)
        assert model.attempts == 1 + len(script)


def test_a_little_outside_is_left_alone(model):
    drawn = sampled(model, (2.5,))
    assert model.attempts == 1
    assert model.highest[1] < drawn[-1, 1] < 15.0


def test_what_cannot_be_drawn_within_is_moved_there(model):
    drawn = sampled(model, (1e6,) * 99)
    assert torch.isclose(drawn[-1, 1], 1.5 * model.highest[1] - 0.5 * model.lowest[1])
    assert model.attempts < 30
    model.highest.fill_(float("inf"))  # negative control
    assert sampled(model, (1e6,) * 99)[-1, 1] > 1e6
