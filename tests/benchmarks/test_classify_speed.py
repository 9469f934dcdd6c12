"""The floor of a classifier's speed: its multiply-adds are those that torch makes, and shares are of that floor."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import classify_speed as module
from classify_speed import VARIANTS, events, model, multiply_adds, speed_of

SMALL = {"preset": "classify", "options": {"backbone": {"width": 8, "heads": 2, "blocks": 1, "pairwise": False}}}


@pytest.mark.parametrize("name", VARIANTS)
def test_multiply_adds_are_those_of_the_products_that_torch_makes(name):
    network, given = model(VARIANTS[name]).eval(), events(64).condition
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.logits(given)
    counted = counter.get_total_flops() / 2 / 64
    assert multiply_adds(network, training=False) == pytest.approx(counted, rel=0.02)


def test_relations_cost_in_training_only():
    aware, alone = (model(VARIANTS[name]) for name in ("classify", "classify without decays"))
    assert multiply_adds(aware, training=False) == multiply_adds(alone, training=False)
    assert multiply_adds(aware, training=True) > multiply_adds(alone, training=True)


def test_a_small_model_is_measured():
    found = speed_of(SMALL, rounds=2, seconds=0.01, attempts=1)
    assert 0 < found.training[0] < 1.5
    assert 0 < found.classification[0] < 1.5
    # Both shares are of the same floor, and a training step costs more than a classification.
    assert found.classified > found.trained > 0


@pytest.mark.parametrize("disturbance", ["rate", "others", None])
def test_a_disturbed_machine_is_tried_again_and_then_named(monkeypatch, disturbance):
    rates = itertools.count(1) if disturbance == "rate" else itertools.repeat(1)
    monkeypatch.setattr(module, "_product_rate", lambda *_: 1e9 * next(rates))
    busy = SimpleNamespace(cores=lambda: 0.5 if disturbance == "others" else 0.1)
    monkeypatch.setattr(module, "Others", lambda: busy)
    tried, measured = [], module._measured
    monkeypatch.setattr(module, "_measured", lambda *given: tried.append(1) or measured(*given))
    found = speed_of(SMALL, rounds=2, seconds=0.0, attempts=3)
    assert (found.noisy, len(tried)) == ((True, 3) if disturbance else (False, 1))
