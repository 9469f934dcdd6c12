"""The report of an evaluation: what was found, in the order a referee would ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from castalia.apps.classify.judging import Contest, JudgedClasses, Judgement
from castalia.apps.classify.relations import Relations
from castalia.apps.classify.results import CALIBRATED, SIGMAS, WORKING_POINTS, is_calibrated, working_points
from castalia.metrics.importance import Importance
from castalia.metrics.roc import FEWEST_LEFT
from castalia.reports.document import FigureItem, Headline, Report, Section, Verdict
from castalia.reports.tables import Cell, TableItem, cell, measured

__all__ = ["calibration_headline", "contest_table", "page_of", "relation_table", "reliability_table", "take"]


def page_of(
    events: JudgedClasses,
    judged: Judgement,
    relations: Relations | None,
    importance: Sequence[Importance],
    reasons: tuple[str, ...],
    figures: Mapping[str, FigureItem],
    provenance: Mapping[str, Any],
) -> Report:
    """Put the report together.

    Args:
        events: The events.
        judged: What was measured of the classifier.
        relations: How it recognises relations of objects, if it does.
        importance: What each feature gives.
        reasons: Why the gate refuses it, if it does.
        figures: Drawn figures by name.
        provenance: Where everything comes from.
    """
    sections = (
        _separation(judged, figures),
        _significance(judged),
        _calibration(judged, figures),
        _mass(events, judged, figures),
        _confusion(events, judged, figures),
        _importance(importance, figures),
        Section("Relations of objects", tables=() if relations is None else (relation_table(relations),)),
        _method(events),
    )
    return Report(
        title="Classifier of events",
        subtitle=f"{len(events.label)} events of {len(events.classes)} classes that the training did not learn from.",
        verdict=Verdict(not reasons, reasons),
        sections=tuple(one for one in sections if one.figures or one.tables or one.text),
        provenance=provenance,
        headlines=_headlines(judged),
    )


def contest_table(rows: Mapping[str, Contest], caption: str) -> TableItem:
    """Return separations as one table, by the names of their rows."""
    header = (
        "", "AUC", *(f"rejection at {signal:.0%}" for signal in WORKING_POINTS), "largest improvement",
        "at signal efficiency", "events left",
    )  # fmt: skip
    table = []
    for name, one in rows.items():
        best = one.curve.best_improvement()
        table.append(
            (
                Cell(name),
                measured(one.auc.value, one.auc.error),
                *(measured(p.rejection, 0.5 * (p.high - p.low)) for p in working_points(one)),
                *(
                    (measured(None), measured(None), measured(None))
                    if best is None
                    else (measured(best.value, best.error), measured(best.signal), cell(best.left))
                ),
            )
        )
    note = (
        "Rejection: one over the background efficiency. Improvement: signal efficiency over the root of the background "
        f"efficiency, its maximum among cuts that leave {FEWEST_LEFT} simulated background events or more; how many it "
        "leaves stands last. Errors of rejections are half of the 68 % interval of bootstrap replicas of the events."
    )
    return TableItem(caption, header, tuple(table), note)


def reliability_table(rows: Mapping[str, Judgement]) -> TableItem:
    """Return calibrations as one table, by the names of their rows."""
    header = (
        "", "probability of", "expected calibration error", "of a calibrated one", "debiased",
        "of a calibrated one, debiased", "largest distance in a bin [errors]", "log-loss [nat]",
    )  # fmt: skip
    table = tuple(
        (
            Cell(name),
            Cell(one.name),
            measured(one.error.value, one.error.error),
            measured(one.error.floor),
            measured(one.error.debiased, one.error.error),
            measured(one.error.debiased_floor),
            measured(one.error.largest),
            measured(judged.log_loss, judged.log_loss_error),
        )
        for name, judged in rows.items()
        for one in judged.reliabilities
    )
    note = (
        "A calibrated classifier has an expected calibration error above zero, because the fractions of finite bins "
        "fluctuate; debiased, most of that is taken off."
    )
    return TableItem("Stated and counted probabilities, all classes equally frequent", header, table, note)


def relation_table(relations: Relations) -> TableItem:
    """Return the recognition of relations as a table."""
    found = relations.found
    rows = [
        (
            Cell(name),
            cell(int(found.pairs[i])),
            measured(float(found.recall[i]), float(found.recall_error[i])),
            measured(float(found.baseline[i])),
        )
        for i, name in enumerate(relations.names)
    ]
    rows.append(
        (
            Cell("all pairs"),
            cell(int(found.pairs.sum())),
            measured(found.accuracy, found.accuracy_error),
            measured(found.baseline_accuracy),
        )
    )
    rows.append(
        (Cell("mean over relations"), measured(None), measured(found.balanced), measured(found.balanced_baseline))
    )
    note = (
        "A guess names the most frequent relation of two objects of these types. Pairs with an object that never has "
        "an ancestor, as missing momentum, are left out. Errors are of whole events."
    )
    return TableItem("Recognised pairs", ("relation", "pairs", "recognised", "by a guess"), tuple(rows), note)


def take(figures: Mapping[str, FigureItem], *kinds: str) -> tuple[FigureItem, ...]:
    """Return the figures of some kinds, in their order."""
    return tuple(figures[name] for kind in kinds for name in figures if name.partition("_")[0] == kind)


def _headlines(judged: Judgement) -> tuple[Headline, ...]:
    first = judged.contests[0]
    half = first.curve.at(0.5)
    best = first.curve.best_improvement()
    rejection = measured(half.rejection, 0.5 * (half.high - half.low))
    improvement = measured(None) if best is None else measured(best.value, best.error)
    return (
        Headline("AUC", measured(judged.mean_auc.value, judged.mean_auc.error), floor=Cell("0.5")),
        Headline("Rejection at 50 % efficiency", rejection, floor=Cell("2")),
        Headline("Largest improvement", improvement, floor=Cell("1")),
        calibration_headline(judged),
    )


def calibration_headline(judged: Judgement) -> Headline:
    """Return the calibration error of the class that is worst calibrated, as the gate looks at it."""
    worst = max(
        (one.error for one in judged.reliabilities),
        key=lambda one: one.debiased - one.debiased_floor - SIGMAS * one.error,
    )
    return Headline(
        "Calibration error, debiased",
        measured(worst.debiased, worst.error),
        floor=measured(worst.debiased_floor),
        goal=f"≤ {CALIBRATED:g} above the floor, within {SIGMAS:g} errors",
        met=is_calibrated(worst),
    )


def _separation(judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    rows = {f"{one.signal} against {one.background}": one for one in judged.contests}
    tables = (contest_table(rows, "Separation"),)
    return Section("Does it tell the classes apart?", figures=take(figures, "roc", "gain", "scores"), tables=tables)


def _significance(judged: Judgement) -> Section:
    rows = []
    for one in judged.contests:
        found = one.significance
        if found is None:
            continue
        best = None if found.best is None else (float(found.value[found.best]), float(one.curve.signal[found.best]))
        rows.append(
            (
                Cell(one.signal),
                measured(found.signal_events),
                measured(found.background_events),
                measured(found.systematic),
                measured(found.uncut),
                measured(None) if best is None else measured(best[0], found.error),
                measured(None) if best is None else measured(best[1]),
            )
        )
    header = (
        "signal", "signal events", "background events", "relative error of the background", "without a cut",
        "with the best cut", "at signal efficiency",
    )  # fmt: skip
    note = (
        "Median significance of a discovery by counting behind a cut, in standard deviations. The error is that of the "
        "simulated events; a maximum among cuts is a little too high."
    )
    table = TableItem("Expected significance", header, tuple(rows), note)
    return Section("What a search may expect", tables=(table,) if rows else ())


def _calibration(judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    return Section(
        "Do its probabilities mean what they say?",
        figures=take(figures, "reliability"),
        tables=(reliability_table({"classifier": judged}),),
    )


def _mass(events: JudgedClasses, judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    found = judged.mass
    if found is None or events.mass is None:
        return Section("Does it shape a mass?")
    row = (
        Cell(events.mass[1]),
        measured(found.correlation, found.error),
        measured(found.share),
        measured(found.spread),
        measured(found.p_value),
    )
    header = ("", "correlation of ranks", "kept by the cut", "relative spread of what is kept", "p-value of no spread")
    note = (
        "Of background events. A score that prefers the middle of a range has no correlation; the bins see it. The "
        "spread is what is beyond the errors."
    )
    table = TableItem("Dependence of the score", header, (row,), note)
    return Section("Does it shape a mass?", figures=take(figures, "mass"), tables=(table,))


def _confusion(events: JudgedClasses, judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    if len(events.classes) < 3:
        return Section("Which class is taken for which?")
    found = judged.confusion
    text = (
        f"Of each class {found.accuracy:.3f} ± {found.accuracy_error:.3f} are put where they belong on average; a "
        f"guess has {1.0 / len(events.classes):.3f}."
    )
    return Section("Which class is taken for which?", text=(text,), figures=take(figures, "confusion"))


def _importance(importance: Sequence[Importance], figures: Mapping[str, FigureItem]) -> Section:
    rows = tuple(
        (Cell(one.name), *(measured(loss.value, loss.error) for loss in (one.total, one.relations)))
        for one in importance
    )
    header = ("feature", "exchanged between all events", "within a class")
    tables = (TableItem("Loss of AUC", header, rows),) if rows else ()
    return Section("What does it draw on?", figures=take(figures, "importance"), tables=tables)


def _method(events: JudgedClasses) -> Section:
    counts = ", ".join(f"{int((events.label == i).sum())} {name}" for i, name in enumerate(events.classes))
    text = (
        f"Events: {counts}. Weights are scaled so that every class has the same sum; efficiencies, rejections and AUC "
        "do not depend on that, probabilities and their calibration are for equally frequent classes.",
        "The AUC of more than two classes is the mean over classes of each against the rest. Its error is that of the "
        "events; a bootstrap of events gives the bands.",
    )
    return Section("How it was measured", text=text)
