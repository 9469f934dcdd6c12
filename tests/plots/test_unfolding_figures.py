"""Calibration, posteriors, migrations and corners show the numbers they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from castalia.errors import DataError
from castalia.plots.calibration_overview import CoverageRow, RankPanel, coverage_overview, rank_overview
from castalia.plots.component_overview import ComponentRow, ComponentSeries, component_overview
from castalia.plots.corner import corner_figure
from castalia.plots.migration import migration_figure
from castalia.plots.posterior import PosteriorPanel, posterior_grid
from castalia.plots.ratio import Sample
from castalia.plots.style import MODELS
from castalia.rng import Stream

LEVELS = np.arange(1, 11) / 10.0
CURVES = 0.02 * np.sin(np.pi * LEVELS) * np.arange(1, 6)[:, None]
EDGES = np.array([0.0, 1.0, 3.0])
CONTENT = np.array([[1.0, 1.0, 0.0, 0.0], [2.0, 6.0, 2.0, 0.0], [0.0, 1.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
FRACTION = np.array([0.75, 0.6]), np.array([0.05, 0.04])


def normal(counter: int, *shape: int) -> np.ndarray:
    return Stream(16, "test figures").at(counter).normal(size=shape)


def test_ranks_are_drawn_from_zero_with_the_band_of_right_posteriors() -> None:
    names = ("a", "b", "c", "d", "e")
    figure = rank_overview([RankPanel("top", names, CURVES), RankPanel("W", names[:1], CURVES[:1])], LEVELS, 0.03)
    first, second = figure.axes
    curves = [line for line in first.lines if line.get_label() in names]
    for line, curve in zip(curves, CURVES, strict=True):
        np.testing.assert_allclose(line.get_xdata(), np.append(0.0, LEVELS))
        np.testing.assert_allclose(line.get_ydata(), np.append(0.0, curve))
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 5, "each curve looks like no other"
    np.testing.assert_allclose(first.patches[0].get_extents().transformed(first.transData.inverted()).intervaly,
                               [-0.03, 0.03])  # fmt: skip
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["a", "d", "b", "e", "c"], "row by row"
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] < -0.1 < 0.1 < first.get_ylim()[1]
    assert figure.legends[0].get_texts()[0].get_text().startswith("95 %")


def test_curves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="there is no panel"):
        rank_overview([], LEVELS, 0.03)
    for names, curves in (
        (("a",), CURVES),
        (tuple("abcde"), CURVES[:, 1:]),
        (tuple("abcdefghijklm"), np.zeros((13, 10))),
    ):
        with pytest.raises(DataError, match="one value a level"):
            rank_overview([RankPanel("top", names, curves)], LEVELS, 0.03)


def test_coverage_is_in_per_cent_with_its_error_and_room_for_the_names() -> None:
    value, error = np.array([0.60, 0.70, 0.68]), np.array([0.01, 0.01, 0.02])
    rows = [CoverageRow(0.68, value, error), CoverageRow(0.95, value + 0.27, error)]
    names = ["a", r"$\log(E+1)$", "a much longer name of a component"]
    figure = coverage_overview(names, rows)
    upper, lower = figure.axes
    np.testing.assert_allclose(upper.containers[0].lines[0].get_ydata(), [60.0, 70.0, 68.0])
    bars = upper.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([np.ptp(bar[:, 1]) for bar in bars], [2.0, 2.0, 4.0])
    assert next(line.get_ydata()[0] for line in lower.lines if line.get_label() == "Nominal") == 95.0
    assert [text.get_text() for text in lower.get_xticklabels()] == names
    figure.draw_without_rendering()
    lowest = min(label.get_window_extent().y0 for label in lower.get_xticklabels())
    assert lowest >= 0.0, "no name is cut off"
    with pytest.raises(DataError, match="each of 2 components"):
        coverage_overview(names[:2], rows)
    with pytest.raises(DataError, match="one row or more"):
        coverage_overview(names, [])


def posterior(**changes: Any) -> PosteriorPanel:
    settings: dict[str, Any] = {
        "label": r"neutrino $\eta$", "unit": "", "truth": 1.0,
        "samples": (Sample("Flow", np.concatenate([normal(0, 600) - 3.0, normal(1, 400) + 3.0])),),
    }  # fmt: skip
    return PosteriorPanel(**(settings | changes))


def test_posteriors_show_both_solutions_and_the_truth() -> None:
    other = Sample("Neighbours", normal(2, 80), np.full(80, 2.0))
    figure = posterior_grid([[posterior(), posterior(samples=(*posterior().samples, other))]] * 2, ["One", "Two"])
    assert len(figure.axes) == 4
    axes = figure.axes[1]
    heights = [patch.get_data().values for patch in axes.patches]
    # The first sample is drawn as a line and filled, the second as a line.
    assert len(heights) == 3
    centres = 0.5 * np.sum(np.stack([axes.patches[0].get_data().edges[i:][: len(heights[0])] for i in (0, 1)]), axis=0)
    # A share of 0.005 may lie beyond either end of the axis.
    assert 0.98 < heights[0].sum() <= 1.0
    assert heights[0][centres < 0.0].sum() == pytest.approx(0.6, abs=0.02)
    truth = next(line for line in axes.lines if line.get_label() == "Truth")
    assert list(truth.get_xdata()) == [1.0, 1.0]
    assert figure.axes[0].texts[0].get_text() == "One"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Flow", "Truth"]
    few, many = (len(figure.axes[i].patches[0].get_data().values) for i in (1, 0))
    assert few < many, "few draws have wide bins"


def test_a_truth_beyond_the_draws_is_in_sight_and_equal_draws_have_an_axis() -> None:
    (axes,) = posterior_grid([[posterior(truth=25.0)]], ["One"]).axes
    assert axes.get_xlim()[1] > 25.0
    (axes,) = posterior_grid([[posterior(samples=(Sample("Flow", np.full(50, 4.0)),), truth=4.0)]], ["One"]).axes
    assert axes.patches[0].get_data().values.sum() == pytest.approx(1.0)


def test_posteriors_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(DataError, match="1 titles for events of"):
        posterior_grid([[posterior()], [posterior(), posterior()]], ["One"])
    with pytest.raises(DataError, match="no finite draw"):
        posterior_grid([[posterior(samples=(Sample("Flow", np.full(3, np.nan)),))]], ["One"])
    with pytest.raises(DataError, match="give draws with a positive sum"):
        posterior_grid([[posterior(samples=(Sample("Flow", np.ones(3), np.zeros(3)),))]], ["One"])


def test_migrations_are_shares_of_the_true_bin_with_what_leaves_the_edges() -> None:
    figure = migration_figure(EDGES, CONTENT, FRACTION, FRACTION, label="m", unit="GeV")
    matrix, bar, beside = figure.axes
    # Of ten events of the first bin two are below the edges.
    np.testing.assert_allclose(matrix.images[0].get_array(), np.array([[60.0, 25.0], [20.0, 75.0]]))
    assert [text.get_text() for text in matrix.texts] == ["60", "20", "25", "75"]
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("True m [GeV]", "Unfolded m [GeV]")
    assert [text.get_text() for text in matrix.get_xticklabels()] == ["0", "1", "3"]
    np.testing.assert_allclose(beside.containers[0].lines[0].get_ydata(), [75.0, 60.0])
    assert beside.get_legend_handles_labels()[1] == ["Purity", "Stability"]
    assert "true bin" in bar.get_ylabel()
    with pytest.raises(DataError, match="for 1 bins"):
        migration_figure(EDGES[:2], CONTENT, FRACTION, FRACTION, label="m")


def test_corners_hold_the_stated_probabilities() -> None:
    truth, drawn = normal(3, 40_000, 2), normal(4, 40_000, 2) + 0.3
    figure = corner_figure(["a", "b"], ["GeV", ""], truth, drawn)
    first, pair, second = figure.axes
    assert (pair.get_xlabel(), pair.get_ylabel()) == ("a [GeV]", "b")
    np.testing.assert_allclose(first.containers[0].lines[0].get_ydata().sum(), 1.0, atol=0.02)
    lines = pair.collections[-1]
    assert to_hex(lines.get_edgecolor()[0]) == MODELS[0].lower()
    for path, probability in zip(lines.get_paths(), (0.95, 0.68), strict=True):
        radius = np.median(np.linalg.norm(path.vertices - 0.3, axis=1))
        # Of a normal in two dimensions: r² = −2 log(1 − p), a little wider by the smoothing.
        assert radius == pytest.approx(np.sqrt(-2.0 * np.log(1.0 - probability)), rel=0.06)
    assert second.get_xlim() == pair.get_ylim()


def test_draws_far_from_the_truth_are_still_a_figure() -> None:
    figure = corner_figure(["a", "b"], ["", ""], normal(5, 500, 2), normal(6, 500, 2) + 100.0)
    figure.draw_without_rendering()
    assert figure.axes[0].containers[0].lines[0].get_ydata().sum() == 0.0
    with pytest.raises(DataError, match="two to six components"):
        corner_figure(["a"], [""], normal(5, 500, 1), normal(6, 500, 1))
    with pytest.raises(DataError, match="is constant"):
        corner_figure(["a", "b"], ["", ""], np.ones((500, 2)), normal(6, 500, 2))


def series(count: int, components: int) -> tuple[ComponentSeries, ...]:
    rng = Stream(16, "test series").at()
    return tuple(
        ComponentSeries(f"model {i}", rng.uniform(0.1, 0.5, components), np.full(components, 0.01))
        for i in range(count)
    )


def test_every_model_of_an_overview_is_told_apart_and_every_component_drawn_once() -> None:
    models, names = series(9, 49), [f"number {i}" for i in range(49)]
    figure = component_overview(names, ComponentRow("CRPS", models, 0.03, "goal", np.full(49, 0.56), "control"))
    rows = figure.axes
    assert len(rows) == 3
    assert [label.get_text() for axes in rows for label in axes.get_xticklabels()] == names
    for number, one in enumerate(models):
        drawn = [axes.containers[number].lines[0] for axes in rows]
        np.testing.assert_allclose(np.concatenate([line.get_ydata() for line in drawn]), one.value)
    looks = {
        (line.get_color(), line.get_marker(), line.get_markerfacecolor())
        for line in (one.lines[0] for one in rows[0].containers)
    }
    assert len(looks) == 9, "each model looks like no other"
    assert {axes.get_ylim() for axes in rows} == {(0.0, 1.06 * 0.56)}
    words = [text.get_text() for text in rows[0].get_legend().get_texts()]
    assert {"control", "goal", "model 0", "model 8"} <= set(words)


def test_an_overview_that_does_not_fit_is_refused() -> None:
    for models, names in (((), ["a"]), (series(17, 1), ["a"]), (series(2, 3), ["a", "b"]), (series(1, 1), [])):
        with pytest.raises(DataError, match="one value for each component"):
            component_overview(names, ComponentRow("CRPS", models))
