"""The posterior by nearest events against the exact one of a linear Gaussian measurement."""

import numpy as np
import pytest

from castalia.apps.unfold.nearest import nearest_events
from castalia.errors import DataError
from castalia.metrics.calibration import rank_deviation, truth_ranks
from castalia.rng import Stream

NEIGHBOURS, NOISE = 200, 0.5
MEASURED = 400


def measurement(columns, events, number):
    """Independent normal truths of width one, each measured with noise of half of it."""
    rng = Stream(1, "nearest toy", str(number)).at()
    truth = rng.normal(size=(events, columns))
    return truth, truth + NOISE * rng.normal(size=(events, columns))


def moments(found, truth):
    """Mean and standard deviation of the first truth in the posterior of each measured event."""
    values = truth[found.rows, 0]
    mean = (found.weights * values).sum(axis=1)
    return mean, np.sqrt((found.weights * np.square(values - mean[:, None])).sum(axis=1))


def exact(seen):
    shrink = 1 / (1 + NOISE**2)
    return shrink * seen[:, 0], NOISE * np.sqrt(shrink)


def pulls(found, truth, seen):
    """Pulls of the mean posterior's offset, over all events, and of its mean width."""
    mean, width = moments(found, truth)
    expected, true_width = exact(seen)
    # Kish: neighbours that count differently are worth fewer, 5/6 of them in one column, less in more.
    worth = 1 / np.square(found.weights).sum(axis=1)
    off = (mean - expected) * np.sqrt(worth) / true_width
    scatter = np.square(off).mean() - 1
    return scatter / np.sqrt(2 / len(off)), (width.mean() / true_width - 1) * np.sqrt(2 * worth.sum())


@pytest.mark.statistical
@pytest.mark.parametrize(("columns", "budget"), [(1, 0.0), (2, 0.02)])
def test_it_is_the_exact_posterior_in_few_columns(columns, budget):
    truth, seen = measurement(columns, 200_000, 0)
    _, data = measurement(columns, MEASURED, 1)
    inside = data[np.abs(data).max(axis=1) < 2]  # beyond, simulation is sparse and the nearest lie on one side
    found = nearest_events(seen, inside, NEIGHBOURS)
    scatter, width = pulls(found, truth, inside)
    assert scatter < 5
    # Kish's small-sample bias of a weighted variance is 1/(2 worth) of the width, and the blur adds its own.
    total = np.sqrt(2 * (1 / np.square(found.weights).sum(axis=1)).sum())
    assert abs(width) < 5 + total * (budget + 1 / (2 * 0.6 * NEIGHBOURS))
    # control: truth that does not belong to what was seen
    wrong = pulls(found, np.roll(truth, 1, axis=0), inside)
    assert min(wrong) > 50


@pytest.mark.statistical
def test_in_many_columns_it_blurs_and_says_so():
    radius, width = [], []
    for columns in (1, 12):
        truth, seen = measurement(columns, 50_000, 0)
        _, data = measurement(columns, 100, 1)
        found = nearest_events(seen, data, NEIGHBOURS)
        radius.append(np.median(found.radius))
        width.append(moments(found, truth)[1].mean() / exact(data)[1])
    assert radius[0] < 0.02 < 1 < radius[1]
    assert width[0] == pytest.approx(1, abs=0.05)
    assert width[1] > 1.2


def test_draws_are_calibrated():
    truth, seen = measurement(1, 100_000, 0)
    true, data = measurement(1, 2_000, 1)
    found = nearest_events(seen, data, NEIGHBOURS)
    draws = found.draws(truth, 50, Stream(2, "draws").at())
    assert draws.shape == (2_000, 50, 1)
    ranks = rank_deviation(truth_ranks(true, draws, Stream(3, "ties").at()), 50)
    # Draws of the same 200 neighbours are less independent than draws: 1/200 of the variance of a rank.
    assert ranks.value[0] < ranks.threshold + 0.01
    shifted = truth_ranks(true, draws + 0.3 * exact(data)[1], Stream(3, "ties").at())
    assert rank_deviation(shifted, 50).value[0] > ranks.threshold + 0.01


def test_a_copy_is_the_nearest():
    _, seen = measurement(3, 1_000, 0)
    found = nearest_events(seen, seen[:5], 2)
    assert found.rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.weights == pytest.approx(np.tile([1.0, 0.0], (5, 1)))
    same = nearest_events(np.repeat([[0.0], [1.0]], 4, axis=0), np.array([[0.0]]), 4)
    assert same.weights == pytest.approx(np.full((1, 4), 0.25))
    assert same.radius[0] == 0


@pytest.mark.parametrize(
    ("simulated", "measured", "neighbours", "words"),
    [
        (np.zeros((5, 1)), np.zeros((2, 1)), 2, "1 columns of them constant"),
        (np.eye(5), np.zeros((2, 1)), 2, "give the same columns"),
        (np.arange(5.0), np.zeros(2), 6, "6 neighbours of 5"),
        (np.arange(5.0), np.zeros(2), 1, "1 neighbours of 5"),
    ],
)
def test_what_does_not_fit_is_refused(simulated, measured, neighbours, words):
    with pytest.raises(DataError, match=words):
        nearest_events(simulated, measured, neighbours)
