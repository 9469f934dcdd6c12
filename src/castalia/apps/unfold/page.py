"""The report of an evaluation: what was found, in the order a referee would ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from castalia.apps.unfold.judging import JudgedEvents, Judgement
from castalia.apps.unfold.results import CALIBRATED, MEASURES, calibrated
from castalia.metrics.resolution import core_width
from castalia.metrics.two_sample import TwoSampleTest
from castalia.reports.document import FigureItem, Headline, Report, Section, Verdict
from castalia.reports.tables import Cell, TableItem, cell, measured

__all__ = ["JOINT_WORDS", "SCORES", "distance_rows", "distance_tables", "joint_test_words", "page_of", "score_row"]


def page_of(
    events: JudgedEvents,
    judged: Judgement,
    control: Judgement,
    reasons: tuple[str, ...],
    figures: Mapping[str, FigureItem],
    provenance: Mapping[str, Any],
) -> Report:
    """Put the report together.

    Args:
        events: The test events.
        judged: What was measured of the posterior.
        control: What was measured of the truth of random training events.
        reasons: Why the gate refuses it, if it does.
        figures: Drawn figures by name.
        provenance: Where everything comes from.
    """
    sections = (
        _scores(judged, control, figures),
        _distances(events, judged, control, figures),
        _calibration(events, judged, figures),
        Section("Single events", figures=_take(figures, "posteriors")),
        _consistency(events, judged, figures),
        _method(events, judged),
    )
    return Report(
        title="Posterior of the truth",
        subtitle=(
            f"{len(events.truth)} simulated events that the training never saw; beside them, as a control, the truth "
            "of random training events."
        ),
        verdict=Verdict(not reasons, reasons),
        sections=tuple(section for section in sections if section.figures or section.tables or section.text),
        provenance=provenance,
        headlines=_headlines(events, judged, control),
    )


def _headlines(events: JudgedEvents, judged: Judgement, control: Judgement) -> tuple[Headline, ...]:
    distance = judged.marginals.summed().wasserstein
    good = calibrated(judged)
    return (
        Headline("CRPS", measured(judged.crps.value, judged.crps.error), floor=measured(control.crps.value)),
        Headline("Joint AUC", measured(judged.joint.value, judged.joint.error), floor=Cell("0.5"), goal="≤ 0.65",
                 met=judged.joint.value <= 0.65),
        Headline(
            "Sum of Wasserstein distances",
            measured(distance.value, distance.error),
            floor=measured(distance.floor, distance.floor_error),
        ),
        Headline("Calibrated numbers", Cell(f"{good} of {len(events.continuous)}", float(good), numeric=True)),
    )  # fmt: skip


def score_row(name: str, judged: Judgement) -> tuple[Cell, ...]:
    """Return what sees the detector, as one row of a table."""
    return (
        Cell(name),
        measured(judged.crps.value, judged.crps.error),
        measured(judged.energy.value, judged.energy.error),
        measured(judged.joint.value, judged.joint.error),
        measured(judged.joint_distances.value, judged.joint_distances.error),
        cell(calibrated(judged)),
        measured(float(judged.ranks.value.max())),
    )


SCORES = (
    "",
    "CRPS",
    "energy score",
    "joint AUC",
    "joint AUC with distances",
    f"calibrated to {CALIBRATED:g}",
    "largest deviation of ranks",
)
"""Header of ``score_row``."""

JOINT_WORDS = (
    "Joint AUC: of a classifier that sees detector and truth, 0.5 for the posterior. With distances: it also sees how "
    "far every particle is from the nearest measured object, which finds directions that are drawn less sharp than "
    "the detector knows them."
)
"""What the two areas of ``score_row`` are."""


def distance_rows(name: str, judged: Judgement, columns: list[int] | None) -> tuple[Cell, ...]:
    """Return the six distances summed over ``columns``, as one row of a table."""
    summed = judged.marginals.summed(columns)
    return (Cell(name), *(measured(one.value, one.error) for one in (getattr(summed, key) for key in MEASURES)))


def distance_tables(events: JudgedEvents, judged: Mapping[str, Judgement]) -> tuple[TableItem, ...]:
    """Return the six distances summed over all numbers, and over those that have a density, with their floor."""
    header = ("", *MEASURES.values())
    tables = []
    for columns, number in ((None, len(events.coordinates.tree.numbers)), (events.continuous, len(events.continuous))):
        rows = [distance_rows(name, one, columns) for name, one in judged.items()]
        rows.append(_floor_row(next(iter(judged.values())), columns))
        tables.append(TableItem(f"Distances summed over {number} numbers", header, tuple(rows)))
    return tuple(tables)


def _floor_row(judged: Judgement, columns: list[int] | None) -> tuple[Cell, ...]:
    summed = judged.marginals.summed(columns)
    floors = (getattr(summed, key) for key in MEASURES)
    return (Cell("truth against truth"), *(measured(one.floor, one.floor_error) for one in floors))


def _scores(judged: Judgement, control: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    rows = (score_row("posterior", judged), score_row("control", control))
    note = (
        "CRPS: continuous ranked probability score in units of the truth's width, averaged over the numbers; perfect "
        f"draws have width / sqrt(pi). {JOINT_WORDS} "
        "The control has perfect marginal distributions, ranks and coverage, and knows nothing of the event."
    )
    table = TableItem("What sees detector and truth together", SCORES, rows, note)
    return Section("Does it know the event?", figures=_take(figures, "directions"), tables=(table,))


def _distances(
    events: JudgedEvents, judged: Judgement, control: Judgement, figures: Mapping[str, FigureItem]
) -> Section:
    tables = distance_tables(events, {"posterior": judged, "control": control})
    text = "None of these sees the detector: a posterior has to pass them, and passing them is not enough."
    return Section("Distributions", text=(text,), figures=_take(figures, "spectra", "corner", "migration"),
                   tables=tables)  # fmt: skip


def _calibration(events: JudgedEvents, judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    names = events.coordinates.continuous
    worst = np.argsort(-judged.ranks.value)[:8]
    rows = tuple(
        (
            Cell(names[i]),
            measured(float(judged.ranks.value[i])),
            *(measured(float(one.value[i]), float(one.error[i])) for one in judged.coverage),
        )
        for i in worst
    )
    header = ("number", "largest deviation of ranks", *(f"coverage of {one.level:.0%}" for one in judged.coverage))
    note = f"With as many events and draws a right posterior deviates by {judged.ranks.expected:.4f} on average."
    return Section(
        "Calibration",
        figures=_take(figures, "ranks", "coverage"),
        tables=(TableItem("The numbers that are farthest off", header, rows, note),),
    )


def _consistency(events: JudgedEvents, judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    names, rows, peaks = list(events.coordinates.tree.numbers), [], []
    for name, one in judged.composites.items():
        shell, daughters = one.shell, one.daughters
        rows.append((Cell(name), *(measured(x) for x in (shell.violation, shell.spacelike, daughters.violation))))
        true = core_width(events.truth[:, names.index(f"{name}_mass")])
        cores = (true, shell.drawn_peak, shell.computed_peak, daughters.peak)
        pairs = [(measured(c.mean, c.width / c.events**0.5), measured(c.width, c.error)) for c in cores]
        peaks.append((Cell(name), *chain.from_iterable(pairs)))
    if not rows:
        return Section("Consistency")
    header = ("sum", "|M² − (E² − p²)| / σ", "fraction with E² < p²", "off the daughters' sum")
    masses = ("truth", "M", "√(E² − p²)", "daughters")
    cores_header = ("sum", *(f"{what}: {one} [GeV]" for what in masses for one in ("peak", "width")))
    tables = (
        TableItem("Masses and sums in the draws, medians", header, tuple(rows)),
        TableItem("Peaks of the masses", cores_header, tuple(peaks), "Mean and width within three widths."),
    )
    return Section("Consistency", figures=_take(figures, "masses"), tables=tables)


def _method(events: JudgedEvents, judged: Judgement) -> Section:
    text = (
        f"Scores, ranks and coverage are of {events.scored} events with several draws each, distances and the joint "
        "test of one draw an event.",
    )
    return Section("How it was measured", text=(*text, *joint_test_words(judged.test)))


def joint_test_words(test: TwoSampleTest | None) -> tuple[str, ...]:
    """Return what the joint test itself was found to see; nothing where that was not measured."""
    if test is None:
        return ()
    power, control = test.power, test.control
    return (
        f"The joint classifier is fixed in advance. On the truth with each number 1.03 times as far from its "
        f"regression on the detector it reaches {power.value:.4f} ± {power.error:.4f}, on truth against truth "
        f"{control.value:.4f} ± {control.error:.4f}.",
    )


def _take(figures: Mapping[str, FigureItem], *names: str) -> tuple[FigureItem, ...]:
    return tuple(figures[name] for name in names if name in figures)
