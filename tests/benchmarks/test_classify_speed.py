"""The floor of a classifier's speed: its multiply-adds are those that torch makes, and shares are of that floor."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from classify_speed import VARIANTS, events, model, multiply_adds, speed_of


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
    small = {"backbone": {"width": 8, "heads": 2, "blocks": 1, "pairwise": False}}
    found = speed_of(small, rounds=2, seconds=0.01)
    assert 0 < found.training[0] < 1.5
    assert 0 < found.classification[0] < 1.5
    # Both shares are of the same floor, and a training step costs more than a classification.
    assert found.classified > found.trained > 0
