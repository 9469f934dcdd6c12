"""Figures of classifiers show the numbers they are given, and refuse what they cannot show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.plots.class_scores import ScorePanel, score_figure
from castalia.plots.confusion import confusion_figure
from castalia.plots.cut_gain import GainLine, GainPanel, cut_gain_figure
from castalia.plots.importance import ImportanceBar, importance_figure
from castalia.plots.learning_curve import LearningLine, learning_figure
from castalia.plots.mass_profile import MassProfile, mass_profile_figure
from castalia.plots.reliability import ReliabilityLine, ReliabilityPanel, reliability_figure
from castalia.plots.roc import RocLine, roc_figure

SIGNAL = np.array([0.1, 0.5, 1.0])
BACKGROUND = np.array([0.0, 0.2, 1.0])
ROC = RocLine("one", SIGNAL, BACKGROUND, np.array([0.0, 0.19, 1.0]), np.array([0.01, 0.22, 1.0]))


def test_rejections_and_their_ratio_are_drawn_where_background_is_left() -> None:
    other = replace(ROC, name="two", background=2.0 * BACKGROUND[:2].tolist()[1] * np.array([0.0, 1.0, 2.5]))
    left, lower, upper = roc_figure([ROC, other], "heavy", "ttbar").axes
    np.testing.assert_allclose(left.lines[1].get_xdata(), [0.0, 0.0, 0.2, 1.0])
    np.testing.assert_allclose(left.lines[1].get_ydata(), [0.0, 0.1, 0.5, 1.0])
    np.testing.assert_allclose(upper.lines[0].get_ydata(), [5.0, 1.0])
    np.testing.assert_allclose(upper.lines[1].get_ydata(), [2.5, 1.0])
    np.testing.assert_allclose(lower.lines[1].get_ydata(), [0.5, 1.0])
    assert upper.get_yscale() == "log"
    assert lower.get_ylabel() == "Ratio to\none"
    assert left.get_xlabel() == "Efficiency of ttbar"
    assert roc_figure([ROC], "heavy", "ttbar").axes[1].get_ylabel() == "Relative\nband"
    with pytest.raises(DataError, match="1 to 12"):
        roc_figure([], "heavy", "ttbar")
    with pytest.raises(DataError, match="different signal efficiencies"):
        roc_figure([ROC, replace(ROC, signal=SIGNAL + 0.01)], "heavy", "ttbar")


def test_a_maximum_is_marked_and_what_has_too_little_background_is_thin() -> None:
    line = GainLine("one", SIGNAL, np.array([np.nan, 1.2, 1.0]), np.array([np.nan, 1.1, 1.0]),
                    np.array([np.nan, 1.3, 1.0]), np.array([False, True, True]), 1)  # fmt: skip
    (axes,) = cut_gain_figure([GainPanel("SIC", (line,), 1.0)], "heavy").axes
    thin, solid, mark = axes.lines[1:]
    np.testing.assert_allclose(thin.get_ydata(), [1.2, 1.0])
    np.testing.assert_allclose(solid.get_ydata(), [1.2, 1.0])
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (0.5, 1.2)
    few = replace(line, value=np.array([3.0, 1.2, 1.0]), low=line.high, best=None)
    (axes,) = cut_gain_figure([GainPanel("SIC", (few,), 1.0)], "heavy").axes
    np.testing.assert_allclose(axes.lines[2].get_ydata(), [np.nan, 1.2, 1.0])
    assert len(axes.lines) == 3
    assert axes.get_ylim()[1] < 2.0, "what is not to be trusted does not set the range"
    with pytest.raises(DataError, match="1 to 12 classifiers"):
        cut_gain_figure([GainPanel("SIC", (), 1.0)], "heavy")


def test_scores_are_densities_of_each_class() -> None:
    score, kind, weight = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 2.0, 5.0])
    panel = ScorePanel("Score", score, kind, weight, ("ttbar", "heavy"))
    (axes,) = score_figure([panel]).axes
    first, second = (patch.get_data() for patch in axes.patches)
    np.testing.assert_allclose(first.values.sum() / 40, 1.0)
    assert first.values[4] == pytest.approx(20.0)
    assert second.values[36] == pytest.approx(40.0)
    bars = axes.containers[0].lines[2][0].get_segments()
    assert np.ptp(bars[0][:, 1]) == pytest.approx(2.0 * np.sqrt(2.0) / 4.0 * 40.0)
    assert axes.get_yscale() == "log"
    with pytest.raises(DataError, match="no event of class heavy"):
        score_figure([replace(panel, label_of=np.zeros(4, dtype=np.int64))])
    with pytest.raises(DataError, match="no score"):
        score_figure([])


def test_reliability_has_the_diagonal_and_the_density_below() -> None:
    line = ReliabilityLine("one", np.array([0.0, 0.2, 1.0]), np.array([0.5, 0.5]), np.array([0.1, 0.6]),
                           np.array([0.15, np.nan]), np.array([0.02, 0.0]))  # fmt: skip
    lower, upper = reliability_figure([ReliabilityPanel("heavy", (line,))]).axes
    np.testing.assert_allclose(upper.containers[0].lines[0].get_xdata(), [0.1])
    np.testing.assert_allclose(upper.lines[0].get_xdata(), upper.lines[0].get_ydata())
    np.testing.assert_allclose(lower.patches[0].get_data().values, [2.5, 0.625])
    assert lower.get_xlabel() == "Stated probability of heavy"
    with pytest.raises(DataError, match="a class and a classifier"):
        reliability_figure([ReliabilityPanel("heavy", ())])


def test_learning_curves_are_on_a_logarithmic_axis_with_every_size() -> None:
    line = LearningLine("one", np.array([1e3, 1.6e4]), np.array([0.7, 0.8]), np.array([0.01, np.nan]))
    (axes,) = learning_figure([line], "AUC").axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1\u202f000", "16\u202f000"]
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.69)
    assert axes.get_xscale() == "log"
    with pytest.raises(DataError, match="one score and error a size"):
        learning_figure([replace(line, error=np.zeros(3))], "AUC")


def test_importances_are_in_order_and_the_names_fit() -> None:
    bars = [ImportanceBar("small", 0.01, 0.001, 0.02, 0.001), ImportanceBar("a rather long name", 0.1, 0.01, 0.0, 0.0)]
    figure = importance_figure(bars)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a rather long name", "small"]
    widths = [[patch.get_width() for patch in group] for group in axes.containers if hasattr(group, "patches")]
    assert widths == [[0.1, 0.01], [0.0, 0.02]]
    figure.draw_without_rendering()
    assert min(text.get_window_extent().x0 for text in axes.get_yticklabels()) >= 0.0
    assert len(importance_figure(bars * 20).axes[0].get_yticks()) == 30
    with pytest.raises(DataError, match="no feature"):
        importance_figure([])


def test_profiles_of_a_mass() -> None:
    two = np.array([0.3, 0.4])
    profile = MassProfile("one", np.array([0.0, 100.0, 300.0]), two, 0.1 * two, 0.5 * two, 0.1 * two, 0.17)
    left, right = mass_profile_figure([profile], "$m$", "GeV", "score").axes
    np.testing.assert_allclose(left.containers[0].lines[0].get_xdata(), [50.0, 200.0])
    np.testing.assert_allclose(right.containers[0].lines[0].get_ydata(), [0.15, 0.2])
    assert left.get_xlabel() == "$m$ [GeV]"
    with pytest.raises(DataError, match="one value a bin"):
        mass_profile_figure([replace(profile, kept=np.ones(3))], "$m$", "GeV", "score")


def test_a_confusion_matrix_shows_shares_with_errors_and_its_names_fit() -> None:
    share = np.array([[0.75, 0.25], [0.1, 0.9]])
    figure = confusion_figure(["ttbar", "a much longer name"], share, 0.01 * np.ones((2, 2)))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [
        "75.0\n± 1.0", "25.0\n± 1.0", "10.0\n± 1.0", "90.0\n± 1.0"
    ]  # fmt: skip
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label)]
    assert min(min(box.x0, box.y0) for box in boxes) >= 0.0, "no name is cut off"
    with pytest.raises(DataError, match="for 3 classes"):
        confusion_figure(["a", "b", "c"], share, share)
