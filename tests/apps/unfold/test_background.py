import numpy as np
import pytest

from castalia.apps.unfold.background import positive_weights, signed_union
from castalia.apps.unfold.events import measured_events
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
