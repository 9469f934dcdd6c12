"""Toys that several tests share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="session")
def pixel_toys() -> ModuleType:
    """Events of a small array of pixel sensors."""
    spec = importlib.util.spec_from_file_location("pixel_toys", Path(__file__).parent / "pixels" / "toy_pixels.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def train_briefly():
    """Train by Adam with a rate that falls to nothing: ``train(estimator, events, steps, rate, batch, rng)``."""

    def train(estimator, events, steps, rate, batch, rng):
        estimator.prepare([events])
        for objective in estimator.objectives():
            optimiser = torch.optim.Adam(objective.parameters, rate)
            for step in range(steps):
                optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
                optimiser.zero_grad()
                rows = torch.from_numpy(rng.integers(0, len(events), batch))
                objective.loss(events.take(rows), rng).total.mean().backward()
                optimiser.step()
        estimator.eval()

    return train
