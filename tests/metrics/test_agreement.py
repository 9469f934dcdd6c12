import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.agreement import quantile_chi2
from castalia.rng import Stream


def two_samples(rng, shift=0.0):
    weights = rng.choice([-0.5, 1.0, 2.0], 1500, p=[0.1, 0.7, 0.2])
    return rng.normal(0, 1, 1000), rng.normal(shift, 1, 1500), weights


@pytest.mark.statistical
def test_the_statistic_is_chi_squared_for_weighted_samples_that_agree():
    rng, trials = Stream(1, "agreement").at(), 400
    weighted, blind = [], []
    for _ in range(trials):
        first, second, weights = two_samples(rng)
        statistic, freedom = quantile_chi2(first, second, 10, other_weights=weights)
        assert freedom == 9
        weighted.append(statistic)
        # control: the same contents, but errors as if each weight were one event
        blind.append(quantile_chi2(first, np.repeat(second, 2), 10, other_weights=np.repeat(weights, 2) / 2)[0])
    error = np.sqrt(2.0 * freedom / trials)
    assert abs(np.mean(weighted) - freedom) < 5 * error
    assert abs(np.mean(blind) - freedom) > 5 * error


def test_a_shift_is_seen():
    first, second, weights = two_samples(Stream(2, "agreement").at(), shift=0.3)
    statistic, freedom = quantile_chi2(first, second, 10, other_weights=weights)
    assert statistic > freedom + 5 * np.sqrt(2 * freedom)


def test_ties_make_fewer_bins_and_one_bin_is_refused():
    assert quantile_chi2([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0], 20)[1] == 1
    with pytest.raises(DataError, match="only one is filled"):
        quantile_chi2([0.0, 1.0], [0.0, 1.0], 1)
