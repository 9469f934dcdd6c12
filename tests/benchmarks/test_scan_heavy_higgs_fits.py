"""The exhaustive search of the heavy-Higgs benchmark ends where the fit of an exactly known density ends."""

import numpy as np

from castalia.apps.scan.experiment import Plan
from castalia.apps.scan.fit import FitSettings, fit
from castalia.rng import Stream
from scan_analytic_model import BACKGROUND, EXACT, SIGNAL
from scan_costs import GRID, NUMERICAL, ZOOM, cost_row
from scan_heavy_higgs_fits import mass_grid
from scan_heavy_higgs_measures import Pools

THETA = np.array([0.3, -0.4])


def made():
    rng = Stream(1, "test of fits").at()
    return Pools(THETA, SIGNAL.sample(THETA, 1_500, rng), BACKGROUND.sample(3_000, rng), Plan(250.0, 500.0))


def test_lowest_minimum():
    pools = made()
    signal, background = pools.draw(Stream(2, "test of fits").at())
    x = np.concatenate([pools.signal[signal], pools.background[background]])
    result = fit(EXACT, x, settings=FitSettings(minos=False))
    grid = mass_grid(EXACT, pools)
    lowest = grid.lowest(result.likelihood, np.concatenate([signal, len(pools.signal) + background]))
    assert abs(result.fitted.value - lowest) < 0.01
    # Negative control: a point a few standard deviations off is above it, and would count as missed.
    off = result.fitted.phi + 3.0 * result.fitted.errors
    assert float(result.likelihood.value(off[None])[0]) > lowest + 1.0


def test_costs_of_one_data_set():
    row = cost_row(EXACT, made().data(Stream(3, "test of fits").at()), accuracy=0.05, zoom=False)
    assert row["search"]["off"] <= 0.05
    assert row[NUMERICAL]["off"] <= 0.1
    assert row[GRID]["evaluations"] > row[ZOOM]["evaluations"] > row["search"]["evaluations"]
    assert "seconds" not in row[ZOOM]
