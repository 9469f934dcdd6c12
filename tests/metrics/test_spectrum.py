import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.spectrum import Spectrum, bin_places, binned, spread_covariance, variation_covariance
from castalia.rng import Stream

EDGES = np.array([0.0, 1.0, 2.0, 4.0])


def test_contents_are_those_of_numpy():
    rng = Stream(1, "spectrum").at()
    values, weights = rng.uniform(-1, 5, 500), rng.normal(1, 1, 500)
    values[:2] = EDGES[0], EDGES[-1]
    contents, covariance = binned(values, weights, EDGES)
    assert contents == pytest.approx(np.histogram(values, EDGES, weights=weights)[0])
    assert covariance == pytest.approx(np.diag(np.histogram(values, EDGES, weights=weights**2)[0]))
    assert bin_places(np.array([-0.1, 0.0, 1.0, 4.0, 4.1, np.nan]), EDGES).tolist() == [-1, 0, 1, 2, -1, -1]


@pytest.mark.statistical
def test_draws_of_one_event_are_correlated():
    """The covariance is the scatter over repeated experiments of Poisson size."""
    rng, experiments = Stream(2, "spectrum").at(), 2000
    contents, claimed = [], []
    for _ in range(experiments):
        centre = rng.normal(2.0, 1.0, (rng.poisson(50), 1))
        draws = centre + rng.normal(0.0, 0.5, (len(centre), 10))
        filled = binned(draws, np.full(draws.shape, 0.1), EDGES)
        contents.append(filled[0])
        claimed.append(filled[1])
    scatter, mean = np.cov(np.array(contents).T), np.mean(claimed, axis=0)
    # The error of a sample covariance of normal variables, Anderson (2003), section 3.4.
    error = np.sqrt((np.square(scatter) + np.outer(np.diag(scatter), np.diag(scatter))) / experiments)
    assert np.abs((scatter - mean) / error).max() < 5
    assert np.abs((scatter - np.diag(np.diag(mean))) / error).max() > 5  # control: bins taken to be independent
    assert np.abs((scatter - np.diag(np.mean(contents, axis=0))) / error).max() > 5  # control: each draw an event


def test_covariances_of_replicas():
    table = np.array([[1.0, 4.0], [3.0, 2.0], [2.0, 3.0]])
    assert spread_covariance(table) == pytest.approx(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert spread_covariance(table[:, :1]) == pytest.approx(np.ones((1, 1)))
    nominal, shift = np.array([10.0, 20.0]), np.array([1.0, 2.0])
    up, down = nominal + shift, nominal - shift
    one, both = variation_covariance([up], nominal), variation_covariance([up, down], nominal)
    assert one == pytest.approx(np.array([[1.0, 2.0], [2.0, 4.0]]))
    assert both == pytest.approx(one)
    spectrum = Spectrum(np.arange(3.0), nominal, {"a": one, "b": np.eye(2)})
    assert spectrum.errors == pytest.approx(np.sqrt([2.0, 5.0]))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(DataError, match="do not increase"):
        binned([0.5], [1.0], [0.0, 0.0])
    with pytest.raises(DataError, match="one replica has no spread"):
        spread_covariance([[1.0, 2.0]])
    with pytest.raises(DataError, match="NaN or infinite"):
        binned([np.nan], [1.0], EDGES)
    with pytest.raises(DataError, match="give one each"):
        binned(np.zeros((3, 2)), np.ones((3, 1)), EDGES)
