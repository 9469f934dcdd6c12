"""Efficiency figures show what was counted and predicted, and their ratio."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.plots.efficiency import EfficiencyPanel, efficiency_grid

EDGES = np.array([0.0, 10.0, 20.0, 40.0])


def panel(predicted=(0.22, 0.8, 0.9)):
    counted, error = np.array([0.2, 0.8, 0.0]), np.array([0.01, 0.02, 0.0])
    return EfficiencyPanel("pt", "GeV", EDGES, counted, error, np.asarray(predicted))


def test_ratios_are_predicted_over_counted_where_something_was_counted():
    lower, upper = efficiency_grid([panel()]).axes
    np.testing.assert_allclose(lower.containers[0].lines[0].get_ydata(), [1.1, 1.0])
    assert upper.get_ylabel() == "Efficiency"
    assert lower.get_xlabel() == "True pt [GeV]"
    assert upper.get_legend_handles_labels()[1] == ["Counted", "Model"]


def test_three_panels_a_row():
    assert len(efficiency_grid([panel()] * 3).axes) == 6
    figure = efficiency_grid([panel()] * 4)
    figure.draw_without_rendering()
    assert len(figure.axes) == 8
    assert len({round(axes.get_position().y0, 3) for axes in figure.axes}) == 4


def test_refusals():
    with pytest.raises(DataError, match="at least one variable"):
        efficiency_grid([])
    with pytest.raises(DataError, match="one value a bin, 3"):
        efficiency_grid([panel(predicted=(0.5, 0.5))])
