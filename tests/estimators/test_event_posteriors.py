"""Every way to model a target given an event with lists, held against a posterior that is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch, Sampler
from castalia.estimators.registry import build, preset
from castalia.rng import Stream

LAYOUT = Layout(
    (Variable("c"),),
    (Variable("mean"), Variable("count")),
    {"hits": (Variable("v"), Variable("phi", transform="angle"))},
)
WIDTHS = (0.5, 0.4)
BATCH, RATE = 256, 8e-3
STEPS = {"vdm": 500, "vld": 700}  # of which the latent variables have to settle first
DRAWS = 32
BUDGET = 0.25

ENCODER = {"encoder": {"width": 16, "heads": 2, "blocks": 1}}
AUTOENCODER = {"latent": 2, "hidden": [32]}
DIFFUSION = {"width": 32, "blocks": 1}
SMALLER: dict[str, dict[str, Any]] = {
    "vdm": {"diffusion": {**DIFFUSION, "start": -8.0}},
    "vld": {"autoencoder": {**AUTOENCODER, "encoder_sees_event": True}, "diffusion": {**DIFFUSION, "start": -5.0}},
    "cvae": {"autoencoder": {**AUTOENCODER, "encoder_sees_event": True, "decoder_sees_event": True}},
    "cinn": {"blocks": 4, "hidden": [24]},
    "unfold_flow_matching": {"hidden": [32, 32], "affine_hidden": [16], "evaluations": 8},
}


def _events(count: int, counter: int) -> tuple[Batch, np.ndarray]:
    """Targets spread normally, by known widths, around the mean of the hits and around a function of their number."""
    rng = Stream(1, "posteriors").at(counter)
    mask = rng.random((count, 4)) < 0.7
    values = np.stack([rng.standard_normal((count, 4)), rng.uniform(-math.pi, math.pi, (count, 4))], axis=2)
    c, number = rng.standard_normal(count), mask.sum(1)
    mean = np.where(number, (mask * values[:, :, 0]).sum(1) / np.maximum(number, 1), 0)
    centre = np.stack([mean, 0.5 * number + 0.5 * c], axis=1)
    target = centre + np.array(WIDTHS) * rng.standard_normal((count, 2))
    return batch_from_arrays(c[:, None], target, objects={"hits": ObjectArrays(values, mask)}), centre


def _deviations(estimator: Sampler, events: Batch, centre: np.ndarray) -> tuple[float, float]:
    """Return the root mean square error of the posteriors' means, and the largest relative error of their mean width.

    Means are in true widths; what a finite number of draws adds to them is taken off.
    """
    drawn = estimator.sample(events.condition, DRAWS, Stream(3, "posteriors").at()).flat.numpy()
    drawn = drawn.reshape(len(events), DRAWS, 2)
    variance = drawn.var(axis=1, ddof=1)
    squares = ((drawn.mean(axis=1) - centre) ** 2 - variance / DRAWS).mean(0) / np.square(WIDTHS)
    widths = np.sqrt(variance.mean(0)) / WIDTHS - 1
    return float(np.sqrt(squares.clip(0).max())), float(np.abs(widths).max())


@pytest.mark.statistical
@pytest.mark.parametrize("name", list(SMALLER))
def test_posteriors_have_the_known_mean_and_width(name, train_briefly):
    estimator = build(preset(name)[0], {**preset(name)[1], **ENCODER, **SMALLER[name]}, LAYOUT, seed=1)
    train_briefly(estimator, _events(20_000, 0)[0], STEPS.get(name, 350), RATE, BATCH, Stream(2, "posteriors").at())
    events, centre = _events(1000, 1)
    location, width = _deviations(estimator, events, centre)
    # Five standard errors of what 1000 events of 32 draws measure, and the stated budget of so short a training.
    noise = 5 / math.sqrt(2 * 1000 * DRAWS)
    assert location < BUDGET + noise
    assert width < BUDGET / 2 + noise
    # Negative control: the condition of another event.
    shuffled = events.condition.map(lambda values: values.roll(1, 0))
    location, _ = _deviations(estimator, Batch(shuffled, events.target, events.weight, events.index), centre)
    assert location > 1
