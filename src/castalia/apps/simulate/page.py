"""The report of an evaluation: what was found, in the order a referee would ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.stats import chi2 as chi2_distribution

from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.judging import Judgement
from castalia.apps.simulate.results import Systems
from castalia.metrics.efficiency import closure_chi2
from castalia.reports.document import FigureItem, Headline, Report, Section, Verdict
from castalia.reports.tables import Cell, TableItem, cell, measured

__all__ = ["page_of"]


def page_of(
    title: str,
    events: JudgedEvents,
    model: Judgement,
    rival: Judgement,
    systems: Systems | None,
    figures: Mapping[str, FigureItem],
    provenance: Mapping[str, Any],
) -> Report:
    """Put the report together.

    Args:
        title: Heading.
        events: The test events.
        model: What was measured of the model.
        rival: What was measured of parametric smearing.
        systems: Photon pairs of target, model and rival, where the events are photon pairs.
        figures: Drawn figures by name.
        provenance: Where everything comes from.
    """
    subtitle = (
        f"{len(events)} test events that the training never saw; parametric smearing fitted to the same events beside."
    )
    sections = [_summary(model, rival), _resolution(model, rival, figures)]
    if systems is not None:
        sections.append(_pair(systems, figures))
    if model.efficiencies:
        sections.append(_efficiency(model, figures))
    sections += [
        _distributions(figures),
        _correlation(model, rival, figures),
        _training(figures),
        _method(events, model),
    ]
    return Report(
        title=title,
        subtitle=subtitle,
        verdict=Verdict(model.gate.passed, model.gate.reasons),
        sections=tuple(section for section in sections if section.figures or section.tables or section.text),
        provenance=provenance,
        headlines=_headlines(model),
    )


def _headlines(model: Judgement) -> tuple[Headline, ...]:
    distance = model.wasserstein
    cards = [
        Headline(
            "Mean Wasserstein distance",
            measured(distance.value, distance.error),
            floor=measured(distance.floor, distance.floor_error),
        ),
        Headline(
            "Two-sample AUC",
            measured(model.auc.value, model.auc.error),
            floor=Cell("0.5"),
            goal="≤ 0.55",
            met=model.auc.value - 3 * model.auc.error <= 0.55,
        ),
    ]
    if model.divergence is not None:
        cards.insert(
            0,
            Headline(
                "KL per event", measured(model.divergence.value, model.divergence.error, "nat"), floor=Cell("0 nat")
            ),
        )
    whole = model.inclusive[-1]
    cards.append(
        Headline(
            "Pull width, generated over target",
            measured(whole.ratio, whole.error),
            floor=Cell("1"),
            goal="within 2 %",
            met=whole.deviation - 3 * whole.error <= 0.02,
        )
    )
    return tuple(cards)


def _summary(model: Judgement, rival: Judgement) -> Section:
    rows = []
    for name, judged in (("model", model), ("parametric smearing", rival)):
        kl = MISSING if judged.divergence is None else measured(judged.divergence.value, judged.divergence.error)
        exact = MISSING if judged.exact is None else measured(judged.exact.value, judged.exact.error)
        distance = judged.wasserstein
        rows.append(
            (
                Cell(name),
                kl,
                measured(distance.value, distance.error),
                measured(distance.floor, distance.floor_error),
                measured(distance.excess, distance.excess_error),
                measured(judged.auc.value, judged.auc.error),
                exact,
            )
        )
    header = (
        "sampler",
        "KL / event [nat]",
        "mean Wasserstein",
        "its floor",
        "excess",
        "two-sample AUC",
        "exact-ratio AUC",
    )
    note = (
        "The Wasserstein distance is averaged over the targets, each in units of its scale. The floor is truth against "
        "truth at the same size, the excess is value minus floor. The exact-ratio AUC is what the best possible "
        "classifier reaches; it and the KL divergence need an analytic truth."
    )
    return Section("Fidelity", tables=(TableItem("The model beside parametric smearing", header, tuple(rows), note),))


MISSING = Cell("–", numeric=True)


def _resolution(model: Judgement, rival: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    rows = tuple(
        (Cell(mine.target), measured(mine.ratio, mine.error), measured(other.ratio, other.error))
        for mine, other in zip(model.inclusive, rival.inclusive, strict=True)
    )
    shifts = tuple(
        (Cell(mine.target), measured(mine.shift, mine.error), measured(other.shift, other.error))
        for mine, other in zip(model.locations, rival.locations, strict=True)
    )
    worst = sorted(
        (check for pair in model.pairs for check in pair.checks if check.measured),
        key=lambda check: -check.deviation / check.error,
    )[:8]
    bins = tuple(
        (
            Cell(check.target),
            Cell(check.where),
            measured(check.ratio, check.error),
            Cell(f"{check.deviation / check.error:.1f}", check.deviation / check.error, numeric=True),
            cell(check.events),
        )
        for check in worst
    )
    return Section(
        "Resolutions",
        text=(
            "The resolution is the width of the core of the response: its standard deviation after clipping at three "
            "standard deviations until no event is removed.",
        ),
        figures=_take(figures, "resolution"),
        tables=(
            TableItem(
                "Width of the pulls, generated over target, all events",
                ("target", "model", "parametric smearing"),
                rows,
                "A pull is the response less its centre, over its width, at the event's conditions.",
            ),
            TableItem(
                "Mean pull, generated minus target, all events", ("target", "model", "parametric smearing"), shifts
            ),
            TableItem(
                "The bins that differ most, in units of their error",
                ("target", "bin", "generated / target", "|difference| / error", "target events"),
                bins,
            ),
        ),
    )


def _pair(systems: Systems, figures: Mapping[str, FigureItem]) -> Section:
    rows = []
    for name, system in zip(("target", "model", "parametric smearing"), systems, strict=True):
        mass, pt = system.moments()
        rows.append(
            (
                Cell(name),
                measured(mass.mean, mass.mean_error),
                measured(mass.sd, mass.sd_error),
                measured(mass.fraction, mass.fraction_error),
                measured(pt.mean, pt.mean_error),
                measured(pt.sd, pt.sd_error),
            )
        )
    header = ("sample", "m mean [GeV]", "m SD [GeV]", "fraction in window", "pT mean [GeV]", "pT SD [GeV]")
    note = "Mass in [120, 130) GeV, transverse momentum in [0, 400) GeV, as in the paper; all share their true events."
    return Section(
        "The photon pair",
        figures=_take(figures, "mass", "pt"),
        tables=(TableItem("Moments of the diphoton system", header, tuple(rows), note),),
    )


def _efficiency(model: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    whole = tuple(
        (measured(check.predicted), measured(check.counted, check.error), cell(check.events))
        for check in model.efficiencies
        if not check.binned
    )
    rows = tuple(
        (Cell(name), measured(chi2), cell(bins), measured(float(chi2_distribution.sf(chi2, bins))))
        for name, (chi2, bins) in closure_chi2(model.efficiencies).items()
    )
    note = "Predicted against counted events in bins of equal population; the errors are those of the prediction."
    return Section(
        "Efficiency",
        figures=_take(figures, "efficiency"),
        tables=(
            TableItem("Efficiency of all events", ("predicted", "counted", "events"), whole),
            TableItem("Closure in bins of the conditions", ("condition", "χ²", "bins", "p-value"), rows, note),
        ),
    )


def _distributions(figures: Mapping[str, FigureItem]) -> Section:
    names = [name for name in figures if name.startswith(("reconstructed", "response"))]
    return Section("Distributions", figures=_take(figures, *names))


def _correlation(model: Judgement, rival: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    rows = tuple(
        (
            Cell(mine.first),
            Cell(mine.second),
            measured(mine.target),
            measured(mine.generated),
            measured(mine.difference, mine.error),
            measured(other.difference, other.error),
        )
        for mine, other in zip(model.correlations, rival.correlations, strict=True)
    )
    header = ("target", "with", "target", "model", "model − target", "smearing − target")
    return Section(
        "Correlations",
        figures=_take(figures, "correlation"),
        tables=(TableItem("Correlations of the pulls", header, rows),) if rows else (),
    )


def _training(figures: Mapping[str, FigureItem]) -> Section:
    return Section("Training", figures=_take(figures, "history"))


def _method(events: JudgedEvents, model: Judgement) -> Section:
    text = [
        "Every distance stands beside its noise floor: two finite samples of one distribution are never at distance "
        "zero. The response is judged event by event; event weights play no role here.",
    ]
    if model.test is not None:
        power, control = model.test.power, model.test.control
        text.append(
            f"The two-sample classifier is fixed in advance and sees the conditions. On a planted width error of 3 % "
            f"it reaches an AUC of {power.value:.4f} ± {power.error:.4f} ({power.significance:.1f} σ), on truth "
            f"against truth {control.value:.4f} ± {control.error:.4f}."
        )
    if events.left_out:
        text.append(
            f"{events.left_out} test events lie outside the range the model can produce and are left out; the "
            "truth is renormalised accordingly."
        )
    return Section("How it was measured", text=tuple(text))


def _take(figures: Mapping[str, FigureItem], *names: str) -> tuple[FigureItem, ...]:
    return tuple(figures[name] for name in names if name in figures)
