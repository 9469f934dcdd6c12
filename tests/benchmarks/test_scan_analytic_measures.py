"""The scan benchmark lets the exact density pass, and sees one that is shifted and a search that is not global."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import scan_analytic_measures as measures
from castalia.apps.scan.search import search
from scan_analytic import FLOW, TRUTH, _compared
from scan_analytic_measures import NAMES, global_minima, open_pool, run_experiments
from scan_analytic_model import EXACT, SIGNAL

EVENTS, EXPERIMENTS = 500, 60


class Shifted:
    """The exact density of the signal, 0.15 too high in one observable."""

    def log_prob(self, x, theta):
        return SIGNAL.log_prob(x - torch.tensor([0.15, 0.0, 0.0], dtype=x.dtype), theta)


@pytest.mark.statistical
def test_a_shifted_density_is_biased_and_its_estimates_scatter_more():
    pool = open_pool((0.3, -0.4), EVENTS, 60, seed=1)
    exact = run_experiments(EXACT, pool, EXPERIMENTS, seed=1)
    shifted = run_experiments(replace(EXACT, signal=Shifted()), pool, EXPERIMENTS, seed=1)
    found = _compared(pool, exact, shifted)
    bias = {arm: np.array([found[name]["bias"][arm]["value"] for name in NAMES]) for arm in (TRUTH, FLOW)}
    # Five standard errors, and the bias of order 1/sqrt(N) that the maximum likelihood has.
    allowed = 5.0 / np.sqrt(EXPERIMENTS) + 1.0 / np.sqrt(EVENTS)
    assert (np.abs(bias[TRUTH]) < allowed).all()
    assert np.abs(bias[FLOW]).max() > allowed
    assert max(found[name]["rmse_ratio"]["value"] for name in NAMES) > 1.1


def test_a_minimum_that_was_missed_is_counted(monkeypatch):
    assert global_minima(EXACT, 200, range(2))["missed"] == []

    def not_lowest(likelihood, stream):
        minima, evaluations = search(likelihood, stream)
        return (replace(minima[0], value=minima[0].value + 1.0), *minima[1:]), evaluations

    monkeypatch.setattr(measures, "search", not_lowest)
    assert global_minima(EXACT, 200, range(2))["missed"] == [0, 1]
