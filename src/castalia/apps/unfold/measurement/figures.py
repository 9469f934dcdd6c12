"""The figures of a measurement: spectra, passes, correlations between bins, and refolded distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from castalia.apps.unfold.events import MeasuredEvents
from castalia.apps.unfold.measurement.observed import Observed
from castalia.apps.unfold.measurement.verdicts import Measured, Refolded, column_of
from castalia.apps.unfold.settling import SETTLED
from castalia.plots.bin_correlation import bin_correlation_figure
from castalia.plots.export import Figure, save
from castalia.plots.passes import PassesPanel, passes_figure
from castalia.plots.ratio import RatioPanel, Sample, ratio_grid
from castalia.plots.spectrum import SpectrumPanel, UnfoldedPoints, spectrum_grid
from castalia.plots.style import plain
from castalia.reports.document import FigureItem

__all__ = ["METHOD_NAMES", "draw_figures"]

METHOD_NAMES: Final = {"posterior": "Posterior", "omnifold": "OmniFold", "iterative_bayes": "Iterative Bayes"}

_BINS: Final = 20

WORDS: Final = {
    "spectra": (
        "The unfolded spectra, for all events that have a truth. Thick bars are the statistics of the data, thin ones "
        "all errors.",
        "Unfolded spectra with ratio panels",
    ),
    "passes": (
        "How far each pass moved the mean or the width of an observable, in standard errors. Dashed: where a result "
        "counts as settled; dotted: the pass that is quoted.",
        "Change by each pass of every method",
    ),
    "correlations": ("Correlations between the bins, from all errors.", "Correlation matrices of the unfolded bins"),
    "refolded": (
        "What was unfolded, sent through the simulated detector again, beside the data without background and fakes.",
        "Distributions at detector level of data and refolded results",
    ),
}


def draw_figures(
    folder: Path, observed: Observed, found: Sequence[Measured], folded: Sequence[Refolded], genuine: MeasuredEvents
) -> dict[str, FigureItem]:
    """Draw and save every figure.

    Returns:
        Items for the report, by name.
    """
    by_observable: dict[str, list[Measured]] = {}
    for one in found:
        by_observable.setdefault(one.observable, []).append(one)
    figures: Mapping[str, Figure] = {
        "spectra": spectrum_grid([_spectrum(name, several) for name, several in by_observable.items()]),
        "passes": passes_figure([_passes(one) for one in folded], SETTLED),
        "correlations": bin_correlation_figure(
            [f"{METHOD_NAMES[one.result.method]}: {plain(one.observable)}" for one in found],
            [one.covariances["total"] for one in found],
        ),
        "refolded": ratio_grid([_refolded(name, observed, folded, genuine) for name in by_observable]),
    }
    return {name: FigureItem(save(figure, folder, name)[0], *WORDS[name]) for name, figure in figures.items()}


def _spectrum(name: str, several: Sequence[Measured]) -> SpectrumPanel:
    first = several[0]
    unit = next(column.unit for column in first.result.problem.columns if column.name == name)
    points = tuple(
        UnfoldedPoints(
            METHOD_NAMES[one.result.method], one.spectrum.contents, one.errors("statistical"), one.errors("total")
        )
        for one in several
    )
    return SpectrumPanel(plain(name), unit, first.spectrum.edges, first.simulated, first.truth, points)


def _passes(one: Refolded) -> PassesPanel:
    result = one.result
    labels = tuple(plain(name) for name in result.observables)
    return PassesPanel(METHOD_NAMES[result.method], labels, result.changes.T, result.stopped)


def _refolded(name: str, observed: Observed, folded: Sequence[Refolded], genuine: MeasuredEvents) -> RatioPanel:
    place = column_of(observed, name)
    data = Sample("Data", genuine.detector[:, place], genuine.weights)
    methods = tuple(
        Sample(METHOD_NAMES[one.result.method], one.events.detector[:, place], one.events.weights)
        for one in folded
        if name in one.result.observables
    )
    low, high = np.quantile(data.values, [0.002, 0.995])
    return RatioPanel(
        data, methods, np.linspace(low, high, _BINS + 1), f"measured {plain(name)}",
        observed.problem.columns[place].unit, fold=True,
    )  # fmt: skip
