"""The report of a fit: the result first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from castalia.apps.scan.fit import FittedParameter
from castalia.apps.scan.results import FitStudy, pull_of
from castalia.metrics.goodness import GoodnessOfFit
from castalia.reports.document import FigureItem, Headline, Report, Section, Verdict
from castalia.reports.tables import MISSING, Cell, TableItem, measured, rounded, status

__all__ = ["fit_page"]

_NONE = Cell(MISSING, numeric=True)
_LEVEL = 0.01  # p-value below which the fitted model is called rejected
_PULL_ERROR = 0.1  # pulls are written with as many digits as if this were their error
_WORDS = ("The fit converged.", "The fit did not converge: no number below is a result.")
_REJECTED = (
    "The observed events do not look like the fitted model (goodness of fit below): errors and intervals assume that "
    "they do."
)


def fit_page(title: str, study: FitStudy, figures: Mapping[str, FigureItem], provenance: Mapping[str, Any]) -> Report:
    """Put the report of a fit together.

    Args:
        title: Heading.
        study: The fit.
        figures: Drawn figures by name.
        provenance: Where everything comes from.
    """
    fit = study.fit
    reasons = ((fit.fitted.failure,) if fit.fitted.failure else ()) + fit.warnings
    if study.goodness is not None and study.goodness.p_value < _LEVEL:
        reasons = (_REJECTED, *reasons)
    sections = [_result(study, figures), _contours(figures), _agreement(study, figures), _cost(study)]
    return Report(
        title=title,
        subtitle=f"{len(fit.likelihood)} observed events, fitted by an unbinned likelihood with its exact gradient.",
        verdict=Verdict(fit.converged, reasons, _WORDS),
        sections=tuple(section for section in sections if section.figures or section.tables or section.text),
        provenance=provenance,
        headlines=_headlines(study),
    )


def _headlines(study: FitStudy) -> tuple[Headline, ...]:
    cards = [Headline(one.name, measured(one.value, one.error, one.unit)) for one in study.fit.parameters[:4]]
    if study.goodness is not None:
        p_value = study.goodness.p_value
        cards.append(Headline("Goodness of fit, p-value", measured(p_value), goal="≥ 0.01", met=p_value >= _LEVEL))
    return tuple(cards)


def _result(study: FitStudy, figures: Mapping[str, FigureItem]) -> Section:
    known = any(parameter.name in study.truth for parameter in study.fit.parameters)
    header: tuple[str, ...] = ("parameter", "value ± HESSE", "MINOS low", "MINOS high", "model error", "note")
    rows = tuple(_row(parameter, study, known) for parameter in study.fit.parameters)
    if known:
        header = (*header, "true value", "pull")
    note = (
        "The MINOS interval is where 2 NLL, all other parameters fitted again, has risen by "
        + ("the calibrated threshold" if study.thresholds else "1")
        + " (68.3 %). The model error is the spread of the value over the members of the ensemble, where there is "
        "one; it is not part of the other errors. A pull is (value − true value) / error."
    )
    items = tuple(figures[name] for name in ("profiles",) if name in figures)
    return Section("Result", figures=items, tables=(TableItem("Fitted parameters", header, rows, note),))


def _row(parameter: FittedParameter, study: FitStudy, known: bool) -> tuple[Cell, ...]:
    cells = (
        Cell(parameter.name),
        measured(parameter.value, parameter.error, parameter.unit),
        rounded(parameter.minos_low, parameter.error),
        rounded(parameter.minos_high, parameter.error),
        rounded(parameter.model_error, parameter.error),
        Cell("fixed" if parameter.fixed else f"at its {parameter.at_limit} limit" if parameter.at_limit else ""),
    )
    if not known:
        return cells
    true, pull = study.truth.get(parameter.name), pull_of(parameter, study.truth)
    return (*cells, rounded(true, parameter.error), rounded(pull, _PULL_ERROR))


def _contours(figures: Mapping[str, FigureItem]) -> Section:
    return Section("Contours", figures=tuple(figures[name] for name in ("contours",) if name in figures))


def _agreement(study: FitStudy, figures: Mapping[str, FigureItem]) -> Section:
    tables = []
    if study.goodness is not None and study.uncorrected is not None:
        tables.append(_goodness(study.goodness, study.uncorrected))
    if study.tests is not None:
        tests = study.tests
        numbers = (("q₀", tests.q0), ("p₀", tests.p0), ("significance", tests.significance), ("μ̂", tests.mu_hat),
                   ("q̃μ at μ = 1", tests.qmu_tilde), ("CLs at μ = 1", tests.CLs_obs))  # fmt: skip
        tables.append(
            TableItem(
                "Test statistics of the binned projection, by pyhf",
                ("statistic", "value"),
                tuple((Cell(name), measured(float(f"{value:.3g}"))) for name, value in numbers),
                "Of the one observable in workspace.json, by asymptotic formulae: less sharp than the unbinned fit. "
                "μ = 1 is the signal as fitted. p₀ is local: theta and the observable were chosen on the same data.",
            )
        )
    items = tuple(figures[name] for name in ("observed",) if name in figures)
    return Section("Agreement with the observed events", figures=items, tables=tuple(tables))


def _goodness(goodness: GoodnessOfFit, uncorrected: GoodnessOfFit) -> TableItem:
    level = _LEVEL / len(goodness.observables)
    every = [("all together", goodness.p_value, uncorrected.p_value, _LEVEL)]
    every += [(name, value, uncorrected.observables[name], level) for name, value in goodness.observables.items()]
    rows = tuple(
        (Cell(name), measured(corrected), status(corrected >= limit), measured(alone))
        for name, corrected, alone, limit in every
    )
    origin = (
        "What the model gets wrong on held-out simulation is corrected for, so that the p-value is that of the data "
        f"against the simulation; the expectation is worth {goodness.reference:.0f} events. The last column is without "
        "the correction: where it is small and the first is not, more or longer training gives a better model."
        if goodness.corrected
        else "Faults of the model itself count as disagreement: it was not corrected by held-out simulation."
    )
    note = (
        f"Means of {goodness.features} smooth functions of the observables and their pairs against those expected. "
        f"{origin} Single observables are judged at 0.01 over their number."
    )
    return TableItem("Goodness of fit", ("observables", "p-value", "at 0.01", "model as learned"), rows, note)


def _cost(study: FitStudy) -> Section:
    fit = study.fit
    text = (
        f"The minimum took {fit.evaluations:.0f} evaluations of the likelihood with its gradient, {fit.seconds:.1f} s: "
        f"a search from many starts, MIGRAD, HESSE and MINOS. {len(fit.minima)} "
        f"{'minimum was' if len(fit.minima) == 1 else 'minima were'} found.",
    )
    rows = tuple(
        (Cell(str(number + 1)), measured(2.0 * (one.value - fit.minima[0].value)),
         *(rounded(float(value), p.error) for value, p in zip(one.phi, fit.parameters, strict=True)))
        for number, one in enumerate(fit.minima)
    )  # fmt: skip
    header = ("minimum", "2 ΔNLL", *(parameter.name for parameter in fit.parameters))
    note = "As the search found them, before MIGRAD."
    return Section("How it was found", text=text, tables=(TableItem("Minima of the likelihood", header, rows, note),))
