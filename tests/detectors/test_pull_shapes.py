"""Every shape of a pull: density, distribution function, tails and sampling tell the same story."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from castalia.detectors.pull_shapes import CoreAndTail, DoubleCrystalBall, Gaussian, normal_pair_inside
from castalia.rng import Stream

SHAPES = {
    "gaussian": Gaussian(),
    "amplitude": CoreAndTail.from_amplitudes(0.84, 0.16),
    "area": CoreAndTail(0.16),
    "crystal ball": DoubleCrystalBall(),
    "heavy crystal ball": DoubleCrystalBall(0.8, 2.5, 1.1, 3.0),
}
DRAWS = 100_000
SMALLEST_P = 2.0 * stats.norm.sf(5.0)
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def draws(shape, purpose: str = "test pulls"):
    return shape.from_uniform(Stream(1, purpose).at().random(DRAWS))


@shapes
def test_the_density_integrates_to_the_distribution_function(shape):
    # Breakpoints where the Crystal Balls join; to -200 for their power laws.
    edges = [-200.0, -50.0, -12.0, -4.0, -1.5, -0.8, 0.0, 1.1, 2.0, 5.0, 12.0, 50.0]
    start = float(shape.cdf(np.array(edges[0])))
    total, error = start, 0.0
    for low, high in pairwise(edges):
        part, part_error = integrate.quad(lambda z: np.exp(shape.log_density(np.array(z))), low, high, epsabs=1e-12)
        total, error = total + part, error + part_error
        assert abs(total - float(shape.cdf(np.array(high)))) < error + 1e-12
    wrong, _ = integrate.quad(lambda z: np.exp(shape.log_density(np.array(z / 1.03))), -12.0, 12.0, points=[0.0])
    assert abs(wrong - 1.0) > 0.01, "a width that the norm forgets is the negative control"


@shapes
def test_both_tails(shape):
    bound = np.array([0.3, 1.0, 1.7, 2.5, 4.0, 7.0])
    expected = shape.cdf(-bound) + 1.0 - shape.cdf(bound)
    assert np.abs(shape.outside(bound) - expected).max() < 1e-15
    far = shape.outside(np.array([30.0, 35.0]))
    assert 0.0 < far[1] < far[0], "no cancellation far out"


@pytest.mark.statistical
@shapes
def test_sampling(shape):
    assert stats.kstest(draws(shape), shape.cdf).pvalue > SMALLEST_P


@pytest.mark.statistical
@shapes
def test_the_width_of_the_samples_is_the_densitys(shape):
    """The derivative of log p(s z) by log s averages to -1 at s = 1 if z is distributed as p; no test is sharper."""

    def errors_off(pull):
        step = 1e-4
        change = shape.log_density(pull * np.exp(step)) - shape.log_density(pull * np.exp(-step))
        score = change / (2.0 * step) + 1.0
        return abs(score.mean()) / (score.std() / np.sqrt(len(score)))

    assert errors_off(draws(shape)) < 5.0
    assert errors_off(1.03 * draws(shape)) > 5.0, "three percent more width is the negative control"


@pytest.mark.statistical
@shapes
def test_far_tails_of_the_samples(shape):
    pull = draws(shape, "test tails")
    for bound in (2.0, 3.0):
        p = float(shape.outside(np.array(bound)))
        assert abs((np.abs(pull) > bound).mean() - p) < 5.0 * np.sqrt(p * (1.0 - p) / DRAWS)


@shapes
def test_extreme_uniform_numbers_stay_finite(shape):
    border = getattr(shape, "tail_area", 0.5)
    uniform = np.array([2.0**-54, 2.0**-53, border, np.nextafter(border, 0.0), np.nextafter(border, 1), 1.0 - 2.0**-53])
    assert np.isfinite(shape.from_uniform(uniform)).all()


@pytest.mark.parametrize("name", ["gaussian", "crystal ball", "heavy crystal ball"])
def test_the_quantile_inverts_the_distribution_function(name):
    shape = SHAPES[name]
    uniform = np.concatenate([np.geomspace(1e-12, 0.5, 200), 1.0 - np.geomspace(1e-12, 0.5, 200)])
    assert np.abs(shape.cdf(shape.from_uniform(uniform)) / uniform - 1.0).max() < 1e-11


@pytest.mark.parametrize("name", ["crystal ball", "heavy crystal ball"])
def test_a_crystal_ball_is_smooth_where_it_joins(name):
    shape = SHAPES[name]
    step = 1e-6
    for join in (-shape.alpha_low, shape.alpha_high):
        below, at, above = shape.log_density(np.array([join - step, join, join + step]))
        assert abs(above - below) < 2.1 * step * max(shape.alpha_low, shape.alpha_high), "the value is continuous"
        assert abs((above - at) - (at - below)) < 4.0 * step**2 + 1e-15 * 4, "and so is the slope"


def test_amplitudes_and_areas_differ_by_the_ratio_of_widths():
    assert CoreAndTail.from_amplitudes(0.84, 0.16).tail_area == pytest.approx(0.48 / 1.32)
    height = [np.exp(stats.norm.logpdf(0.0)) * (1 - 0.48 / 1.32), np.exp(stats.norm.logpdf(0, 0, 3)) * 0.48 / 1.32]
    assert height[1] / height[0] == pytest.approx(0.16 / 0.84)


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.5, 0.95, 0.9999])
def test_pairs_inside_against_a_fine_quadrature(correlation):
    first, second = np.array([0.7, 2.0, 3.0, 1.0, 8.0]), np.array([1.5, 2.0, 0.4, 9.0, 12.0])
    q = np.sqrt(1.0 - correlation**2)
    for h, k, found in zip(first, second, normal_pair_inside(first, second, np.full(5, correlation)), strict=True):

        def strip(z, k=k):
            return stats.norm.pdf(z) * (
                stats.norm.cdf((k - correlation * z) / q) - stats.norm.cdf((-k - correlation * z) / q)
            )

        breaks = [b for b in (-k, k, -abs(k / max(abs(correlation), 0.1)), abs(k / max(abs(correlation), 0.1)))]
        expected, error = integrate.quad(strip, -h, h, points=[b for b in breaks if abs(b) < h] or None, limit=400)
        assert abs(found - expected) < 1e-9 + 10 * error


def test_pairs_without_a_bound_are_single():
    inside = normal_pair_inside(np.array([np.inf, 1.0, np.inf]), np.array([1.0, np.inf, np.inf]), np.full(3, 0.5))
    single = 1.0 - 2.0 * stats.norm.sf(1.0)
    assert inside == pytest.approx([single, single, 1.0], abs=1e-14)
    independent = normal_pair_inside(np.array([1.0]), np.array([1.0]), np.array([0.0]))
    assert independent == pytest.approx([single**2], abs=1e-14)
    assert normal_pair_inside(np.array([1.0]), np.array([1.0]), np.array([0.5]))[0] > single**2 + 0.01
