"""The report of a comparison: one table for each question, one row a classifier, the best first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from castalia.apps.classify.comparison import Comparison
from castalia.apps.classify.figures import draw_gain, draw_reliability, draw_roc, save_all
from castalia.apps.classify.page import calibration_headline, contest_table, relation_table, reliability_table, take
from castalia.apps.classify.results import gate_reasons
from castalia.plots.export import Figure, save
from castalia.plots.learning_curve import LearningLine, learning_figure
from castalia.plots.style import plain
from castalia.reports.document import FigureItem, Headline, Report, Section
from castalia.reports.tables import Cell, TableItem, cell, measured, status

__all__ = ["comparison_page", "draw_comparison"]

_SHOWN: Final = 8  # curves in a figure: more cannot be told apart

_LEARNING: Final = (
    "Mean AUC against the number of training events a class. Bands hold 68 % of the uncertainty of the mean over "
    "seeds, by Student's t; a point without band is one training.",
    "Learning curves",
)


def draw_comparison(folder: Path, found: Comparison) -> dict[str, FigureItem]:
    """Draw and save the figures of a comparison, of the best classifiers in the order of their AUC.

    Returns:
        Items for the report, by name.
    """
    shown = {name: found.models[name].judged for name in found.ranking[:_SHOWN]}
    contests = {name: one.contests[0] for name, one in shown.items()}
    figures: dict[str, Figure] = {"roc": draw_roc(contests), "gain": draw_gain(contests)}
    figures["reliability"] = draw_reliability({name: one.reliabilities for name, one in shown.items()})
    items = save_all(folder, figures)
    curves = found.curves
    if curves:
        lines = [LearningLine(plain(name), one.sizes, one.value, one.error) for name, one in curves.items()]
        items["learning"] = FigureItem(save(learning_figure(lines, "AUC"), folder, "learning")[0], *_LEARNING)
    return items


def comparison_page(found: Comparison, figures: Mapping[str, FigureItem], provenance: Mapping[str, Any]) -> Report:
    """Put the report together.

    Args:
        found: What was measured.
        figures: Drawn figures by name; they may be none.
        provenance: Where everything comes from.
    """
    best = found.ranking[0]
    judged = found.models[best].judged
    shown = {name: found.models[name].judged for name in found.ranking}
    contests = [
        contest_table(
            {name: one.contests[place] for name, one in shown.items()}, f"{one.signal} against {one.background}"
        )
        for place, one in enumerate(judged.contests)
    ]
    relations = [
        TableItem(f"{name}: recognised pairs", table.header, table.rows, table.note)
        for name in found.ranking
        for table in (relation_table(one) for one in [found.models[name].relations] if one is not None)
    ]
    sections = (
        Section(
            "Which tells the classes apart best?",
            figures=take(figures, "roc", "gain"),
            tables=(_ranking(found), *contests),
        ),
        _learning(found, figures),
        Section(
            "Do their probabilities mean what they say?",
            figures=take(figures, "reliability"),
            tables=(reliability_table(shown),),
        ),
        Section("Relations of objects", tables=tuple(relations)),
    )
    return Report(
        title="Classifiers compared",
        subtitle=f"{len(found.models)} classifiers on the same {len(found.events.label)} events, which none of them "
        "learned from.",
        verdict=None,
        sections=tuple(one for one in sections if one.figures or one.tables),
        provenance=provenance,
        headlines=(
            Headline("Best AUC", Cell(best)),
            Headline("Its AUC", measured(judged.mean_auc.value, judged.mean_auc.error), floor=Cell("0.5")),
            calibration_headline(judged),
        ),
    )


def _ranking(found: Comparison) -> TableItem:
    best, named = found.ranking[0], any(one.recipe for one in found.models.values())
    rows = []
    for name in found.ranking:
        one, behind = found.models[name], found.ahead(best, name)
        apart = behind.value / behind.error if behind.error > 0.0 else 0.0
        rows.append(
            (
                Cell(name),
                measured(one.judged.mean_auc.value, one.judged.mean_auc.error),
                measured(behind.value, behind.error),
                measured(round(apart, 1)),
                status(not gate_reasons(one.judged, None)),
                measured(one.training_events),
                cell(one.parameters),
                *((Cell(one.recipe),) if named else ()),
            )
        )
    header = (
        "", "AUC", "behind the best", "in errors", "gate", "training events a class", "parameters",
        *(("recipe",) if named else ()),
    )  # fmt: skip
    note = (
        "Behind the best: the difference of the AUC, whose error is smaller than those of the two, because they are of "
        "the same events. It is the error of the events; another seed of the training adds its own."
    )
    return TableItem("Ranked by AUC", header, tuple(rows), note)


def _learning(found: Comparison, figures: Mapping[str, FigureItem]) -> Section:
    curves = found.curves
    if not curves:
        return Section("Learning curves")
    points = tuple(
        (Cell(name), measured(float(size)), measured(float(value), float(error)), cell(int(seeds)))
        for name, curve in curves.items()
        for size, value, error, seeds in zip(curve.sizes, curve.value, curve.error, curve.seeds, strict=True)
    )
    tables = [TableItem("AUC by training events", ("recipe", "events a class", "mean AUC", "trainings"), points)]
    saved = tuple(
        (
            Cell(name),
            measured(one.size),
            measured(one.factor),
            Cell(_interval(one.low, one.high), numeric=True),
            Cell("" if np.isnan(one.least) else f"≥ {one.least:.3g}", numeric=True),
        )
        for name, rows in found.saved.items()
        for one in rows
    )
    if saved:
        first = next(iter(curves))
        header = ("recipe", "events a class", "factor", "68 % interval", "at least")
        note = (
            f"How many times as many events {first} needs for the same AUC, by interpolation in the logarithm of the "
            "size. Where its curve ends below that AUC, only a bound is known."
        )
        tables.append(TableItem(f"Data saved over {first}", header, saved, note))
    return Section("How much data does it take?", figures=take(figures, "learning"), tables=tuple(tables))


def _interval(low: float, high: float) -> str:
    ends = [f"{end:.3g}" if np.isfinite(end) else "∞" for end in (low, high)]
    return " to ".join(ends)
