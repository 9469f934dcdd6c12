"""Contours, profiles, pulls, coverage and observed events show the numbers they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from castalia.errors import DataError
from castalia.plots.contour import Contour, ContourPanel, contour_grid
from castalia.plots.observed import ModelPart, ObservedPanel, observed_grid
from castalia.plots.profile import ProfileCurve, profile_grid
from castalia.plots.pulls import CoveragePoint, PullPanel, coverage_figure, pull_grid
from castalia.rng import Stream

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
BEST = np.array([1.0, 1.2])


def contour_panel(**changes: Any) -> ContourPanel:
    settings: dict[str, Any] = {
        "names": ("mass", "width"), "units": ("GeV", ""), "best": BEST,
        "contours": (Contour(0.68, SQUARE), Contour(0.95, 2 * SQUARE - 1)),
    }  # fmt: skip
    return ContourPanel(**(settings | changes))


def labels(axes: Axes) -> list[str]:
    return list(axes.get_legend_handles_labels()[1])


def test_contours_are_closed_and_named_by_their_level() -> None:
    (axes,) = contour_grid([contour_panel(truth=np.array([5.0, 1.0]), members=np.array([[0.9, 1.1]]))]).axes
    assert labels(axes) == ["68 %", "95 %", "Members", "Best fit", "True point"]
    inner = axes.lines[0].get_xydata()
    np.testing.assert_allclose(inner, np.vstack([SQUARE, SQUARE[:1]]))
    best = next(line for line in axes.lines if line.get_label() == "Best fit")
    np.testing.assert_allclose(best.get_xydata(), [BEST])
    assert axes.get_xlim()[1] > 5.0, "a true point outside the contours is still in sight"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("mass [GeV]", "width")


def test_what_is_not_known_is_not_drawn() -> None:
    (axes,) = contour_grid([contour_panel()]).axes
    assert labels(axes) == ["68 %", "95 %", "Best fit"]
    (axes,) = profile_grid([profile()]).axes
    assert labels(axes) == ["68 % interval", "Profile", "Best fit"]
    (axes,) = profile_grid([profile(interval=(np.nan, 1.0))]).axes
    assert labels(axes) == ["Profile", "Best fit"], "an interval with one end is no interval"


@pytest.mark.parametrize("points", [SQUARE[:2], np.full((4, 2), np.nan)])
def test_an_open_contour_is_refused(points: np.ndarray) -> None:
    with pytest.raises(DataError, match="closed curve"):
        contour_grid([contour_panel(contours=(Contour(0.68, points),))])


def profile(**changes: Any) -> ProfileCurve:
    values = np.linspace(-3.0, 3.0, 61)
    settings: dict[str, Any] = {
        "name": "mass", "unit": "GeV", "values": values, "rise": values**2, "best": 0.0, "interval": (-1.0, 1.0),
    }  # fmt: skip
    return ProfileCurve(**(settings | changes))


def test_profiles_show_one_and_two_standard_deviations_and_the_calibrated_threshold() -> None:
    (axes,) = profile_grid([profile(threshold=1.3, truth=0.5)]).axes
    levels = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() in (":", "--")]
    assert levels == [1.0, 4.0, 1.3]
    curve = next(line for line in axes.lines if line.get_label() == "Profile")
    np.testing.assert_allclose(curve.get_ydata(), np.linspace(-3.0, 3.0, 61) ** 2)
    assert "True value" in labels(axes)
    assert axes.get_ylim() == (0.0, 9.0)
    assert axes.get_xlabel() == "mass [GeV]"


def test_profiles_and_contours_need_something_to_show() -> None:
    for draw, what in ((contour_grid, "pair"), (profile_grid, "profile"), (pull_grid, "pulls"), (observed_grid, "obs")):
        with pytest.raises(DataError, match=what):
            draw([])
    with pytest.raises(DataError, match="60 values of the likelihood for 61"):
        profile_grid([profile(rise=np.zeros(60))])


def test_pulls_are_counted_beside_the_unit_normal_and_none_is_lost() -> None:
    pulls = np.append(Stream(1, "pulls").at().normal(size=999), 25.0)
    (axes,) = pull_grid([PullPanel("mass", pulls, ("mean 0.0",))]).axes
    counts = axes.containers[0].lines[0].get_ydata()
    assert counts.sum() == 1000
    assert counts[-1] >= 1, "the outlier is in the last bin"
    normal = next(line for line in axes.lines if line.get_label() == "Unit normal").get_xydata()
    assert np.trapezoid(normal[:, 1], normal[:, 0]) / 0.25 == pytest.approx(1000, rel=1e-3)
    assert [text.get_text() for text in axes.texts] == ["mean 0.0"]
    with pytest.raises(DataError, match="no pull of mass is finite"):
        pull_grid([PullPanel("mass", np.array([np.nan]))])


def test_coverage_stands_beside_its_confidence_level() -> None:
    points = [
        CoveragePoint(name, method, level, level - 0.02, level - 0.05, level + 0.01)
        for name in ("mass", "width") for method in ("HESSE", "profile") for level in (0.68, 0.95)
    ]  # fmt: skip
    one, two = coverage_figure(points).axes
    assert labels(one) == ["HESSE", "profile"]
    assert one.get_ylabel() == "Coverage of the 68 % interval [%]"
    assert [tick.get_text() for tick in one.get_xticklabels()] == ["mass", "width"]
    np.testing.assert_allclose(two.containers[0].lines[0].get_ydata(), [93.0, 93.0])
    assert one.get_ylim()[0] < 63.0 < 69.0 < one.get_ylim()[1]
    with pytest.raises(DataError, match="outside its interval"):
        coverage_figure([CoveragePoint("mass", "HESSE", 0.68, 0.7, 0.71, 0.72)])


def observed(**changes: Any) -> ObservedPanel:
    settings: dict[str, Any] = {
        "label": "mass", "unit": "GeV", "edges": np.array([0.0, 1.0, 2.0, 3.0]),
        "observed": np.array([90.0, 120.0, 0.0]), "error": np.array([90.0, 120.0, 0.0]) ** 0.5,
        "parts": (
            ModelPart("Background", np.array([80.0, 80.0, 4.0]), np.zeros(3)),
            ModelPart("Signal", np.array([20.0, 20.0, 0.0]), np.zeros(3)),
        ),
    }  # fmt: skip
    return ObservedPanel(**(settings | changes))


def test_parts_are_stacked_under_the_observed_events() -> None:
    upper, ratio, pulls = observed_grid([observed(note="chi2")]).axes[::-1]
    assert labels(upper) == ["Background", "Signal", "Observed"]
    stacked = upper.patches[2].get_data()
    np.testing.assert_allclose(stacked.values, [100.0, 100.0, 4.0])
    np.testing.assert_allclose(stacked.baseline, [80.0, 80.0, 4.0])
    np.testing.assert_allclose(ratio.containers[0].lines[0].get_ydata()[:2], [0.9, 1.2])
    np.testing.assert_allclose([bar.get_height() for bar in pulls.patches], [-1.0, 2.0, -2.0])
    assert upper.get_ylabel() == "Events / 1 GeV"
    assert pulls.get_xlabel() == "mass [GeV]"


def test_pulls_know_weights_and_the_size_of_the_generated_sample() -> None:
    plain = observed()
    np.testing.assert_allclose(plain.pulls, [-1.0, 2.0, -2.0])
    np.testing.assert_allclose(observed(error=2.0 * plain.error).pulls, [-0.5, 1.0, -2.0])
    parts = (ModelPart("All", np.array([100.0, 100.0, 0.0]), np.array([10.0, 10.0, 0.0])),)
    noisy = observed(parts=parts).pulls
    np.testing.assert_allclose(noisy[:2], np.array([-1.0, 2.0]) / np.sqrt(2.0))
    assert np.isnan(noisy[2]), "nothing expected and nothing seen is no pull"
    with pytest.raises(DataError, match="one value a bin, 3"):
        observed_grid([observed(observed=np.zeros(2))])


def test_grids_leave_no_empty_axes() -> None:
    assert len(observed_grid([observed()] * 4).axes) == 12
    assert len(profile_grid([profile()] * 5).axes) == 5
