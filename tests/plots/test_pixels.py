"""Figures of pixel events: every sensor and map is drawn; what does not fit is refused."""

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.plots.pixels import PixelSpectrum, occupancy_figure, occupancy_maps, spectra_figure


def test_every_sensor_is_drawn_and_the_reference_where_it_is_known():
    found = np.linspace(1.0, 2.0, 40)
    reference = np.where(np.arange(40) < 16, 1.5, np.nan)
    axes = occupancy_figure(found, 0.1 * found, reference).axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [16, 40]
    with pytest.raises(DataError, match="not one figure"):
        occupancy_figure(found, found[1:], reference)


def test_a_map_for_each_layer_with_its_scale():
    maps = [np.full((80, 96), 1.5), np.full((120, 96), 0.5)]
    figure = occupancy_maps(maps, ("Layer 1", "Layer 2"))
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["Layer 1", "Layer 2"]
    assert [axes.images[0].get_array().max() for axes in figure.axes if axes.images] == [1.5, 0.5]
    with pytest.raises(DataError, match="one label a map"):
        occupancy_maps(maps, ("Layer 1",))


def test_spectra_carry_the_marks_of_the_reference():
    edges = np.arange(11.0)
    one = PixelSpectrum("Charge", edges, np.linspace(0.2, 0.01, 10), (2.0, 5.0))
    axes = spectra_figure([one]).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines] == [2.0, 5.0]
    with pytest.raises(DataError, match="one bin edge more"):
        spectra_figure([PixelSpectrum("Charge", edges[:-1], one.density)])
