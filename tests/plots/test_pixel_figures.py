"""Figures of judged pixel events: every sample is drawn with its errors; what does not fit is refused."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.plots.pixel_correlation import sensor_correlations
from castalia.plots.pixel_curves import Curve, CurvePanel, curve_figure
from castalia.plots.pixel_images import sensor_images
from castalia.plots.pixel_maps import direction_figure


def curve(label, value, bins=5):
    return Curve(label, np.full(bins, value), np.full(bins, 0.1 * value))


@pytest.mark.parametrize("points", [True, False])
@pytest.mark.parametrize("log", ["", "xy"])
def test_curves_have_a_legend_and_a_ratio(points, log):
    curves = (curve("Truth", 2.0), curve("Sampled", 1.0), curve("No background", 3.0))
    panel = CurvePanel("Size", "mm", "Fraction", np.geomspace(1.0, 10.0, 6), curves, log=log, points=points)
    figure = curve_figure([panel, panel], 2)
    upper, lower = figure.axes[1], figure.axes[0]
    assert (upper.get_yscale() == "log") == (log == "xy")
    assert [text.get_text() for text in figure.legends[0].get_texts()].count("No background") == 1
    assert lower.get_xlabel() == "Size [mm]"
    # A half is drawn in the ratio, and its error is a tenth of it.
    points_drawn = [line for line in lower.lines if len(line.get_xdata()) == 5]
    np.testing.assert_allclose(points_drawn[0].get_ydata(), 0.5)


def test_curves_that_do_not_fit_are_refused():
    panel = CurvePanel("Size", "", "Fraction", np.arange(5.0), (curve("Truth", 1.0), curve("Sampled", 1.0)))
    with pytest.raises(DataError, match="one value a bin, 4"):
        curve_figure([panel], 1)
    with pytest.raises(DataError, match="at least one panel"):
        curve_figure([], 1)


def test_images_show_the_largest_charge_of_a_dot_and_nothing_where_there_is_none():
    picture = np.zeros((250, 768), dtype=np.uint8)
    picture[10, 20], picture[11, 21] = 50, 90
    figure = sensor_images([[picture, picture], [picture, picture]], ("Truth", "Sampled"), ("1.1.1", "2.1.1"))
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(images) == 4
    assert images[0][5, 10] == 90
    assert images[0].count() == 1
    assert [axes.get_ylabel().split("\n")[0] for axes in figure.axes if axes.get_ylabel()][:2] == ["Truth", "Sampled"]
    with pytest.raises(DataError, match="give one each"):
        sensor_images([[picture]], ("Truth",), ("1.1.1", "2.1.1"))


def test_maps_have_the_same_scale_and_a_ratio():
    true = np.full((48, 30), 2.0)
    figure = direction_figure([(true, 0.9 * true)] * 2, ("layer 1", "layer 2"), [(-30.0, 50.0)] * 2)
    images = [axes.images[0] for axes in figure.axes if axes.images and axes.get_title()]
    assert len(images) == 6
    assert images[0].get_clim() == images[1].get_clim() == (0.0, 2.0)
    np.testing.assert_allclose(images[2].get_array(), 0.9)
    with pytest.raises(DataError, match="two maps of one shape"):
        direction_figure([(true, true[1:])], ("layer 1",), [(0.0, 1.0)])


def test_matrices_leave_out_the_diagonal_and_show_the_difference():
    truth, made = np.full((6, 6), 0.3), np.full((6, 6), 0.4)
    figure = sensor_correlations(truth, made, {"Layer 1": 2, "Layer 2": 4})
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images and axes.get_title()]
    assert [one.count() for one in images] == [30, 30, 30]
    np.testing.assert_allclose(images[2].compressed(), 0.1)
    with pytest.raises(DataError, match="not one figure"):
        sensor_correlations(truth, made, {"Layer 1": 2})
