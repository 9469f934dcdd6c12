import numpy as np
import pytest

from castalia.apps.unfold.events import bootstrapped, measured_events, simulated_events
from castalia.errors import DataError
from castalia.rng import Stream


def test_columns_weights_and_flags_have_defaults():
    events = simulated_events([1.0, 2.0, 3.0], [[1.0], [2.0], [3.0]], selected=[True, False, True])
    assert events.truth.shape == events.detector.shape == (3, 1)
    assert events.weights.tolist() == [1.0, 1.0, 1.0]
    assert events.matched.tolist() == [True, False, True]


def test_what_an_event_lacks_may_be_anything():
    nan = np.nan
    kept = simulated_events(
        [1.0, nan, 2.0], [1.0, 2.0, nan], fiducial=[True, False, True], selected=[True, True, False]
    )
    assert kept.matched.tolist() == [True, False, False]
    with pytest.raises(DataError, match="truth of the fiducial events has 1 values that are NaN"):
        simulated_events([1.0, nan], [1.0, 2.0])
    with pytest.raises(DataError, match="detector level of the selected events has 1 values"):
        simulated_events([1.0, 2.0], [1.0, nan])


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataError, match="give one row"):
        simulated_events([1.0, 2.0], [1.0])
    with pytest.raises(DataError, match="one boolean of each kind"):
        simulated_events([1.0, 2.0], [1.0, 2.0], fiducial=[1, 0])
    with pytest.raises(DataError, match="no response to learn"):
        simulated_events([1.0], [1.0], selected=[False])
    with pytest.raises(DataError, match="2 measured events but 3 weights"):
        measured_events([1.0, 2.0], [1.0, 1.0, 1.0])


@pytest.mark.statistical
def test_bootstrap_replicas_scatter_like_experiments():
    events, rng = measured_events(np.zeros(500), np.linspace(0.5, 1.5, 500)), Stream(1, "bootstrap test").at()
    totals = np.array([bootstrapped(events, rng).weights.sum() for _ in range(1000)])
    variance = np.square(events.weights).sum()
    assert abs(totals.mean() - events.weights.sum()) < 5 * np.sqrt(variance / 1000)
    assert abs(totals.var(ddof=1) - variance) < 5 * variance * np.sqrt(2 / 1000)
