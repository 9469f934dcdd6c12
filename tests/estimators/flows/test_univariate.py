"""Univariate maps: inverse, slope, tails."""

from __future__ import annotations

import pytest
import torch

from castalia.estimators.flows.sigmoids import SigmoidMap
from castalia.estimators.flows.univariate import AffineMap, ChainedMap, SplineMap
from castalia.rng import Stream

MAPS = {
    "affine": AffineMap(1.0),
    "wide affine": AffineMap(4.0),
    "spline": SplineMap(8, 3.0),
    "coarse": SplineMap(2, 1.0),
    "sigmoids": SigmoidMap(6),
    "both": ChainedMap(AffineMap(2.0), SplineMap(5, 3.0)),
}


@pytest.mark.parametrize("name", list(MAPS))
def test_inverse_and_slope(name):
    univariate, rng = MAPS[name], Stream(1, "univariate").at()
    raw = torch.from_numpy(2 * rng.standard_normal((4000, univariate.parameters)))
    x = torch.from_numpy(4 * rng.standard_normal(4000)).requires_grad_()
    y, log_slope = univariate.forward(x, raw)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(log_slope, slope.log(), rtol=1e-8, atol=1e-8)
    assert torch.allclose(univariate.inverse(y, raw), x, rtol=1e-7, atol=1e-7)
    assert not torch.allclose(univariate.inverse(y, raw.roll(1, 0)), x, atol=0.1)


@pytest.mark.parametrize("name", list(MAPS))
@pytest.mark.parametrize("shape", [(4000,), (3, 500), (2, 0)])
def test_the_inverse_by_rows_is_the_inverse(name, shape):
    univariate, rng = MAPS[name], Stream(4, "univariate").at()
    raw = torch.from_numpy(2 * rng.standard_normal((*shape[:-1], univariate.parameters, shape[-1])))
    y = torch.from_numpy(4 * rng.standard_normal(shape))
    expected = univariate.inverse(y, raw.movedim(-2, -1))
    factor, offset = (torch.tensor(one, dtype=torch.float64)[:, None] for one in univariate.folding())
    raw = raw * factor + offset
    out = torch.empty_like(y)
    univariate.inverse_rows(y, raw.clone(), out)
    assert torch.allclose(out, expected, rtol=1e-9, atol=1e-9)
    inplace = y.clone()
    univariate.inverse_rows(inplace, raw.clone(), inplace)
    assert torch.equal(inplace, out)
    univariate.inverse_rows(y, raw.roll(1, -1), out)  # negative control
    assert not y.numel() or not torch.allclose(out, expected, atol=0.1)
    single = torch.empty_like(y, dtype=torch.float32)
    univariate.inverse_rows(y.float(), raw.float(), single)
    assert torch.allclose(single.double(), expected, rtol=1e-3, atol=1e-3)


def test_an_affine_map_cannot_scale_beyond_its_limit():
    raw = torch.tensor([[1e6, 0.0]])
    y, log_slope = AffineMap(2.0).forward(torch.ones(1), raw)
    assert float(log_slope) == pytest.approx(2.0)
    assert bool(torch.isfinite(y))


def test_a_spline_is_increasing_and_straight_outside():
    spline = SplineMap(8, 3.0)
    raw = torch.from_numpy(3 * Stream(2, "univariate").at().standard_normal((1, spline.parameters)))
    x = torch.linspace(-9, 9, 3601, dtype=torch.float64)
    y, log_slope = spline.forward(x, raw.expand(len(x), -1))
    assert bool((y.diff() > 0).all())
    assert torch.allclose(y[[1200, 2400]], x[[1200, 2400]])
    left, right = log_slope[x < -3], log_slope[x > 3]
    assert torch.allclose(left, left[0])
    assert torch.allclose(right, right[0])
    middle = log_slope[(x > -3) & (x < 3)]
    assert not torch.allclose(middle, middle[0])


def test_float32_is_good_to_its_precision_at_extreme_parameters():
    spline = SplineMap(8, 5.0)
    raw = torch.from_numpy(20 * Stream(3, "univariate").at().standard_normal((2000, spline.parameters))).float()
    x = torch.linspace(-8, 8, 2000)
    y, log_slope = spline.forward(x, raw)
    assert bool(torch.isfinite(y).all())
    assert bool(torch.isfinite(log_slope).all())
    assert bool(torch.isfinite(spline.inverse(y, raw)).all())
    spline.inverse_rows(y, raw.t().clone(), y)
    assert bool(torch.isfinite(y).all())
