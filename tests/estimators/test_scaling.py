"""Scaling: statistics, supports, Jacobians, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from castalia.data.layout import Variable
from castalia.errors import ConfigError, DataError, ModelError
from castalia.estimators.scaling import ConditionScaling, TargetScaling
from castalia.rng import Stream

VARIABLES = (
    Variable("line"),
    Variable("log", transform="log"),
    Variable("interval", bounds=(-1.0, 2.0)),
    Variable("below", bounds=(-math.inf, 5.0)),
    Variable("count", integer=True, bounds=(-1.0, 10.0)),
)


def _values(count: int = 2000) -> torch.Tensor:
    rng = Stream(1, "scaling").at()
    z = torch.from_numpy(rng.standard_normal((count, 5)))
    columns = [3 + 2 * z[:, 0], z[:, 1].exp(), 3 * torch.sigmoid(z[:, 2]) - 1, 5 - z[:, 3].exp()]
    return torch.stack([*columns, (4 + 2 * z[:, 4]).round().clamp(0, 9)], dim=1)


def _prepared(variables=VARIABLES, values=None, truncate=False) -> TargetScaling:
    scaling = TargetScaling(variables, truncate).double()
    values = _values() if values is None else values
    for chunk in values.split(300):
        scaling.update(chunk, torch.ones(len(chunk)))
    scaling.finish()
    return scaling


def test_targets_are_standardised_and_come_back():
    scaling, values = _prepared(), _values()
    values[:, 4] += 0.5
    scaled, log_jacobian = scaling(values)
    assert torch.allclose(scaled.mean(0), torch.zeros(5).double(), atol=1e-9)
    assert torch.allclose(scaled.std(0, correction=0), torch.ones(5).double(), atol=1e-9)
    assert torch.allclose(scaling.inverse(scaled), values, rtol=1e-10)
    for row in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda x: scaling(x[None])[0][0], values[row])
        assert torch.allclose(log_jacobian[row], torch.linalg.slogdet(jacobian).logabsdet)
        assert not torch.allclose(log_jacobian[row] + 0.01, torch.linalg.slogdet(jacobian).logabsdet)


def test_support_of_every_kind():
    low, high = _prepared().support()
    assert low.tolist() == [-math.inf, 0, -1, -math.inf, 0]
    assert high.tolist() == [math.inf, math.inf, 2, 5, 10]
    far = torch.full((1, 5), 80.0).double()
    ends = torch.cat([_prepared().inverse(far), _prepared().inverse(-far)])
    assert bool(_prepared().inside(ends).all())  # rounding never reaches an end
    assert not bool(_prepared().inside(torch.cat([low[None], high[None]])).any())


def test_the_paper_scales_by_constants_and_tanh():
    variables = (Variable("et", scale=20.0), Variable("free"))
    values = _values()[:, :2] - 3
    values[0] = torch.tensor([25.0, 0.1])
    scaling = _prepared(variables, values, truncate=True)
    low, high = scaling.support()
    largest = float(values[:, 1].abs().max())
    assert high.tolist() == pytest.approx([20.0, 1.05 * largest], rel=1e-12)
    assert torch.equal(low, -high)
    assert scaling.inside(values).tolist() == [False] + [True] * (len(values) - 1)
    scaled, log_jacobian = scaling(values[1:])
    assert torch.allclose(scaled, torch.atanh(values[1:] / high))
    # d atanh(x/s) / dx = 1 / (s (1 - (x/s)^2))
    expected = -(high.log() + torch.log1p(-((values[1:] / high) ** 2))).sum(1)
    assert torch.allclose(log_jacobian, expected)


def test_weights_of_events_outside_a_truncated_range_do_not_count():
    values = torch.tensor([[0.1, 1.0], [0.2, 2.0], [9.0, 500.0]]).double()
    scaling = _prepared((Variable("x", scale=1.0), Variable("y", bounds=(0.0, math.inf))), values, truncate=True)
    assert float(scaling.mean[1]) == pytest.approx(math.log(2) / 2)


def test_integers_go_to_cells_and_back():
    scaling = _prepared()
    values = _values()
    noise = torch.from_numpy(Stream(2, "noise").at().random((len(values), 1)))
    moved = scaling.dequantise(values, noise)
    assert bool((moved[:, 4] >= values[:, 4]).all())
    assert torch.equal(moved[:, :4], values[:, :4])
    assert torch.equal(scaling.to_sample(moved), values)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (Variable("x"), math.nan, "target 'x' is nan"),
        (Variable("x", transform="log"), -1.0, r"target 'x' is outside \(0, inf\) in 1 events"),
        (Variable("x", bounds=(-5.0, 1.0)), 1.0, r"target 'x' is outside \(-5, 1\)"),
        (Variable("x", integer=True), 2.5, "target 'x' is not a whole number"),
        (Variable("x", integer=True, bounds=(-9.0, 3.0)), 3.0, "target 'x' is outside"),
    ],
)
def test_bad_targets_are_named(variable, value, message):
    values = torch.tensor([[0.5], [0.25]]).double() if not variable.integer else torch.tensor([[1.0], [2.0]]).double()
    _prepared((variable,), values)  # negative control: good values pass
    values[1] = value
    with pytest.raises(DataError, match=message):
        _prepared((variable,), values)


def test_bad_declarations_are_named():
    with pytest.raises(ConfigError, match="'x' has bounds"):
        TargetScaling((Variable("x", bounds=(2.0, 1.0)),))
    with pytest.raises(ConfigError, match="'x' has scale"):
        TargetScaling((Variable("x", scale=-1.0),), truncate=True)
    with pytest.raises(ConfigError, match="no target"):
        TargetScaling(())


def test_an_unprepared_scaling_says_so():
    with pytest.raises(ModelError, match="not been prepared"):
        TargetScaling(VARIABLES).require_prepared()
    _prepared().require_prepared()


def test_conditions_are_standardised_after_their_logarithm():
    rng = Stream(3, "scaling").at()
    values = torch.stack([torch.from_numpy(rng.exponential(40, 500)) + 20, torch.linspace(0, 40, 500)], dim=1)
    scaling = ConditionScaling((Variable("et", transform="log"), Variable("mu"))).double()
    scaling.update(values, torch.ones(500))
    scaling.finish()
    expected = torch.stack([values[:, 0].log(), values[:, 1]], dim=1)
    expected = (expected - expected.mean(0)) / expected.std(0, correction=0)
    assert torch.allclose(scaling(values), expected)
    assert not torch.allclose(scaling(values.roll(1, 0)), expected)
    values[3, 0] = 0.0
    with pytest.raises(DataError, match="condition 'et' is 0 in row 3"):
        scaling(values)
    with pytest.raises(DataError, match="needs 2 columns: et, mu"):
        scaling(values[:, :1])
