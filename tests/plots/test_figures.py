"""Profiles, correlations and histories show the numbers they are given, and are written reproducibly."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from castalia.errors import DataError
from castalia.plots.correlation import correlation_figure
from castalia.plots.export import save
from castalia.plots.history import history_figure
from castalia.plots.resolution import ProfilePanel, WidthCurve, resolution_grid

EDGES = np.array([0.0, 10.0, 20.0, 40.0])
TARGET = WidthCurve("Target", np.array([1.0, 2.0, np.nan]), np.array([0.1, 0.1, np.nan]))
GENERATED = WidthCurve("Generated", np.array([1.1, 1.8, 3.0]), np.array([0.1, 0.1, 0.1]))


def profile(**changes: object) -> ProfilePanel:
    settings: dict[str, object] = {
        "response": "ET", "response_unit": "GeV", "truth": "pile-up", "truth_unit": "", "edges": EDGES,
        "target": TARGET, "generated": (GENERATED,),
    }  # fmt: skip
    return ProfilePanel(**(settings | changes))  # type: ignore[arg-type]


def test_profiles_show_widths_and_ratios_where_both_are_known() -> None:
    lower, upper = resolution_grid([[profile(analytic=np.array([1.0, 2.0, 3.0]))]]).axes
    np.testing.assert_allclose(lower.containers[0].lines[0].get_ydata(), [1.1, 0.9])
    np.testing.assert_allclose(upper.containers[0].lines[0].get_xdata(), [5.0, 15.0, 30.0])
    assert upper.get_ylabel() == "Core width of ET [GeV]"
    assert lower.get_xlabel() == "True pile-up"
    assert upper.get_legend_handles_labels()[1] == ["Target", "Analytic", "Generated"]


def test_small_widths_are_shown_in_thousandths() -> None:
    small = WidthCurve("Target", np.array([1e-3, 2e-3, 3e-3]), np.full(3, 1e-5))
    _, upper = resolution_grid([[profile(target=small, generated=(small,), response_unit="rad")]]).axes
    assert upper.get_ylabel().endswith("[mrad]")
    np.testing.assert_allclose(upper.containers[0].lines[0].get_ydata(), [1.0, 2.0, 3.0])


def test_grids_have_one_row_a_response() -> None:
    figure = resolution_grid([[profile(), profile()], [profile(), profile()], [profile(), profile()]])
    assert len(figure.axes) == 12
    with pytest.raises(DataError, match="equal length"):
        resolution_grid([[profile()], [profile(), profile()]])
    with pytest.raises(DataError, match="one value a bin, 3"):
        resolution_grid([[profile(generated=(WidthCurve("G", np.ones(2), np.ones(2)),))]])


def test_an_unmeasured_profile_is_still_a_figure() -> None:
    nothing = WidthCurve("Target", np.full(3, np.nan), np.full(3, np.nan))
    figure = resolution_grid([[profile(target=nothing, generated=(nothing,))]])
    figure.draw_without_rendering()
    lower, upper = figure.axes
    assert np.isnan(lower.containers[0].lines[0].get_ydata()).all(), "no ratio is invented"
    assert upper.get_ylabel() == "Core width of ET [GeV]"


def test_correlations_are_written_in_their_cells() -> None:
    target = np.array([[1.0, 0.5], [0.5, 1.0]])
    generated = np.array([[1.0, 0.46], [0.46, 1.0]])
    figure = correlation_figure(["a", "b"], target, generated, error=np.full((2, 2), 0.003))
    shown = [[text.get_text() for text in axes.texts] for axes in figure.axes[:3]]
    assert shown[0] == ["1.00", "0.50", "0.50", "1.00"]
    assert shown[1] == ["1.00", "0.46", "0.46", "1.00"]
    assert shown[2] == ["0.000", "−0.040", "−0.040", "0.000"]
    assert "0.003" in figure.axes[2].get_title() + figure.axes[3].get_title() + figure.axes[4].get_title()
    with pytest.raises(DataError, match="2 labels for matrices"):
        correlation_figure(["a", "b"], np.eye(3), np.eye(3))


def test_history_shows_each_epoch_the_minimum_so_far_and_the_floor() -> None:
    epochs, distances = np.arange(1, 5), np.array([4e-3, 2e-3, np.nan, 3e-3])
    figure = history_figure(epochs, -np.arange(4.0), None, distances, floor=(1e-3, 1e-4), best_epoch=2)
    lower, upper = figure.axes
    every, lowest = upper.lines[0], upper.lines[1]
    np.testing.assert_allclose(every.get_ydata(), [4e-3, 2e-3, 3e-3])
    np.testing.assert_allclose(lowest.get_ydata(), [4e-3, 2e-3, 2e-3])
    assert [text.get_text() for text in upper.get_legend().get_texts()] == [
        "Each epoch", "Minimum so far", "Target against target", "Kept: epoch 2",
    ]  # fmt: skip
    assert lower.get_xlabel() == "Epoch"
    np.testing.assert_allclose(lower.lines[0].get_ydata(), -np.arange(4.0))


def test_history_without_distances_is_the_loss_alone() -> None:
    assert len(history_figure(np.arange(3), np.zeros(3), np.ones(3), np.full(3, np.nan)).axes) == 1
    with pytest.raises(DataError, match="0 epochs"):
        history_figure(np.empty(0, dtype=np.int64), np.empty(0))


def test_equal_figures_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    def digests(folder: str, last: float) -> list[str]:
        figure = history_figure(np.arange(3), np.array([2.0, 1.0, last]))
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in save(figure, tmp_path / folder, "history")]

    first = digests("a b", 0.5)
    assert digests("c", 0.5) == first
    assert all(one != other for one, other in zip(digests("d", 0.6), first, strict=True))
    assert sorted(path.name for path in (tmp_path / "a b").iterdir()) == ["history.pdf", "history.png"]


def test_nothing_of_the_style_stays_behind() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    history_figure(np.arange(3), np.zeros(3))
    assert dict(mpl.rcParams) == before
