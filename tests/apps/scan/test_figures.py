"""Observed events on the fitted model: where the axis ends, how many bins it has, and which of them count."""

import re

import numpy as np
import pytest

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.figures import observed_panels
from castalia.data.layout import Variable
from castalia.rng import Stream

MASS = (Variable("mass", "GeV"),)


def panel_of(events: int, shift: float = 0.0):
    """The panel of a falling spectrum, with the model's own spectrum shifted."""
    rng = Stream(3, "panel").at()
    observed = rng.exponential(50.0, (events, 1))
    model = ExpectedPart("Background", shift + rng.exponential(50.0, (100_000, 1)), float(events))
    return observed_panels(MASS, observed, None, [model])[0]


def chi_squared(panel) -> tuple[int, int]:
    value, bins = re.fullmatch(r"χ² / bins = (\d+) / (\d+)", panel.note).groups()
    return int(value), int(bins)


@pytest.mark.parametrize(("events", "bins"), [(100, 8), (450, 15), (20_000, 25)])
def test_bins_follow_the_number_of_events_and_leave_empty_tails_out(events, bins):
    panel = panel_of(events)
    assert len(panel.observed) == bins
    # 98 % of an exponential lie below 4 lengths of decay or so; five standard errors of the quantile, and a bin.
    end = 50.0 * (np.log(100.0) + 5 * 10.0 / np.sqrt(events))
    assert panel.edges[-1] < end + np.diff(panel.edges)[0]


def test_chi_squared_counts_bins_with_events_and_sees_a_shift():
    panel = panel_of(2000)
    value, bins = chi_squared(panel)
    assert bins == np.sum(panel.expected >= 5.0) < len(panel.observed)
    assert abs(value - bins) < 5 * np.sqrt(2 * bins)
    shifted, count = chi_squared(panel_of(2000, 5.0))  # negative control: a tenth of the length of decay
    assert shifted > count + 5 * np.sqrt(2 * count)
