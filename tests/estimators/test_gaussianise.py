"""Marginal Gaussianisation: normal scores, an exact inverse and Jacobian, and what happens in the tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from castalia.data.layout import Variable
from castalia.errors import ConfigError
from castalia.estimators import gaussianise
from castalia.estimators.gaussianise import Gaussianisation
from castalia.estimators.scaling import TargetScaling
from castalia.rng import Stream

COUNT = 50_000


def _values(count: int = COUNT, counter: int = 0) -> Tensor:
    """A normal, a steep, a long-tailed and a two-peaked column."""
    rng = Stream(1, "gaussianise").at(counter)
    peaks = rng.choice([-1.0, 1.5], count) + 0.5 * rng.standard_normal(count)
    columns = [rng.standard_normal(count), rng.exponential(1, count), rng.standard_t(3, count), peaks]
    return torch.from_numpy(np.stack(columns, axis=1))


def _prepared(values: Tensor, weight: Tensor | None = None, chunk: int = 7000) -> Gaussianisation:
    module = Gaussianisation(values.shape[1]).double()
    weight = torch.ones(len(values)) if weight is None else weight
    for rows in torch.arange(len(values)).split(chunk):
        module.update(values[rows], weight[rows])
    module.finish(torch.zeros(values.shape[1]), torch.ones(values.shape[1]))
    return module


@pytest.mark.statistical
def test_unseen_events_become_standard_normal():
    module, unseen = _prepared(_values()), _values(counter=1)
    scores, _ = module(unseen)
    probability = torch.special.ndtr(scores).sort(0).values
    steps = (torch.arange(COUNT, dtype=torch.float64)[:, None] + 0.5) / COUNT
    # Kolmogorov's distance of two samples at five standard deviations, and half a bin's curvature.
    limit = math.sqrt(-math.log(5.7e-7 / 2) / COUNT) + 2e-3
    assert float((probability - steps).abs().max()) < limit
    standardised = (unseen - unseen.mean(0)) / unseen.std(0)  # negative control: mean and width alone
    distance = (torch.special.ndtr(standardised).sort(0).values - steps).abs().amax(0)
    assert (distance > limit).tolist() == [False, True, True, True]


def test_the_inverse_inverts_and_the_jacobian_is_the_one_of_automatic_differentiation():
    module = _prepared(_values())
    x = torch.cat([_values(300, 2), torch.full((1, 4), 60.0), torch.full((1, 4), -60.0)]).double()
    scores, log_jacobian = module(x)
    assert torch.allclose(module.inverse(scores), x, rtol=1e-9, atol=1e-9)
    x.requires_grad_()
    (slopes,) = torch.autograd.grad(module(x)[0].sum(), x)
    assert torch.allclose(log_jacobian, slopes.log().sum(1))
    assert not torch.allclose(log_jacobian.roll(1), slopes.log().sum(1))
    y = scores.detach().clone().requires_grad_()
    (back,) = torch.autograd.grad(module.inverse(y).sum(), y)
    assert torch.allclose(back, 1 / slopes, rtol=1e-7)


def test_it_goes_on_straight_beyond_the_outermost_quantiles():
    module = _prepared(_values())
    end, step = module.positions[:, -1], torch.tensor([1.0, 10.0, 100.0])[:, None]
    scores, _ = module(torch.cat([end[None], end + step]).double())
    rise = (scores[1:] - scores[0]) / step
    assert torch.allclose(rise, module.slopes[:, -1].expand(3, -1))
    assert torch.allclose(scores[0], torch.full((4,), 3.5, dtype=torch.float64))
    # An exponential tail has a slope that grows as its events become fewer: that of its last unit of scores.
    quantile = [-math.log(0.5 * math.erfc(score / math.sqrt(2))) for score in (2.5, 3.5)]
    assert float(module.slopes[1, -1]) == pytest.approx(1 / (quantile[1] - quantile[0]), rel=0.3)


def test_weights_are_duplicates():
    values, weight = _values(4000), 1.0 + (torch.arange(4000) % 2).double()
    weighted = _prepared(values, weight)
    twice = _prepared(values.repeat_interleave(weight.long(), dim=0))
    assert torch.equal(weighted.positions, twice.positions)
    assert not torch.equal(weighted.positions, _prepared(values).positions)


def test_a_value_that_many_events_share_has_a_finite_slope():
    values = torch.where(torch.arange(2000)[:, None] % 2 == 0, 1.5, _values(2000)[:, :1])
    module = _prepared(values)
    scores, log_jacobian = module(values)
    assert bool(torch.isfinite(log_jacobian).all())
    assert torch.allclose(module.inverse(scores), values, atol=1e-8)
    assert bool((module.positions.diff(dim=1) > 0).all())


def test_of_too_many_events_an_even_part_is_kept(monkeypatch):
    values = _values()
    whole = _prepared(values).positions
    monkeypatch.setattr(gaussianise, "_MOST_EVENTS", 20_000)
    few = Gaussianisation(4).double()
    sorted_by_first = values[values[:, 0].argsort()]  # the first events alone would be no fair sample
    for chunk in sorted_by_first.split(3000):
        few.update(chunk, torch.ones(len(chunk)))
        assert sum(len(weight) for _, weight in few._kept) <= 20_000
    few.finish(torch.zeros(4), torch.ones(4))
    central = slice(16, 49)
    assert torch.allclose(few.positions[0, central], whole[0, central], atol=5 * 1.5 / math.sqrt(12_500))
    first = _prepared(sorted_by_first[:12_500]).positions  # negative control
    assert not torch.allclose(first[0, central], whole[0, central], atol=0.5)


def test_targets_come_to_it_unbounded_and_leave_it_within_their_bounds():
    variables = (Variable("m", bounds=(0.0, math.inf)), Variable("n", integer=True), Variable("x"))
    rng = Stream(2, "gaussianise").at()
    columns = [rng.gamma(2.0, 3.0, 5000), rng.poisson(3, 5000), rng.standard_t(4, 5000)]
    values = torch.from_numpy(np.stack(columns, axis=1))
    scaling = TargetScaling(variables, gaussianise=True).double()
    for chunk in values.split(999):
        scaling.update(chunk, torch.ones(len(chunk)))
    scaling.finish()
    scaled, log_jacobian = scaling(values)
    assert torch.allclose(scaling.inverse(scaled), values)
    assert torch.allclose(scaled[:, [0, 2]].mean(0), torch.zeros(2, dtype=torch.float64), atol=0.01)
    assert torch.allclose(scaled[:, [0, 2]].std(0), torch.ones(2, dtype=torch.float64), atol=0.02)
    inner = scaling(values.clone().requires_grad_())
    assert torch.allclose(inner[1], log_jacobian)
    for row in range(5):
        matrix = torch.autograd.functional.jacobian(lambda x: scaling(x[None])[0][0], values[row])
        assert float(log_jacobian[row]) == pytest.approx(float(torch.linalg.slogdet(matrix).logabsdet))
    far = scaling.inverse(torch.tensor([[-40.0, 0, 0], [40.0, 0, 0]], dtype=torch.float64))
    assert float(far[0, 0]) > 0
    # An integer is standardised only.
    assert torch.allclose(scaled[:, 1], (values[:, 1] - scaling.mean[1]) / scaling.deviation[1])


def test_a_fixed_range_and_a_normal_distribution_exclude_each_other():
    with pytest.raises(ConfigError, match="choose one"):
        TargetScaling([Variable("x")], truncate=True, gaussianise=True)


def test_peaks_are_standardised_and_nothing_more():
    values = torch.from_numpy(Stream(5, "gaussianise").at().choice([0.0, 1.0], (4000, 1), p=(0.7, 0.3)))
    values = values + 0.1 * torch.from_numpy(Stream(6, "gaussianise").at().standard_normal((4000, 1)))
    # Between two peaks that are made one normal distribution there is an edge, which what is drawn blurs.
    for peaks, expected in ((True, 1.0 / 0.469), (False, None)):
        scaling = TargetScaling([Variable("number", peaks=peaks)], gaussianise=True).double()
        scaling.update(values, torch.ones(len(values)))
        scaling.finish()
        low, high = (float(scaling(torch.tensor([[one]]).double())[0]) for one in (0.4, 0.6))
        if expected is None:
            assert high - low < 0.1
        else:
            assert high - low == pytest.approx(0.2 * expected, rel=0.02)


def test_the_near_inverse_is_near_and_quick_to_tell_from_another():
    module = _prepared(_values())
    scores = torch.linspace(-4, 4, 900)[:, None].double().expand(-1, 4)
    exact, near = module.inverse(scores), module.near_inverse()(scores)
    beyond = scores.abs() > 3.5
    assert torch.allclose(near[beyond], exact[beyond], rtol=1e-4)
    inside = scores[:, 0].abs() < 2.5
    assert float((near - exact)[inside].abs().max()) < 0.06
    knots = module.scores.double()[:, None].expand(-1, 4)
    assert torch.allclose(module.near_inverse()(knots), module.inverse(knots), rtol=1e-4, atol=1e-4)
    assert float((module.near_inverse()(scores + 0.1) - exact).abs().max()) > 0.1


def test_not_a_number_stays_none():
    module = _prepared(_values())
    scores = torch.tensor([[float("nan"), 0.0, 1e30, -1e30]]).double()
    for found in (module.near_inverse()(scores), module.inverse(scores), module(scores)[0]):
        assert found.isnan().tolist() == [[True, False, False, False]]
