from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.goodness import HeldOut, fitted_goodness, load_held_out, save_held_out
from castalia.errors import ModelError
from castalia.processes.mixture import AnalyticBackground, analytic_mixture
from castalia.rng import Stream

EVENTS = 4_000
SHARE = 0.25
THETA = np.array([0.2, -0.1])
NAMES = ("x", "y", "z")
TRUE = analytic_mixture(2, 3)


class Imperfect:
    """A density that is off by a shift of 0.15 in one observable: about 0.01 nat."""

    def sample(self, theta, events, rng):
        return TRUE.sample(theta, events, rng) + np.array([0.15, 0.0, 0.0])


def held_out():
    rng = Stream(1, "test held out").at()
    theta = rng.uniform(-1.0, 1.0, (30_000, 2))
    signal = HeldOut(TRUE.sample(theta, 1, rng), theta)
    return {"Signal": signal, "Background": HeldOut(AnalyticBackground(3).sample(30_000, rng), np.empty((30_000, 0)))}


def examined(trial, known, share=SHARE, shift=0.0, density=None):
    """Test one data set at the true parameters: of a fit, only what the test looks at."""
    rng, density = Stream(2, "test data").at(trial), density or Imperfect()
    number = rng.binomial(EVENTS, share)
    x = np.concatenate([TRUE.sample(THETA, number, rng), AnalyticBackground(3).sample(EVENTS - number, rng)])
    x[:, 1] += shift
    likelihood = SimpleNamespace(x=SimpleNamespace(numpy=lambda: x), weighted=False)
    result = SimpleNamespace(fitted=SimpleNamespace(phi=np.append(THETA, share)), likelihood=likelihood)
    parts = [ExpectedPart("Signal", density.sample(THETA, 20_000, rng), share * EVENTS)]
    if share < 1.0:
        background = AnalyticBackground(3).sample(20_000, rng) * 1.05
        parts.append(ExpectedPart("Background", background, (1.0 - share) * EVENTS))
    model = SimpleNamespace(parameters=("a", "b"), signal=density)
    return fitted_goodness(model, result, parts, NAMES, known)


@pytest.mark.statistical
def test_faults_of_the_densities_are_not_held_against_the_data():
    known = held_out()
    values = np.array([examined(i, known, share=share).p_value for share in (SHARE, 1.0) for i in range(12)])
    # Of 24 uniform p-values, five or more lie below 0.01 once in a million trials.
    assert np.sum(values < 0.01) < 5
    assert np.median(values) > 0.1
    # Negative control: without held-out simulation the same data are rejected, and the result says that it may be so.
    control = [examined(i, {}, share=1.0) for i in range(3)]
    assert all(result.p_value < 0.01 and not result.corrected for result in control)


@pytest.mark.statistical
def test_a_shift_of_the_data_is_rejected():
    known = held_out()
    assert all(examined(i, known, shift=0.25).rejects() for i in range(5))


@pytest.mark.statistical
def test_the_correction_is_taken_near_the_minimum():
    class Local:
        """A density that is right at the fitted parameters only."""

        def sample(self, theta, events, rng):
            points = np.atleast_2d(theta).repeat(events, axis=0)
            return TRUE.sample(theta, events, rng) + 0.3 * (points[:, :1] - THETA[0])

    values = [examined(i, held_out(), share=1.0, density=Local()).p_value for i in range(3)]
    assert min(values) > 1e-4


def test_held_out_simulation_is_kept_and_weights_become_numbers_of_events(tmp_path):
    rng = Stream(1, "test keep").at()
    x, theta = rng.standard_normal((20_000, 2)), rng.uniform(size=(20_000, 1))
    weight = np.where(x[:, 0] > 0.0, 1.0, 0.25)
    save_held_out(tmp_path, x, theta, weight, seed=1)
    kept = load_held_out(tmp_path)
    assert kept is not None
    assert kept.x.shape[1:] == (2,)
    # 0.8 of the weight lies above zero
    assert np.mean(kept.x[:, 0] > 0.0) == pytest.approx(0.8, abs=5.0 * np.sqrt(0.16 / len(kept.x)))
    rows = np.searchsorted(np.sort(x[:, 1]), kept.x[:, 1])
    assert np.array_equal(np.sort(x[:, 1])[rows], kept.x[:, 1])
    save_held_out(tmp_path, np.repeat(x, 4, axis=0), np.repeat(theta, 4, axis=0), np.ones(80_000), seed=1)
    again = load_held_out(tmp_path)
    assert again is not None
    assert len(again.x) == len(again.theta) == 50_000


def test_nothing_kept_is_none_and_a_damaged_file_is_refused(tmp_path):
    assert load_held_out(tmp_path) is None
    (tmp_path / "held_out.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_held_out(tmp_path)
