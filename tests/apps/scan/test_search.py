"""The search: the global minimum of a likelihood of several minima, where a single start does not find it."""

import numpy as np
import pytest
import torch
from analytic_densities import Gaussian, Winding, gaussian_events, narrow_events, narrow_model

from castalia.apps.scan import search as module
from castalia.apps.scan.descent import descend
from castalia.apps.scan.fit import build_likelihood
from castalia.apps.scan.likelihood import Likelihood, Parameter
from castalia.apps.scan.search import search
from castalia.errors import DataError
from castalia.rng import Stream

TRUTH = -1.7


def winding(seed: int, events: int) -> Likelihood:
    x = gaussian_events((np.sin(3.0 * TRUTH), TRUTH / 5.0), events, seed)
    return Likelihood(Winding(), x, [Parameter("a", -3.0, 3.0)])


def global_minimum(likelihood: Likelihood) -> float:
    return float(likelihood.value(np.linspace(-3.0, 3.0, 601)[:, None]).min())


@pytest.mark.parametrize("events", [300, 3000])
def test_the_global_minimum_is_found_in_every_data_set(events):
    missed_by_one = 0
    for seed in range(20):
        likelihood = winding(seed, events)
        lowest = global_minimum(likelihood)
        minima, spent = search(likelihood, Stream(seed, "search"), events=500)
        assert minima[0].value < lowest + 1e-3
        assert minima[0].converged
        assert [m.value for m in minima] == sorted(m.value for m in minima)
        assert spent < 150
        single = descend(likelihood, Stream(seed, "single start").at(0).uniform(-3.0, 3.0, (1, 1)))
        missed_by_one += single.value[0] > minima[0].value + 1e-3
    assert missed_by_one >= 5


def test_a_narrow_peak_on_a_background_is_found_in_every_data_set():
    for seed in range(8):
        likelihood = build_likelihood(narrow_model(), narrow_events(656.2, seed))
        minima, spent = search(likelihood, Stream(seed, "search"))
        assert minima[0].phi == pytest.approx([656.2, 200 / 2200], abs=0.5)
        assert minima[0].converged
        assert spent < 120


def test_few_points_alone_miss_the_narrow_peak(monkeypatch):
    monkeypatch.setattr(module, "_CANDIDATES", (8,))
    missed = 0
    for seed in range(8):
        likelihood = build_likelihood(narrow_model(), narrow_events(656.2, seed))
        missed += abs(search(likelihood, Stream(seed, "search"))[0][0].phi[0] - 656.2) > 5.0
    assert missed >= 2


def test_distinct_minima_are_told_once():
    minima, _ = search(winding(1, 300), Stream(1, "search"), starts=16)
    places = np.sort([minimum.phi[0] for minimum in minima])
    assert len(places) >= 2
    assert np.diff(places).min() > 0.2


def test_a_fixed_parameter_stays_and_starts_keep_to_what_is_allowed():
    x = gaussian_events((1.0, 2.0), 200)
    likelihood = Likelihood(Gaussian(), x, [Parameter("a", -5.0, 5.0), Parameter("b", -5.0, 5.0)])
    asked = []

    def allowed(phi):
        asked.append(phi)
        return phi[:, 1] > 0.0

    minima, _ = search(likelihood, Stream(1, "search"), fixed=np.array([0.25, np.nan]), allowed=allowed)
    assert minima[0].phi == pytest.approx([0.25, x[:, 1].mean()], abs=1e-3)
    assert (asked[0][:, 0] == 0.25).all()


def test_the_same_seed_finds_the_same():
    first, again = (search(winding(1, 2000), Stream(3, "search"))[0] for _ in range(2))
    assert all((a.phi == b.phi).all() for a, b in zip(first, again, strict=True))


def test_events_that_nothing_explains_are_named():
    class Impossible:
        def log_prob(self, x, theta):
            return Gaussian().log_prob(x, theta) + torch.where(x[:, 0] > 7.0, -torch.inf, 0.0)

    x = np.array([[0.0], [7.5], [1.0]])
    with pytest.raises(DataError, match=r"1 of 3 events .*\[\[7\.5\]\]"):
        search(Likelihood(Impossible(), x, [Parameter("a", -1.0, 1.0)]), Stream(1, "search"))
