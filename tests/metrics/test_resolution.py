"""Core widths: closed form, honest errors, bins, weights, speed's correctness."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.resolution import core_width, population_edges, resolution_profiles
from castalia.rng import Stream

GAUSSIAN = 0.984846
"""Core width of a unit Gaussian: the T with T² = E[x² | |x| < 3T]."""


def test_the_core_of_a_gaussian() -> None:
    result = core_width(2.0 * Stream(5, "gauss").at().normal(size=200_000) + 7.0)
    assert result.width == pytest.approx(2.0 * GAUSSIAN, abs=5.0 * result.error)
    assert result.mean == pytest.approx(7.0, abs=5.0 * 2.0 / np.sqrt(200_000))
    # The negative control: a width 3 % off is seen.
    assert abs(1.03 * result.width - 2.0 * GAUSSIAN) > 5.0 * result.error


def test_far_outliers_do_not_reach_the_core() -> None:
    x = Stream(5, "outliers").at().normal(size=10_000)
    clean, soiled = core_width(x), core_width(np.append(x, [1e4, -1e6, 50.0]))
    assert soiled.width == pytest.approx(clean.width, rel=1e-9)
    assert np.std(np.append(x, [1e4, -1e6, 50.0])) > 100.0


def test_clipping_goes_on_until_nothing_is_removed() -> None:
    x = Stream(5, "fixed point").at().standard_t(4, size=5_000)
    result = core_width(x)
    kept = x[np.abs(x - result.mean) <= 3.0 * result.width]
    again = core_width(kept)
    assert (again.mean, again.width) == pytest.approx((result.mean, result.width), rel=1e-12)
    assert len(kept) < len(x)


@pytest.mark.statistical
@pytest.mark.parametrize("shape", ["gauss", "asymmetric", "mixture of widths"])
def test_errors_match_the_scatter_of_repeated_trials(shape: str) -> None:
    trials, size = 400, 2000
    results = []
    for trial in range(trials):
        rng = Stream(5, shape).at(trial)
        x = rng.normal(size=size)
        if shape == "asymmetric":
            x = np.where(rng.random(size) < 0.16, 3.0 * rng.normal(size=size) - 3.0, x)
        elif shape == "mixture of widths":
            x *= rng.uniform(0.5, 2.0, size)
        results.append(core_width(x))
    scatter = np.std([result.width for result in results], ddof=1)
    quoted = np.mean([result.error for result in results])
    # Five standard errors of the scatter, and 12 % for the edge density taken from a window of finite width.
    assert quoted == pytest.approx(scatter, rel=5.0 / np.sqrt(2.0 * trials) + 0.12)


@pytest.mark.statistical
def test_the_error_knows_that_the_mean_moves_with_the_width() -> None:
    trials, size = 150, 5000
    widths, errors = [], []
    for trial in range(trials):
        rng = Stream(5, "asymmetric scores").at(trial)
        z = rng.normal(size=size)
        x = np.where(rng.random(size) < 0.16, 3.0 * z - 3.0, z)
        result = core_width(x)
        widths.append(result.width)
        errors.append(result.error)
    scores = (np.array(widths) - np.mean(widths)) / np.array(errors)
    # The scatter of 150 trials is known to 6 %; with the mean held fixed it is 1.28.
    assert scores.std(ddof=1) == pytest.approx(1.0, abs=0.15)


@pytest.mark.statistical
def test_rows_of_one_event_are_not_independent() -> None:
    trials, events = 200, 1000
    widths, errors, naive = [], [], []
    for trial in range(trials):
        pair = np.tile(Stream(5, "pairs").at(trial).normal(size=events), 2)
        place, number = np.zeros(2 * events), np.tile(np.arange(events), 2)
        (grouped,) = resolution_profiles(place, pair, [-1.0, 1.0], group=number)
        (ungrouped,) = resolution_profiles(place, pair, [-1.0, 1.0])
        widths.append(grouped.width[0])
        errors.append(grouped.error[0])
        naive.append(ungrouped.error[0])
    scatter = np.std(widths, ddof=1)
    assert np.mean(errors) == pytest.approx(scatter, rel=5.0 / np.sqrt(2.0 * trials) + 0.05)
    # The negative control: rows counted as events quote errors too small by the square root of two.
    np.testing.assert_allclose(np.array(errors) / np.array(naive), np.sqrt(2.0), rtol=1e-9)


def test_groups_of_one_row_change_nothing_and_bad_ones_are_refused() -> None:
    x = Stream(5, "single").at().normal(size=300)
    (plain,) = resolution_profiles(np.zeros(300), x, [-1.0, 1.0])
    (grouped,) = resolution_profiles(np.zeros(300), x, [-1.0, 1.0], group=np.arange(300)[::-1])
    assert grouped.error[0] == pytest.approx(plain.error[0], rel=1e-12)
    for bad in (np.arange(299), np.arange(300) - 1, np.zeros(300)):
        with pytest.raises(DataError, match="whole numbers from 0"):
            resolution_profiles(np.zeros(300), x, [-1.0, 1.0], group=bad)


def test_profiles_are_the_widths_of_their_bins() -> None:
    rng = Stream(5, "profile").at()
    truth, responses = rng.uniform(-1.0, 5.0, 5000), rng.normal(size=(5000, 2))
    edges = np.array([0.0, 1.0, 1.5, 4.0])
    profiles = resolution_profiles(truth, responses, edges)
    for target, profile in enumerate(profiles):
        for i in range(3):
            chosen = (truth >= edges[i]) & (truth < edges[i + 1])
            alone = core_width(responses[chosen, target])
            assert profile.width[i] == pytest.approx(alone.width, rel=1e-12)
            assert profile.error[i] == pytest.approx(alone.error, rel=1e-12)
            assert profile.events[i] == chosen.sum()


def test_the_last_edge_belongs_to_the_last_bin() -> None:
    (profile,) = resolution_profiles([0.0, 1.0, 2.0, 2.0, 2.1, -0.1], np.zeros(6), [0.0, 1.0, 2.0])
    assert profile.events.tolist() == [1, 3]


def test_poor_bins_are_marked_not_quoted() -> None:
    truth = np.repeat([0.5, 1.5, 2.5], [49, 500, 0])
    (profile,) = resolution_profiles(truth, Stream(5, "poor").at().normal(size=549), [0.0, 1.0, 2.0, 3.0])
    assert np.isnan(profile.width[0])
    assert np.isnan(profile.error[0])
    assert profile.width[1] > 0.0
    assert np.isnan(profile.width[2])


def test_weights_are_duplication() -> None:
    rng = Stream(5, "weights").at()
    x, times = rng.standard_t(5, size=3000), rng.integers(1, 4, 3000)
    assert core_width(x, times).width == pytest.approx(core_width(np.repeat(x, times)).width, rel=1e-10)
    (profile,) = resolution_profiles(np.zeros(3000), x, [-1.0, 1.0], times)
    assert profile.width[0] == pytest.approx(core_width(x, times).width, rel=1e-12)


def test_population_edges_hold_equal_numbers() -> None:
    values = Stream(5, "population").at().exponential(size=10_000)
    counts = np.histogram(values, population_edges(values, 8))[0]
    assert counts.sum() == 10_000
    assert np.ptp(counts) <= 2
    assert len(population_edges(np.repeat([1.0, 2.0], 50), 8)) == 3
    with pytest.raises(DataError, match="one value only"):
        population_edges(np.ones(5), 3)


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="must increase"):
        resolution_profiles([0.0, 1.0], [0.0, 1.0], [1.0, 1.0])
    with pytest.raises(DataError, match="must be equal"):
        resolution_profiles([0.0, 1.0], [0.0, 1.0, 2.0], [0.0, 1.0])
