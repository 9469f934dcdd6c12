from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from castalia.errors import DataError
from castalia.metrics.goodness import Component, goodness_of_fit
from castalia.rng import Stream

NAMES = ("a", "b", "c")
EVENTS = 1_000
REFERENCE = 4_000


def signal(rng, events, shift=0.0, correlation=0.5):
    z = rng.standard_normal((events, 3))
    z[:, 1] = correlation * z[:, 0] + np.sqrt(1.0 - correlation**2) * z[:, 1]
    return np.exp(0.5 * z) + np.array([shift, 0.0, 0.0])


def imperfect(rng, events):
    """A model of the signal that is off by about 0.03 nat."""
    return signal(rng, events, shift=0.12)


def background(rng, events):
    return rng.exponential(2.0, (events, 3))


def p_value(trial, *, corrected=True, share=0.5, observed=signal):
    rng = Stream(3, "test goodness", f"{corrected} {share} {observed.__name__}").at(trial)
    number = rng.binomial(EVENTS, share)
    data = np.concatenate([observed(rng, number), background(rng, EVENTS - number)])
    pair = (signal(rng, REFERENCE), imperfect(rng, REFERENCE)) if corrected else ()
    components = [
        Component(share, imperfect(rng, REFERENCE), *pair),
        Component(1.0 - share, background(rng, REFERENCE), modelled=False),
    ]
    result = goodness_of_fit(data, components, NAMES)
    assert result.corrected == corrected
    return result.p_value


def shifted(rng, events):
    return signal(rng, events, shift=0.25)


def uncorrelated(rng, events):
    return signal(rng, events, correlation=-0.2)


@pytest.mark.statistical
def test_p_values_on_truth_are_uniform_though_the_model_is_not_perfect():
    trials = 120
    values = np.array([p_value(i) for i in range(trials)])
    for level in (0.05, 0.5):
        low, high = (binom.ppf(tail, trials, level) for tail in (3e-7, 1.0 - 3e-7))  # five standard deviations
        assert low <= np.sum(values < level) <= high
    # Negative control: without the correction, the faults of the model are taken for those of the data.
    control = np.array([p_value(i, corrected=False, share=1.0) for i in range(10)])
    assert np.all(control < 0.05)


@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [shifted, uncorrelated])
def test_a_wrong_signal_is_rejected_by_its_location_or_its_correlations(wrong):
    assert all(p_value(i, observed=wrong) < 0.01 for i in range(5))


def test_the_guilty_observable_is_named_and_the_result_says_what_it_stands_on():
    rng = Stream(1, "test guilty").at()
    data = rng.standard_normal((2_000, 3))
    data[:, 2] *= 1.2
    result = goodness_of_fit(data, [Component(1.0, rng.standard_normal((20_000, 3)))], NAMES)
    assert result.rejects(0.99)
    assert min(result.observables, key=result.observables.__getitem__) == "c"
    assert min(result.observables["a"], result.observables["b"]) > 1e-6
    assert not result.corrected
    assert result.events == 2_000
    assert result.reference == pytest.approx(20_000)
    assert result.features == 27


def test_counts_and_copies_of_columns_take_no_more_directions_than_they_have():
    rng = Stream(1, "test counts").at()

    def events(number):
        count = rng.integers(0, 3, number).astype(np.float64)
        return np.column_stack([count, rng.standard_normal(number), count])

    result = goodness_of_fit(events(3_000), [Component(1.0, events(20_000))], NAMES)
    # A count of three values has two moments, the normal column has six, and there are three products of both; what is
    # made of the count and its copy is a function of the count.
    assert result.features == 2 + 6 + 3
    assert result.p_value > 1e-6


def test_few_events_test_lower_orders_and_weights_count():
    rng = Stream(1, "test few").at()
    reference = [Component(1.0, rng.standard_normal((5_000, 3)))]
    data = rng.standard_normal((160, 3))
    assert goodness_of_fit(data, reference, NAMES).features == 15
    half = goodness_of_fit(data, reference, NAMES, weights=np.full(160, 0.5))
    assert half.statistic == pytest.approx(goodness_of_fit(data, reference, NAMES).statistic)
    with pytest.raises(DataError, match="too few"):
        goodness_of_fit(data[:50], reference, NAMES)


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([Component(0.5, np.ones((10, 3)))], "shares"),
        ([Component(1.0, np.ones((10, 2)))], "other columns"),
        ([Component(1.0, np.full((10, 3), np.nan))], "NaN"),
        ([Component(1.0, np.ones((500, 3)), np.ones((5, 3)))], "one model event for each"),
        ([Component(1.0, np.ones((2_000, 3)))], "'a' is expected to be 1 in every event"),
    ],
)
def test_what_cannot_be_compared_is_refused(components, message):
    with pytest.raises(DataError, match=message):
        goodness_of_fit(np.zeros((2_000, 3)), components, NAMES)
