"""Spectra, passes and correlations between bins show the numbers they are given."""

from __future__ import annotations

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.plots.bin_correlation import bin_correlation_figure
from castalia.plots.passes import PassesPanel, passes_figure
from castalia.plots.spectrum import SpectrumPanel, UnfoldedPoints, spectrum_grid

EDGES = np.array([0.0, 1.0, 3.0])
SIMULATED, TRUTH = np.array([10.0, 40.0]), np.array([8.0, 44.0])
POINTS = UnfoldedPoints("OmniFold", np.array([9.0, 42.0]), np.array([1.0, 2.0]), np.array([2.0, 4.0]))


def panel(truth: np.ndarray | None = TRUTH, methods: tuple[UnfoldedPoints, ...] = (POINTS,)) -> SpectrumPanel:
    return SpectrumPanel("m", "GeV", EDGES, SIMULATED, truth, methods)


def heights(axes: object) -> list[list[float]]:
    drawn = [list(map(float, line.get_ydata())) for line in axes.lines]  # type: ignore[attr-defined]
    return [one for one in drawn if len(one) == 2]


def test_spectra_are_densities_with_ratios_to_the_truth_where_it_is_known() -> None:
    lower, upper = spectrum_grid([panel()]).axes
    assert [9.0, 21.0] in heights(upper), "events in the wide bin are divided by its width"
    assert any(np.allclose(one, [9.0 / 8.0, 42.0 / 44.0]) for one in heights(lower))
    assert lower.get_ylabel().endswith("truth")
    lower, _ = spectrum_grid([panel(truth=None)]).axes
    assert any(np.allclose(one, [0.9, 1.05]) for one in heights(lower))
    assert lower.get_ylabel().endswith("simulation")


def test_passes_are_drawn_from_one_with_the_threshold() -> None:
    changes = np.array([[3.0, 1.0, 0.4], [2.0, 0.3, 0.1]])
    (axes,) = passes_figure([PassesPanel("OmniFold", ("m", "pt"), changes, 3)], 0.5).axes
    first = axes.lines[0]
    assert first.get_xdata().tolist() == [1, 2, 3]
    assert first.get_ydata().tolist() == [3.0, 1.0, 0.4]
    assert {tuple(line.get_ydata()) for line in axes.lines} >= {(0.5, 0.5)}


def test_correlations_are_of_the_covariance_and_bins_without_variance_white() -> None:
    covariance = np.array([[4.0, -3.0, 0.0], [-3.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    shown = bin_correlation_figure(["m"], [covariance]).axes[0].images[0].get_array()
    np.testing.assert_allclose(np.ma.filled(shown, np.nan)[:2, :2], [[1.0, -0.5], [-0.5, 1.0]])
    assert np.ma.getmaskarray(np.ma.masked_invalid(shown))[2].all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="no observable"):
        spectrum_grid([])
    with pytest.raises(DataError, match="one value a bin"):
        spectrum_grid([panel(methods=())])
    with pytest.raises(DataError, match="without a curve"):
        passes_figure([PassesPanel("a", ("m",), np.ones((2, 3)), 1)], 0.5)
    with pytest.raises(DataError, match="1 titles for 0"):
        bin_correlation_figure(["m"], [])
