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
    """Draws one half of every event, but of the last one what its script says, and in its first calls far too much."""

    Config = EventEstimatorConfig
    script: tuple[float, ...] = ()
    wild = 0
    rows: tuple[int, ...] = ()

    def draw(self, vectors: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        drawn = torch.full((len(vectors), 2), 1e6 if len(self.rows) < self.wild else 0.5)
        if self.rows:  # only the last one is drawn again
            used = self.script[1 : 1 + len(vectors)]
            drawn[: len(used), 1] = torch.tensor(used)
        elif self.script:
            drawn[-1, 1] = self.script[0]
        self.rows = (*self.rows, len(vectors))
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


def sampled(model, script, events=4, wild=0):
    model.script, model.wild, model.rows = script, wild, ()
    condition = batch_from_arrays(np.zeros((events, 1)), np.zeros((events, 2))).condition
    return model.sample(condition, 1, Stream(2, "draws").at()).flat


def test_what_runs_away_is_drawn_anew(model):
    usual = sampled(model, ())
    assert model.rows == (4,)
    for script in [(1e6,), (-1e6, 1e30), (float("nan"),), (float("inf"), float("-inf"), 7e3)]:
        assert torch.equal(sampled(model, script), usual)
        assert model.rows == (4, 20)  # all attempts at once


def test_the_first_attempt_within_is_taken(model):
    assert torch.equal(sampled(model, (1e6, -1e6, 2.5, 0.7)), sampled(model, (2.5,)))


def test_attempts_at_many_draws_are_made_a_few_at_a_time(model):
    usual = sampled(model, (), events=300)
    assert torch.equal(sampled(model, (), events=300, wild=2), usual)
    assert model.rows == (300, 300, 300)
    assert torch.equal(sampled(model, (), events=100, wild=2), usual[:100])
    assert model.rows == (100, 200, 200)
    assert not torch.equal(sampled(model, (), events=100, wild=99), usual[:100])  # negative control
    assert sum(model.rows) == 100 * 21


def test_a_little_outside_is_left_alone(model):
    drawn = sampled(model, (2.5,))
    assert model.rows == (4,)
    assert model.highest[1] < drawn[-1, 1] < 15.0


def test_what_cannot_be_drawn_within_is_moved_there(model):
    drawn = sampled(model, (1e6,) * 99)
    assert torch.isclose(drawn[-1, 1], 1.5 * model.highest[1] - 0.5 * model.lowest[1])
    assert model.rows == (4, 20)
    model.highest.fill_(float("inf"))  # negative control
    assert sampled(model, (1e6,) * 99)[-1, 1] > 1e6
