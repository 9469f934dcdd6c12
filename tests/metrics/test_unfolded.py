"""Spectra filled with draws: contents and migrations by hand, covariances against the bootstrap they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.metrics.unfolded import binned_result, bootstrap_contents, migration, replica_covariance
from castalia.rng import Stream

EDGES = np.array([0.0, 1.0, 2.0, 4.0])


def sample(events: int = 2000, draws: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = Stream(13, "test unfolded").at()
    truth = rng.gamma(2.0, 0.8, events)
    return truth, truth[:, None] + 0.4 * rng.normal(size=(events, draws)), rng.exponential(1.0, events)


def test_contents_by_hand() -> None:
    values = [[0.0, 0.5, 1.0, 1.5], [4.0, 4.1, -1.0, 3.0]]
    found = binned_result(values, EDGES, [2.0, 1.0])
    np.testing.assert_allclose(found.content, [1.0, 1.0, 0.5])
    np.testing.assert_allclose(found.covariance, [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.25]])
    np.testing.assert_allclose(found.error, [1.0, 1.0, 0.5])
    np.testing.assert_allclose(found.normalised().content, [0.4, 0.4, 0.2])


def test_without_draws_it_is_a_histogram_with_its_usual_errors() -> None:
    truth, _, weights = sample()
    found = binned_result(truth, EDGES, weights)
    np.testing.assert_allclose(found.content, np.histogram(truth, EDGES, weights=weights)[0])
    np.testing.assert_allclose(found.covariance, np.diag(np.histogram(truth, EDGES, weights=weights**2)[0]), atol=1e-9)


@pytest.mark.statistical
@pytest.mark.parametrize("normalised", [False, True])
def test_the_covariance_is_that_of_bootstrap_replicas(normalised: bool) -> None:
    _, drawn, weights = sample()
    replicas = 2000
    contents = bootstrap_contents(drawn, EDGES, Stream(13, "bootstrap"), replicas, weights)
    found = binned_result(drawn, EDGES, weights)
    if normalised:
        found, contents = found.normalised(), contents / contents.sum(axis=1, keepdims=True)
    expected = replica_covariance(contents)
    scale = np.outer(found.error, found.error)
    # A correlation of replicas is known to 1/sqrt(replicas), a variance to sqrt(2) of that.
    np.testing.assert_allclose(expected / scale, found.covariance / scale, atol=5.0 * np.sqrt(2.0 / replicas))
    # Negative control: draws counted as if they were events have errors that are too small.
    naive = np.histogram(drawn.ravel(), EDGES, weights=np.repeat(weights, 10) ** 2 / 100)[0]
    if not normalised:
        assert np.all(naive / np.diag(expected) < 1.0 - 5.0 * np.sqrt(2.0 / replicas))


def test_replicas_depend_on_the_stream_and_their_number_alone() -> None:
    _, drawn, _ = sample(200)
    few, many = (bootstrap_contents(drawn, EDGES, Stream(13, "bootstrap"), number) for number in (3, 5))
    np.testing.assert_array_equal(few, many[:3])
    assert np.ptp(many[:, 0]) > 0.0


def test_migrations_by_hand() -> None:
    found = migration([0.5, 0.5, 1.5, 3.0, 9.0], [[0.5, 1.5], [0.1, 0.2], [1.5, 1.6], [9.0, 9.0], [3.0, 0.5]], EDGES)
    expected = np.zeros((5, 5))
    expected[1, 1:3], expected[2, 2], expected[3, 4], expected[4, 3], expected[4, 1] = [1.5, 0.5], 1.0, 1.0, 0.5, 0.5
    np.testing.assert_allclose(found.content, expected)
    np.testing.assert_allclose(found.purity, [0.75, 1.0 / 1.5, 0.0])
    np.testing.assert_allclose(found.stability, [0.75, 1.0, 0.0])
    empty = migration([0.5], [0.5], EDGES)
    assert np.isnan(empty.purity[1:]).all()
    assert np.isnan(empty.stability_error[1:]).all()


@pytest.mark.statistical
def test_errors_of_purity_and_stability_are_those_of_the_bootstrap() -> None:
    truth, drawn, _ = sample(1500, 4)
    found, rng, trials = migration(truth, drawn, EDGES), Stream(13, "migration").at(), 400
    rows = [rng.integers(0, len(truth), len(truth)) for _ in range(trials)]
    again = [migration(truth[chosen], drawn[chosen], EDGES) for chosen in rows]
    for name in ("purity", "stability"):
        scatter = np.std([getattr(one, name) for one in again], axis=0, ddof=1)
        np.testing.assert_allclose(getattr(found, f"{name}_error"), scatter, rtol=5.0 / np.sqrt(2.0 * trials))


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="must increase"):
        binned_result([0.5], [0.0, 0.0])
    with pytest.raises(DataError, match="give the same events"):
        migration([0.5, 0.6], [0.5], EDGES)
    with pytest.raises(DataError, match="one replica"):
        replica_covariance([[1.0, 2.0]])
    with pytest.raises(DataError, match="widen the edges"):
        binned_result([9.0], EDGES).normalised()
