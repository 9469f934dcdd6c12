"""Ratio histograms: heights, ratios, folding and labels are those of the samples, not only no crash."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from castalia.errors import DataError
from castalia.plots.ratio import RatioPanel, Sample, ratio_grid, ratio_histogram
from castalia.plots.response import response_edges, response_figure
from castalia.plots.style import plain
from castalia.rng import Stream

EDGES = np.linspace(-1.0, 1.0, 5)


def panel(**changes: object) -> RatioPanel:
    rng = Stream(1, "plots").at()
    target, generated = rng.uniform(-1.0, 1.0, 4000), rng.uniform(-1.0, 1.0, 2000)
    settings: dict[str, object] = {
        "target": Sample("Target", target),
        "generated": (Sample("Generated", generated),),
        "edges": EDGES,
        "label": "Energy",
        "unit": "GeV",
    }
    return RatioPanel(**(settings | changes))  # type: ignore[arg-type]


def lines(axes: Axes) -> list[StepPatch]:
    return [patch for patch in axes.patches if isinstance(patch, StepPatch) and not patch.get_fill()]


def ratio_points(lower: Axes) -> np.ndarray:
    return np.asarray(lower.containers[0].lines[0].get_xydata())


def test_heights_are_fractions_of_all_events_and_ratios_their_quotients() -> None:
    shown = panel()
    lower, upper = ratio_histogram(shown).axes
    expected = [np.histogram(s.values, EDGES)[0] / len(s.values) for s in (shown.target, *shown.generated)]
    for line, height in zip(lines(upper), expected, strict=True):
        np.testing.assert_allclose(line.get_data().values, height)
    np.testing.assert_allclose(ratio_points(lower)[:, 1], expected[1] / expected[0])


def test_labels_say_variable_unit_and_bin_width() -> None:
    figure = ratio_histogram(panel(), tag="ttH, baseline")
    lower, upper = figure.axes
    assert lower.get_xlabel() == "Energy [GeV]"
    assert upper.get_ylabel() == "Fraction of events / 0.5 GeV"
    assert lower.get_ylabel() == "Ratio to\ntarget"
    assert [text.get_text() for text in figure.texts] == ["Castalia", "ttH, baseline"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Target", "Generated"]


def test_small_angles_are_shown_in_thousandths() -> None:
    small = panel(unit="rad", edges=EDGES / 100.0, target=Sample("Target", np.linspace(-0.01, 0.01, 900)))
    lower, upper = ratio_histogram(small).axes
    assert lower.get_xlabel() == "Energy [mrad]"
    assert lower.get_xlim() == pytest.approx((-10.0, 10.0))
    assert upper.get_ylabel() == "Fraction of events / 5 mrad"


def test_unequal_bins_are_shown_as_a_density() -> None:
    shown = panel(edges=np.array([-1.0, 0.0, 0.5, 1.0]))
    _, upper = ratio_histogram(shown).axes
    counts = np.histogram(shown.target.values, shown.edges)[0]
    np.testing.assert_allclose(lines(upper)[0].get_data().values, counts / 4000 / np.diff(shown.edges))
    assert upper.get_ylabel().endswith("[1/GeV]")


@pytest.mark.parametrize(("fold", "fraction"), [(True, 0.5), (False, 0.25)])
def test_overflow_is_folded_only_when_asked_and_then_said(fold: bool, fraction: float) -> None:
    values = np.array([-0.9, -0.1, 0.9, 7.0])
    _, upper = ratio_histogram(panel(target=Sample("Target", values), generated=(), fold=fold)).axes
    assert lines(upper)[0].get_data().values[-1] == fraction
    said = [text.get_text() for text in upper.texts]
    assert said == (["Last bin includes overflow"] if fold else [])


def test_a_ratio_beyond_the_axis_is_drawn_at_its_rim() -> None:
    target = np.repeat([-0.75, -0.25, 0.25, 0.75], 1000)
    generated = np.repeat([-0.75, -0.25, 0.25, 0.75], [1000, 1000, 1000, 9000])
    lower, _ = ratio_histogram(panel(target=Sample("Target", target), generated=(Sample("G", generated),))).axes
    arrows = [line for line in lower.lines if line.get_marker() in ("^", "v")]
    # Normalised, three ratios are 1/3 and one is 3: none may vanish.
    assert sum(len(line.get_xdata()) for line in arrows) + len(ratio_points(lower)) == 4
    assert any(line.get_marker() == "^" for line in arrows)


def test_weights_count() -> None:
    values, weights = np.array([-0.75, 0.75]), np.array([3.0, 1.0])
    _, upper = ratio_histogram(panel(target=Sample("Target", values, weights), generated=())).axes
    np.testing.assert_allclose(lines(upper)[0].get_data().values, [0.75, 0.0, 0.0, 0.25])


def test_grids_have_a_pair_for_each_panel_and_no_empty_axes() -> None:
    figure = ratio_grid([panel(label=f"v{i}") for i in range(5)], columns=3)
    assert len(figure.axes) == 10
    assert [axes.get_xlabel() for axes in figure.axes[::2]] == [f"v{i} [GeV]" for i in range(5)]


def test_responses_can_be_logarithmic_for_their_tails() -> None:
    assert response_figure([panel()], log=True).axes[1].get_yscale() == "log"
    assert response_figure([panel(log=True)], log=False).axes[1].get_yscale() == "linear"


def test_response_edges_span_the_responses() -> None:
    values = Stream(1, "edges").at().normal(size=50_000) * 1e-3
    edges = response_edges(values, 50)
    assert len(edges) == 51
    assert np.mean((values < edges[0]) | (values > edges[-1])) < 0.004
    with pytest.raises(DataError, match="no distribution"):
        response_edges(np.zeros(10))


def test_names_with_dollar_signs_are_text() -> None:
    ratio_histogram(panel(label=plain("$a^{$")), tag="$a^{$").draw_without_rendering()
    with pytest.raises(ValueError, match="Parse"):
        ratio_histogram(panel(label="$a^{$")).draw_without_rendering()


def test_no_text_is_cut_off_or_hides_another() -> None:
    shown = panel(notes=("Target: mean 124.99 GeV, SD 2.34 GeV", "Generated: mean 124.98 GeV, SD 2.34 GeV"), log=True)
    figure = ratio_grid([shown] * 4, columns=2, tag="ttH, asymmetric, rho = 0.5")
    figure.draw_without_rendering()
    whole = figure.bbox
    for axes in figure.axes:
        label = axes.yaxis.label.get_window_extent()
        assert label.x0 >= whole.x0
        for tick in axes.yaxis.get_ticklabels():
            if tick.get_text() and axes.viewLim.y0 <= tick.get_position()[1] <= axes.viewLim.y1:
                assert not label.overlaps(tick.get_window_extent())
    assert not figure.legends[0].get_window_extent().overlaps(figure.texts[1].get_window_extent())


def test_bad_input_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="is empty"):
        ratio_histogram(panel(target=Sample("Target", np.empty(0))))
    with pytest.raises(DataError, match="must increase"):
        ratio_histogram(panel(edges=np.array([0.0, 0.0, 1.0])))
    with pytest.raises(DataError, match="no variable"):
        ratio_grid([])
