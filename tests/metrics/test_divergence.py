"""The binned divergence against shifted normals, hand-made histograms and its own floor; units do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from castalia.errors import DataError
from castalia.metrics.divergence import cells, cells_range, kl_divergence
from castalia.rng import Stream


def normal(counter: int, *shape: int) -> np.ndarray:
    return Stream(1, "test divergence").at(counter).normal(size=shape)


@pytest.mark.statistical
@pytest.mark.parametrize("bins", [64, 256])
def test_shifted_normals_have_the_divergence_of_their_bins(bins: int) -> None:
    events, shift = 200_000, 0.2
    truth, drawn = normal(0, events), normal(1, events) + shift
    ends = cells_range(truth)
    edges = np.concatenate([[-np.inf], np.linspace(*ends, bins + 1), [np.inf]])
    p, q = np.diff(norm.cdf(edges)), np.diff(norm.cdf(edges - shift))
    exact = float(np.sum(p * np.log(p / q)))
    assert exact == pytest.approx(0.5 * shift**2, rel=0.01), "fine bins lose little of the density's divergence"
    # Each sample moves it by the spread of the log-ratio, which is the shift; the finite numbers add (B + 1) / n.
    error, bias = shift * np.sqrt(2.0 / events), (bins + 1) / events
    assert kl_divergence(truth, drawn, bins)[0] - bias == pytest.approx(exact, abs=5.0 * error)
    # Negative control: twice the shift has four times the divergence.
    assert kl_divergence(truth, drawn + shift, bins)[0] - bias > exact + 5.0 * 2.0 * error


@pytest.mark.statistical
def test_two_samples_of_one_distribution_are_at_the_stated_floor() -> None:
    events, bins, columns = 20_000, 64, 40
    found = kl_divergence(normal(2, events, columns), normal(3, events, columns), bins)
    # Twice n times the divergence is about chi-squared with B + 1 degrees of freedom, times two.
    expected = (bins + 1) / events
    error = expected * np.sqrt(2.0 / ((bins + 1) * columns))
    assert found.mean() == pytest.approx(expected, abs=5.0 * error + 0.05 * expected)


def test_units_do_not_matter_and_direction_does() -> None:
    truth, drawn = normal(4, 5000, 2), 1.3 * normal(5, 5000, 2)
    np.testing.assert_allclose(
        kl_divergence(1e3 * truth, 1e3 * drawn, 64), kl_divergence(truth, drawn, 64), rtol=0.0, atol=1e-3
    )
    assert np.all(np.abs(kl_divergence(truth, drawn, 64) - kl_divergence(drawn, truth, 64)) > 1e-3)


def test_a_bin_without_draws_counts_as_one_of_their_events() -> None:
    truth, drawn = np.repeat([0.0, 1.0], 500), np.zeros(200)
    # The upper end lies in the overflow: p = (1/2, 1/2) and q = (1, 1/200) in the two bins that the truth fills.
    q = np.array([1.0, 1.0 / 200]) / (1.0 + 1.0 / 200)
    assert kl_divergence(truth, drawn, 2)[0] == pytest.approx(0.5 * np.sum(np.log(0.5 / q)))


def test_a_constant_truth_has_three_bins() -> None:
    truth = np.full(100, 4.18)
    assert kl_divergence(truth, truth, 64)[0] == 0.0
    for off in (np.nextafter(4.18, 5.0), np.nextafter(4.18, 4.0), 0.0):
        assert kl_divergence(truth, np.full(100, off), 64)[0] == pytest.approx(np.log(101.0))


def test_weights_are_duplication_and_negative_ones_leave_no_negative_bin() -> None:
    truth, drawn = normal(6, 4000), normal(7, 3000)
    times = Stream(1, "test times").at().integers(1, 4, 3000)
    weighted = kl_divergence(truth, drawn, 8, weights_drawn=times)
    np.testing.assert_allclose(weighted, kl_divergence(truth, np.repeat(drawn, times), 8), rtol=1e-10)
    mixed = np.where(drawn > 1.0, -1.0, 1.0)
    assert np.isfinite(kl_divergence(truth, drawn, 64, weights_drawn=mixed)).all()
    assert kl_divergence(truth, drawn, 64, weights_drawn=mixed)[0] > weighted[0]


def test_coarse_bins_are_unions_of_fine_ones() -> None:
    values = normal(8, 20_000)
    ends = cells_range(values)
    fine, coarse = cells(values, ends, 256), cells(values, ends, 64)
    inner = (fine > 0) & (fine < 257)
    np.testing.assert_array_equal((fine[inner] - 1) // 4, coarse[inner] - 1)
    assert set(coarse[~inner]) == {0, 65}
    assert np.mean(~inner) == pytest.approx(0.002, abs=1e-4)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="1 and 2 columns"):
        kl_divergence(normal(0, 5), normal(0, 5, 2), 64)
    with pytest.raises(DataError, match="for 0 bins"):
        kl_divergence(normal(0, 5), normal(1, 5), 0)
    with pytest.raises(DataError, match="the draws has 1 values"):
        kl_divergence(normal(0, 2), [0.0, np.nan], 64)
