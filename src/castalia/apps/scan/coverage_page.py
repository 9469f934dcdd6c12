"""Figures and report of pseudo-experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from castalia.apps.scan.coverage import CoverageSummary, ParameterCoverage
from castalia.data.table import Table
from castalia.metrics.coverage import Coverage
from castalia.plots.export import save
from castalia.plots.pulls import CoveragePoint, PullPanel, coverage_figure, pull_grid
from castalia.plots.style import plain
from castalia.reports.document import FigureItem, Headline, Report, Section
from castalia.reports.tables import Cell, TableItem, measured, status

__all__ = ["coverage_page", "draw_coverage"]


def draw_coverage(folder: Path, summary: CoverageSummary, rows: Table) -> dict[str, FigureItem]:
    """Draw and save the pulls of each parameter and the coverage of its intervals.

    Args:
        folder: Where to write.
        summary: Outcome of the experiments.
        rows: One row for each experiment, as ``run_coverage`` writes them.

    Returns:
        Items for the report, by name; none of what no experiment tells.
    """
    drawn: dict[str, FigureItem] = {}
    good = rows.take(np.asarray(rows["converged"], dtype=np.bool_))
    panels = [
        PullPanel(
            plain(one.name),
            (np.asarray(good[f"{one.name}_fit"]) - one.truth) / np.asarray(good[f"{one.name}_error"]),
            (
                f"mean {measured(one.pulls.mean, one.pulls.mean_error).text}",
                f"width {measured(one.pulls.width, one.pulls.width_error).text}",
            ),
        )
        for one in summary.parameters
        if one.pulls.experiments
    ]
    points = [
        CoveragePoint(plain(one.name), method, c.level, c.fraction, c.low, c.high)
        for one in summary.parameters
        for method, found in (("HESSE", one.errors), ("Profile", one.profile))
        for c in found
        if c.experiments
    ]
    if panels:
        drawn["pulls"] = FigureItem(
            save(pull_grid(panels), folder, "pulls")[0],
            "Pulls, (fitted − true) / error by HESSE, beside the unit normal distribution; those beyond the axis are "
            "in the outer bins.",
            "Histograms of pulls with the unit normal distribution",
        )
    if points:
        drawn["coverage"] = FigureItem(
            save(coverage_figure(points), folder, "coverage")[0],
            "How often intervals held the true value; bars are binomial intervals of 99 %. The error from the finite "
            "pool, which all experiments share, is not in the bars but in the table.",
            "Coverage of the intervals of each parameter at two confidence levels",
        )
    return drawn


def coverage_page(
    summary: CoverageSummary,
    figures: Mapping[str, FigureItem],
    provenance: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> Report:
    """Put the report of pseudo-experiments together.

    Args:
        summary: Outcome of the experiments.
        figures: Drawn figures by name.
        provenance: Where everything comes from.
        warnings: What has to be known before the numbers are believed.
    """
    point = ", ".join(f"{one.name} = {one.truth:.4g}" for one in summary.parameters)
    text = (
        f"Every experiment draws its events without replacement from one pool of simulation; two of them share "
        f"{100 * summary.overlap:.3g} % of their events. {summary.failed} of {summary.experiments} fits did not "
        "converge and are in none of the figures.",
        f"Each fit begins at the truth; {summary.searched} were searched over the whole range as well, as a fit of "
        f"observed events is, and in {summary.elsewhere} of these another minimum is lower, which then counts.",
        *warnings,
    )
    return Report(
        title="Coverage of the fit",
        subtitle=f"{summary.experiments} pseudo-experiments at {point}.",
        verdict=None,
        sections=(
            Section("Pulls", text=text, figures=_some(figures, "pulls"), tables=(_pulls(summary),)),
            Section("Coverage", figures=_some(figures, "coverage"), tables=(_coverage(summary), _thresholds(summary))),
        ),
        provenance=provenance,
        headlines=_headlines(summary),
    )


def _some(figures: Mapping[str, FigureItem], name: str) -> tuple[FigureItem, ...]:
    return (figures[name],) if name in figures else ()


def _headlines(summary: CoverageSummary) -> tuple[Headline, ...]:
    return tuple(
        Headline(
            f"All parameters, {100 * one.level:.3g} % region",
            measured(100 * one.fraction, None, "%"),
            goal=f"{100 * one.low:.3g} to {100 * one.high:.3g} % around {100 * one.level:.3g} %",
            met=one.right,
        )
        for one in summary.joint
    )


def _pulls(summary: CoverageSummary) -> TableItem:
    rows = tuple(
        (
            Cell(one.name),
            measured(one.truth),
            measured(one.bias, one.bias_error),
            measured(one.pulls.mean, one.pulls.mean_error),
            measured(one.pulls.width, one.pulls.width_error),
            Cell(str(one.at_limit), float(one.at_limit), numeric=True),
        )
        for one in summary.parameters
    )
    header = ("parameter", "true value", "bias", "mean pull", "width of pulls", "at a limit")
    return TableItem("Bias and pulls", header, rows, "Errors include that of the shared pool.")


def _coverage(summary: CoverageSummary) -> TableItem:
    rows = [row for one in summary.parameters for row in _parameter_rows(one)]
    rows += _rows("all parameters", "joint profile", summary.joint)
    header = (
        "parameter", "interval", "level [%]", "covered [%]", "99 % from", "to", "pool error", "level inside",
        "left out", "of all [%]",
    )  # fmt: skip
    note = (
        "The interval is Clopper and Pearson's. Left out are experiments without an interval: the fit failed or, for "
        "HESSE, ended at a limit of the range; 'of all' counts them as not covering."
    )
    return TableItem("Coverage", header, tuple(rows), note)


def _parameter_rows(one: ParameterCoverage) -> list[tuple[Cell, ...]]:
    return [*_rows(one.name, "HESSE", one.errors), *_rows(one.name, "profile", one.profile)]


def _rows(name: str, method: str, found: Sequence[Coverage]) -> list[tuple[Cell, ...]]:
    return [
        (
            Cell(name),
            Cell(method),
            *(measured(round(100 * v, 3)) for v in (c.level, c.fraction, c.low, c.high, c.pool_error)),
            status(c.right, "yes", "NO"),
            measured(float(c.left_out)),
            measured(round(100 * c.of_all, 3)),
        )
        for c in found
    ]


def _thresholds(summary: CoverageSummary) -> TableItem:
    every = [(one.name, one.thresholds) for one in summary.parameters]
    every.append(("all parameters", summary.joint_thresholds))
    rows = tuple(
        (Cell(name), measured(round(100 * t.level, 2)), measured(t.value, t.error), measured(t.wilks))
        for name, found in every
        for t in found
    )
    note = (
        "An interval that ends where twice the negative log-likelihood has risen by this much covers by construction: "
        "`castalia scan fit --thresholds` uses them. They need 200 experiments."
    )
    return TableItem("Calibrated thresholds", ("parameter", "level [%]", "threshold", "by Wilks"), rows, note)
