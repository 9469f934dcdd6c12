"""Parametric smearing finds the widths it is meant to find, and no correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.estimators import crystal_ball
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.registry import build
from castalia.estimators.smearing import smearing_axes
from castalia.rng import Stream

CONDITION = (
    *tuple(Variable(f"{name}_{k + 1}", group=name, object_index=k) for name in ("et", "eta") for k in (0, 1)),
    Variable("mu"),
)


def test_axes_are_the_objects_own_conditions_then_the_events():
    assert smearing_axes(Variable("x", object_index=0), CONDITION) == [0, 2, 4]
    assert smearing_axes(Variable("x", object_index=1), CONDITION) == [1, 3, 4]
    assert smearing_axes(Variable("x"), CONDITION) == [0, 1, 2]
    assert smearing_axes(Variable("x", object_index=1), (Variable("a", object_index=0),)) == [0]


def _steps(count: int, shape: str, scale: float = 1.0):
    """Two targets, correlated, whose width steps with the sign of their one condition."""
    rng = Stream(1, "smearing").at()
    condition = rng.uniform(-1, 1, (count, 2))
    tails = torch.tensor((1.3, 3.0, 1.9, 6.0) if shape == "crystal_ball" else crystal_ball.GAUSSIAN).double()
    u = torch.from_numpy(rng.random((count, 1))).expand(-1, 2)
    pulls = crystal_ball.quantile(u, tails).numpy()
    target = 0.5 + scale * np.where(condition > 0, 2.0, 1.0) * pulls
    layout = Layout(
        (Variable("c1", object_index=0), Variable("c2", object_index=1)),
        (Variable("x1", object_index=0), Variable("x2", object_index=1)),
    )
    return layout, batch_from_arrays(condition, target, dtype=torch.float64)


@pytest.mark.statistical
@pytest.mark.parametrize("shape", ["crystal_ball", "gaussian"])
def test_location_and_width_per_bin(shape):
    count = 40_000
    layout, events = _steps(count, shape)
    estimator = build("parametric_smearing", {"bins": 2, "shape": shape}, layout).double()
    estimator.prepare(events.chunks(9999))
    pulls = crystal_ball.information(estimator.tails[0])
    errors = torch.linalg.inv(pulls).diagonal().sqrt() / np.sqrt(count / 2)
    deviation, mean = estimator.targets.deviation[0], estimator.targets.mean[0]
    for cell, width in ((0, 1.0), (4, 2.0)):  # two bins of the one axis
        found = float(estimator.width[0, cell // 4] * deviation)
        place = float(estimator.location[0, cell // 4] * deviation + mean)
        # Twice the error of a fit with known tails leaves room for the tails' own.
        assert found == pytest.approx(width, abs=5 * 2 * float(errors[1]) * width)
        assert place == pytest.approx(0.5, abs=5 * 2 * float(errors[0]) * width)
        assert found != pytest.approx(width * 1.15, abs=5 * 2 * float(errors[1]) * width)


def test_draws_of_different_targets_are_independent():
    layout, events = _steps(20_000, "gaussian")
    estimator = build("parametric_smearing", {"bins": 2}, layout)
    estimator.prepare([events])
    drawn = estimator.sample(events.condition, 1, Stream(2, "sampling").at()).flat.numpy()
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 5 / np.sqrt(20_000)
    assert np.corrcoef(events.target.flat.numpy().T)[0, 1] > 0.5  # what it was trained on was correlated
    assert estimator.objectives() == ()


def test_a_small_sample_gets_wider_bins():
    layout, events = _steps(500, "gaussian")
    estimator = build("parametric_smearing", {"bins": 8}, layout)
    estimator.prepare([events])
    assert int(torch.isfinite(estimator.edges[0]).sum()) == 1  # two bins of 250 events
    assert bool(torch.isfinite(estimator.log_prob(events)).all())


def test_conditions_beyond_the_training_range_take_the_outermost_bin():
    layout, events = _steps(5000, "gaussian")
    estimator = build("parametric_smearing", {"bins": 4}, layout)
    estimator.prepare([events])
    far = batch_from_arrays(np.full((3, 2), 1e6), np.full((3, 2), 0.5))
    assert bool(torch.isfinite(estimator.log_prob(far)).all())


def test_fitting_scales_with_the_units():
    values = []
    for scale in (1.0, 1e-4):
        layout, events = _steps(5000, "crystal_ball", scale)
        estimator = build("parametric_smearing", {"bins": 2}, layout).double()
        estimator.prepare([events])
        values.append(estimator.log_prob(events).mean() + 2 * np.log(scale))
    assert torch.allclose(values[0], values[1], atol=1e-6)
