"""The report of a comparison: one table for each question, one row a model, between the control and the floor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from castalia.apps.unfold.comparison import Comparison
from castalia.apps.unfold.judging import Judgement
from castalia.apps.unfold.page import JOINT_WORDS, SCORES, distance_tables, joint_test_words, score_row
from castalia.apps.unfold.results import CALIBRATED, calibrated
from castalia.plots.component_overview import ComponentRow, ComponentSeries, component_overview
from castalia.plots.export import save
from castalia.plots.style import plain
from castalia.reports.document import FigureItem, Headline, Report, Section
from castalia.reports.tables import Cell, TableItem, cell, measured, status

__all__ = ["comparison_page", "draw_comparison"]

WORDS: Final = {
    "crps": (
        "Continuous ranked probability score of every number, in units of the width of its truth: the lower, the more "
        "the posterior knows. The steps are the control, the truth of random training events.",
        "Scores of every number for every model",
    ),
    "calibration": (
        "Largest deviation of the distribution of the truth's rank among the draws from uniform, for every number. "
        f"What is below the line is calibrated to {CALIBRATED:g}.",
        "Largest deviations of ranks of every number for every model",
    ),
}


def draw_comparison(folder: Path, found: Comparison) -> dict[str, FigureItem]:
    """Draw and save the figures of a comparison, models in the order of their scores.

    Returns:
        Items for the report, by name.
    """
    names = [plain(name) for name in found.events.coordinates.continuous]
    models = [(plain(name), found.models[name].judged) for name in found.ranking]
    scores = tuple(ComponentSeries(name, one.crps.components, one.crps.component_errors) for name, one in models)
    ranks = tuple(ComponentSeries(name, one.ranks.value) for name, one in models)
    rows = {
        "crps": ComponentRow(
            "CRPS / width of the truth", scores, reference=found.control.crps.components, reference_name="control"
        ),
        "calibration": ComponentRow(
            "Largest $|$ECDF $-$ uniform$|$", ranks, line=CALIBRATED, line_name=f"{CALIBRATED:g}"
        ),
    }
    return {
        name: FigureItem(save(component_overview(names, row), folder, name)[0], *WORDS[name])
        for name, row in rows.items()
    }


def comparison_page(found: Comparison, figures: Mapping[str, FigureItem], provenance: Mapping[str, Any]) -> Report:
    """Put the report together.

    Args:
        found: What was measured.
        figures: Drawn figures by name; they may be none.
        provenance: Where everything comes from.
    """
    best = found.ranking[0]
    judged, number = found.models[best].judged, len(found.events.continuous)
    rows = {**{name: found.models[name].judged for name in found.ranking}, "control": found.control}
    good = calibrated(judged)
    return Report(
        title="Posteriors compared",
        subtitle=(
            f"{len(found.models)} models on the same {len(found.events.truth)} simulated events, which none of them "
            "learned from; beside them, as a control, the truth of random training events."
        ),
        verdict=None,
        sections=(
            _scores(found, rows, figures),
            Section(
                "Distributions",
                text=("None of these sees the detector: a posterior has to pass them, and passing is not enough.",),
                tables=distance_tables(found.events, rows),
            ),
            Section(
                "Calibration", figures=_take(figures, "calibration"), tables=(_coverage(found, rows),)
            ),
            Section("Consistency", tables=_consistency(rows)),
            Section("Cost", tables=(_costs(found),)),
            _method(found),
        ),
        provenance=provenance,
        headlines=(
            Headline("Best CRPS", Cell(best)),
            Headline("Its CRPS", measured(judged.crps.value, judged.crps.error),
                     floor=measured(found.control.crps.value)),
            Headline("Its joint AUC", measured(judged.joint.value, judged.joint.error), floor=Cell("0.5")),
            Headline("Its calibrated numbers", Cell(f"{good} of {number}", float(good), numeric=True)),
        ),
    )  # fmt: skip


def _scores(found: Comparison, rows: Mapping[str, Judgement], figures: Mapping[str, FigureItem]) -> Section:
    def line(name: str, judged: Judgement) -> tuple[Cell, ...]:
        first, *rest = score_row(name, judged)
        behind = found.behind(judged)
        passed = not found.reasons(name) if name in found.models else None
        return (first, measured(behind.value, behind.error), status(passed), *rest)

    header = ("", "behind the best", "gate", *SCORES[1:])
    note = (
        "Ordered by CRPS, the continuous ranked probability score in units of the truth's width, averaged over the "
        "numbers. Behind the best: the mean difference of the CRPS event by event, whose error is smaller than those "
        f"of the two, because they are of the same events. {JOINT_WORDS}"
    )
    table = TableItem(
        "What sees detector and truth together", header, tuple(line(name, one) for name, one in rows.items()), note
    )
    return Section("Which knows the event best?", figures=_take(figures, "crps"), tables=(table,))


def _coverage(found: Comparison, rows: Mapping[str, Judgement]) -> TableItem:
    levels = [one.level for one in found.control.coverage]
    header = (
        "", f"calibrated to {CALIBRATED:g}", "largest deviation of ranks",
        *(f"{words} coverage of {level:.0%}" for level in levels for words in ("mean", "least", "largest")),
    )  # fmt: skip
    table = tuple(
        (
            Cell(name),
            cell(calibrated(one)),
            measured(float(one.ranks.value.max())),
            *(
                measured(float(value))
                for level in one.coverage
                for value in (level.value.mean(), level.value.min(), level.value.max())
            ),
        )
        for name, one in rows.items()
    )
    note = f"With as many events and draws a right posterior deviates by {found.control.ranks.expected:.4f} on average."
    return TableItem(f"Ranks and central intervals, of {len(found.events.continuous)} numbers", header, table, note)


def _consistency(rows: Mapping[str, Judgement]) -> tuple[TableItem, ...]:
    if not any(one.composites for one in rows.values()):
        return ()
    table = tuple(
        (
            Cell(name),
            measured(max(part.shell.violation for part in one.composites.values())),
            measured(max(part.shell.spacelike for part in one.composites.values())),
            measured(max(part.daughters.violation for part in one.composites.values())),
        )
        for name, one in rows.items()
    )
    header = ("", "|M² − (E² − p²)| / σ", "fraction with E² < p²", "off the daughters' sum")
    return (TableItem("Masses and sums in the draws, medians, of the worst composite", header, table),)


def _costs(found: Comparison) -> TableItem:
    header = ("", "parameters", "training [s]", "network evaluations a draw", "draws/s a core")
    costs = {name: found.models[name].cost for name in found.ranking}
    rows = tuple(
        (
            Cell(name),
            cell(one.parameters),
            measured(one.training_seconds),
            cell(one.evaluations),
            cell(round(one.draws_per_second)),
        )
        for name, one in costs.items()
    )
    note = "Training is wall-clock time on whatever machine it ran; draws are timed here, by the processor's clock."
    return TableItem("What they cost", header, rows, note)


def _method(found: Comparison) -> Section:
    text = (
        f"Every model drew for the same events, with the same seeds. Scores, ranks and coverage are of "
        f"{found.events.scored} events with several draws each, distances and the joint test of one draw an event.",
    )
    return Section("How it was measured", text=(*text, *joint_test_words(found.test)))


def _take(figures: Mapping[str, FigureItem], *names: str) -> tuple[FigureItem, ...]:
    return tuple(figures[name] for name in names if name in figures)
