"""The exact core width agrees with the metric's on many draws, for every shape, mixture and truncation."""

import numpy as np
import pytest
from scipy.stats import norm

from analytic_width import PartialMoments, analytic_core_width
from castalia.detectors.pull_shapes import CoreAndTail, DoubleCrystalBall, Gaussian
from castalia.metrics.resolution import core_width
from castalia.rng import Stream

SHAPES = [Gaussian(), CoreAndTail.from_amplitudes(0.84, 0.16), DoubleCrystalBall()]
EVENTS = 400_000


def test_partial_moments_of_a_normal_pull():
    low, high = np.array([-1.0, 0.5]), np.array([2.0, 3.0])
    zeroth, first, second = PartialMoments(Gaussian()).between(low, high)
    # Integrals of φ, zφ and z²φ: Φ, −φ and Φ − zφ.
    expected = norm.cdf(high) - norm.cdf(low)
    assert np.allclose(zeroth, expected, atol=2e-6)
    assert np.allclose(first, norm.pdf(low) - norm.pdf(high), atol=1e-5)
    assert np.allclose(second, expected + low * norm.pdf(low) - high * norm.pdf(high), atol=2e-5)


@pytest.mark.statistical
@pytest.mark.parametrize("bound", [np.inf, 4.0])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_width_of_a_mixture(shape, bound):
    rng = Stream(1, "analytic width").at()
    widths = rng.choice([1.0, 1.5, 3.0], size=EVENTS)
    response = np.full(EVENTS, np.inf)
    while (outside := ~(np.abs(response) < bound) | np.isinf(response)).any():
        response[outside] = shape.from_uniform(rng.random(int(outside.sum()))) * widths[outside]
    exact, found = analytic_core_width(PartialMoments(shape), widths, bound), core_width(response)
    # The metric stops once no event is clipped, a spacing of events before the limit: far less than an error.
    assert abs(found.width - exact) < 5 * found.error
    # Negative control: widths off by 3 % are seen.
    assert abs(found.width - analytic_core_width(PartialMoments(shape), 1.03 * widths, bound)) > 5 * found.error
