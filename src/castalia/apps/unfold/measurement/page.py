"""The report of a measurement: the spectra first, then what a referee asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from castalia.apps.unfold.measurement.figures import METHOD_NAMES
from castalia.apps.unfold.measurement.verdicts import PARTS, Measured, Refolded
from castalia.apps.unfold.settling import SETTLED
from castalia.reports.document import FigureItem, Report, Section, Verdict
from castalia.reports.tables import Cell, TableItem, cell, measured, rounded, status

__all__ = ["page_of"]


def page_of(
    found: Sequence[Measured],
    folded: Sequence[Refolded],
    figures: Mapping[str, FigureItem],
    reasons: tuple[str, ...],
    provenance: Mapping[str, Any],
) -> Report:
    """Put the report together.

    Args:
        found: Spectra of all observables by all methods.
        folded: Refolded results.
        figures: Drawn figures by name.
        reasons: Why the gate refuses the measurement, if it does.
        provenance: Where everything comes from.
    """
    counts = provenance["events"]
    return Report(
        title="Unfolded measurement",
        subtitle=f"{counts['data']['selected']} events of data, corrected to all events that have a truth.",
        verdict=Verdict(not reasons, reasons),
        sections=(
            Section("Spectra", figures=_take(figures, "spectra"), tables=_spectra(found)),
            Section("Bottom line and truth", text=(_BOTTOM_LINE,), tables=(_comparisons(found),)),
            Section("Passes", figures=_take(figures, "passes"), tables=(_passes(folded),)),
            Section("Correlations between bins", figures=_take(figures, "correlations")),
            Section("Refolding", figures=_take(figures, "refolded"), tables=_refolding(folded)),
            Section("How it was measured", text=_METHOD),
        ),
        provenance=provenance,
    )


_BOTTOM_LINE = (
    "The bottom line: unfolding must not tell the data and the simulation apart better than they are at detector "
    "level. Both distances are by the statistics of the data alone."
)
_METHOD = (
    "Statistical errors: bootstrap of the data. Simulation: bootstrap of the simulated events and of the background, "
    "scatter of the mean of several fits by classifiers of other random numbers, and members of the trained ensemble "
    "where there are any. Systematic: the shift by each variation, bins moving together.",
    "Acceptance: methods that reweight learn from events at both levels and apply their weights to all that have a "
    "truth. A posterior's draws count as often as a simulated event of their observables is defined for one that is "
    "selected as well. Fakes are taken off by their simulated share at detector level. Of a posterior, background and "
    "fakes have draws of their own, of negative weight.",
)

_FINER = 10.0  # parts of an error have one digit more than their sum


def _take(figures: Mapping[str, FigureItem], name: str) -> tuple[FigureItem, ...]:
    return (figures[name],) if name in figures else ()


def _spectra(found: Sequence[Measured]) -> tuple[TableItem, ...]:
    tables = []
    for one in found:
        truths = [None] * len(one.simulated) if one.truth is None else one.truth.tolist()
        totals = one.errors("total").tolist()
        rows = tuple(
            (
                Cell(f"{one.spectrum.edges[i]:g} – {one.spectrum.edges[i + 1]:g}", float(one.spectrum.edges[i])),
                measured(float(one.spectrum.contents[i]), totals[i]),
                *(rounded(float(one.errors(part)[i]), totals[i] / _FINER) for part in PARTS[:-1]),
                rounded(float(one.simulated[i]), totals[i]),
                rounded(truths[i], totals[i]),
            )
            for i in range(len(one.simulated))
        )
        header = ("bin", "events", *(f"{part} error" for part in PARTS[:-1]), "simulation", "truth")
        tables.append(TableItem(f"{one.observable} by {METHOD_NAMES[one.result.method]}", header, rows))
    return tuple(tables)


def _comparisons(found: Sequence[Measured]) -> TableItem:
    rows = []
    for one in found:
        line, truth = one.line, one.against_truth
        rows.append(
            (
                Cell(one.observable),
                Cell(METHOD_NAMES[one.result.method]),
                measured(None if line is None else line.smeared.value),
                measured(None if line is None else line.unfolded.value),
                status(None if line is None else line.passed, bad="above"),
                measured(None if truth is None else truth.value),
                cell(None if truth is None else truth.degrees),
                measured(None if truth is None else truth.p_value),
            )
        )
    header = (
        "observable", "method", "χ² at detector level", "χ² unfolded", "bottom line", "χ² to the truth", "bins",
        "p-value",
    )  # fmt: skip
    note = (
        "The truth is that of the same events of data, and compared by the covariance of the difference. Dashes: it is "
        "not known, or there are too few replicas for so many bins."
    )
    return TableItem("Result against simulation and truth", header, tuple(rows), note)


def _passes(folded: Sequence[Refolded]) -> TableItem:
    passes = max(len(one.result.changes) for one in folded)
    rows = []
    for one in folded:
        for i, name in enumerate(one.result.observables):
            changes = one.result.changes[:, i].tolist()
            rows.append(
                (
                    Cell(METHOD_NAMES[one.result.method]),
                    Cell(name),
                    *(measured(change) for change in changes),
                    cell(one.result.stopped),
                    status(one.result.settled, "settled", "not settled"),
                )
            )
    header = ("method", "observable", *(f"pass {k}" for k in range(1, passes + 1)), "quoted", "")
    note = (
        f"Change of mean or width in standard errors, in the first pass from the simulation; settled below {SETTLED}."
    )
    return TableItem("Change by each pass", header, tuple(rows), note)


def _refolding(folded: Sequence[Refolded]) -> tuple[TableItem, ...]:
    rows, further = [], []
    for one in folded:
        name = Cell(METHOD_NAMES[one.result.method])
        for observable, chi2, freedom, p in zip(
            one.result.observables, one.own.chi2, one.own.freedom, one.own.p_values, strict=True
        ):
            rows.append((name, Cell(observable), measured(float(chi2)), cell(int(freedom)), measured(float(p))))
        if one.further is not None:
            columns = zip(one.names, one.further.p_values, strict=True)
            further += [(name, Cell(one.result.name), Cell(column), measured(float(p))) for column, p in columns]
    tables = [
        TableItem("Refolded observables", ("method", "observable", "χ²", "degrees of freedom", "p-value"), tuple(rows))
    ]
    if further:
        note = "These were not unfolded: the simulation is right of them, given the observables, or it is not."
        header = ("method", "result", "measured", "p-value")
        tables.append(TableItem("What else was measured", header, tuple(further), note))
    return tuple(tables)
