import dataclasses

import numpy as np
import pytest

from castalia.apps.unfold.background import positive_simulation, positive_weights, signed_union
from castalia.apps.unfold.events import measured_events, simulated_events
from castalia.errors import DataError
from castalia.rng import Stream


def data_and_background(events: int):
    """Signal about 0 and background, a quarter of the data, about 1."""
    rng = Stream(1, "background test").at()
    signal, hidden = rng.normal(0, 1, (events, 1)), rng.normal(1, 1, (events // 3, 1))
    simulated = measured_events(rng.normal(1, 1, (events, 1)), np.full(events, 1 / 3))
    return signal, measured_events(np.concatenate([signal, hidden])), simulated


@pytest.mark.statistical
def test_subtraction_leaves_the_signal():
    signal, data, background = data_and_background(20_000)
    signed = signed_union(data, background)
    assert 0.4 < (signed.weights < 0).mean() < 0.5
    positive = positive_weights(signed, seed=1)
    assert positive.weights.min() > 0
    assert positive.weights.sum() == pytest.approx(signed.weights.sum(), rel=1e-12)
    edges = np.linspace(-2.0, 2.5, 10)
    squares = np.histogram(signed.detector[:, 0], edges, weights=np.square(signed.weights))[0]
    expected = np.histogram(signal[:, 0], edges)[0]

    def worst(events):
        found = np.histogram(events.detector[:, 0], edges, weights=events.weights)[0]
        return np.max(np.abs(found - expected) / np.sqrt(squares + expected))

    assert worst(signed) < 5
    assert worst(positive) < 5
    assert worst(data) > 5  # control: nothing subtracted


def test_impossible_subtractions_are_refused():
    data = measured_events(np.zeros((5, 1)))
    with pytest.raises(DataError, match="1 observables and the background 2"):
        signed_union(data, measured_events(np.zeros((5, 2))))
    with pytest.raises(DataError, match="6 background events are expected among 5"):
        signed_union(data, measured_events(np.zeros((6, 1))))


@pytest.mark.statistical
def test_a_simulation_of_both_signs_gets_weights_of_the_same_average():
    """A third of the events of high truth, and half of those that were measured high, are subtracted."""
    events, rng = 20_000, Stream(2, "signs of a simulation").at()
    truth = rng.normal(0, 1, events)
    seen = truth + rng.normal(0, 0.5, events)
    fiducial, selected = rng.random(events) < 0.8, rng.random(events) < 0.7
    share = np.where(truth > 0.5, 1 / 3, 0.05) + np.where(selected & (seen > 0.5), 0.12, 0.0)
    weights = np.where(rng.random(events) < share, -1.0, 1.0)
    signed = simulated_events(truth, seen, weights, fiducial=fiducial, selected=selected)
    positive = positive_simulation(signed, seed=1)
    assert positive.weights[signed.fiducial | selected].min() > 0
    edges = np.linspace(-2.0, 2.0, 6)
    missed, fake = signed.fiducial & ~selected, signed.fake
    for rows, column in ((signed.matched, truth), (signed.matched, seen), (missed, truth), (fake, seen)):
        counts = [
            np.histogram(column[rows], edges, weights=w[rows])[0] for w in (weights, positive.weights, weights**2)
        ]
        assert np.max(np.abs(counts[1] - counts[0]) / np.sqrt(counts[2])) < 5
        flat = counts[2] * weights[rows].sum() / rows.sum()
        assert np.max(np.abs(flat - counts[0]) / np.sqrt(counts[2])) > 5  # control: the same factor for all
    none = dataclasses.replace(signed, weights=np.where(signed.fake, -1.0, 1.0))
    np.testing.assert_array_equal(positive_simulation(none, seed=1).weights, np.where(signed.fake, 0.0, 1.0))
