"""The report of an evaluation: what was found, in the order a referee would ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from castalia.apps.pixels.judging import SPECTRA, Compared, Judgement
from castalia.apps.pixels.results import goals_of
from castalia.metrics.floors import FlooredDistance
from castalia.metrics.pixels.impact import HIT_ERROR, PREDICTION_ERROR, TAIL
from castalia.metrics.pixels.shared import Measured
from castalia.reports.document import FigureItem, Headline, Report, Section, Verdict
from castalia.reports.tables import Cell, TableItem, measured

__all__ = ["page_of"]

_DISTANCES: Final = ("", "sampled", "truth against truth", "excess")
_IMPACT: Final = {
    "d0": ("core width of d0", 1000.0, "µm"),
    "z0": ("core width of z0", 1000.0, "µm"),
    "tail": (f"d0 beyond {TAIL:g} mm", 100.0, "%"),
    "wrong": ("tracks with a wrong hit", 100.0, "%"),
}


def page_of(judged: Judgement, events: int, figures: Mapping[str, FigureItem], provenance: Mapping[str, Any]) -> Report:
    """Put the report together.

    Args:
        judged: What was measured.
        events: Number of events.
        figures: Drawn figures by name.
        provenance: Where everything comes from.
    """
    goals = goals_of(judged)
    missed = tuple(goal.sentence for goal in goals if not goal.met)
    sections = (
        _occupancy(judged, figures),
        _shapes(judged, figures),
        _together(judged, figures),
        _whole(judged),
        _tracks(judged, figures),
        _method(),
    )
    return Report(
        title="Background in a pixel detector",
        subtitle=f"{events} events that the training did not learn from, and one sampled for each.",
        verdict=Verdict(not missed, missed, ("All three goals are reached.", "Not all three goals are reached.")),
        sections=sections,
        provenance=provenance,
        headlines=tuple(
            Headline(
                goal.name,
                measured(goal.value, goal.error, goal.unit),
                floor=None if goal.floor is None else measured(goal.floor, None, goal.unit),
                goal=f"≤ {goal.most:g} {goal.unit}",
                met=goal.met,
            )
            for goal in goals
        ),
    )


def _take(figures: Mapping[str, FigureItem], *kinds: str) -> tuple[FigureItem, ...]:
    return tuple(figures[name] for kind in kinds for name in figures if name.partition("_")[0] == kind)


def _distance(name: str, one: FlooredDistance, scale: float = 1.0, unit: str = "") -> tuple[Cell, ...]:
    return (
        Cell(name),
        measured(scale * one.value, scale * one.error, unit),
        measured(scale * one.floor, scale * one.floor_error, unit),
        measured(scale * one.excess, scale * one.excess_error, unit),
    )


def _number(one: Measured | None, scale: float = 1.0, unit: str = "") -> Cell:
    return measured(None) if one is None else measured(scale * one.value, scale * one.error, unit)


def _compared(name: str, one: Compared, scale: float = 1.0, unit: str = "") -> tuple[Cell, ...]:
    return (Cell(name), *(_number(each, scale, unit) for each in (one.truth, one.made, one.difference, one.control)))


def _occupancy(judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    found = judged.occupancies
    rows = [
        (Cell("all pixels"), _number(found.total, 100.0, "%")),
        *(
            (Cell(f"pixels of layer {i + 1}"), measured(100.0 * value, 100.0 * error, "%"))
            for i, (value, error) in enumerate(zip(found.layers.value, found.layers.error, strict=True))
        ),
        (Cell("clusters"), _number(found.clusters, 100.0, "%")),
    ]
    names = {"sensors": "of the sensors", "phi": "of the azimuths, by layer", "z": "along the beam, by layer"}
    sizes = tuple(_distance(names[name], one, 100.0, "%") for name, one in found.sizes.items())
    return Section(
        "How many hits, and where?",
        figures=_take(figures, "occupancy", "counts", "directions", "profiles"),
        tables=(
            TableItem("Sampled over true numbers, less one", ("", "difference"), tuple(rows)),
            TableItem("Mean size of the relative difference", _DISTANCES, sizes),
        ),
    )


def _shapes(judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    rows = tuple(_distance(SPECTRA[name][0], one, 1.0, SPECTRA[name][1]) for name, one in judged.spectra.items())
    pairs = _distance("pairs of hits by distance", judged.pairs, 100.0, "%")
    return Section(
        "What do hits look like?",
        figures=_take(figures, "images", "spectra"),
        tables=(
            TableItem("Wasserstein distances", _DISTANCES, rows),
            TableItem(
                "Correlation of hits in a sensor, mean size of the relative difference", _DISTANCES, (pairs,),
                "Pairs of hits of one sensor by their distance, over pairs of hits of different events.",
            ),
        ),
    )  # fmt: skip


def _together(judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    names = {"all": "of the occupancy", "given": "of what the conditions do not explain"}
    matrices = tuple(
        (*_distance(names[name], one.difference), *_distance("", one.control)[1:2])
        for name, one in judged.relations.items()
    )
    header = ("", "truth", "sampled", "difference", "sensors shuffled")
    rows = (
        *(_compared(f"mean rank correlation {names[name]}", one.mean) for name, one in judged.relations.items()),
        *(_compared(f"variance ratio {names[name]}", one.variance) for name, one in judged.relations.items()),
        _compared("excess of matched hits of the layers", judged.excess),
        _compared("AUC of events against shuffled ones", judged.auc),
    )
    note = (
        "Shuffled: the truth, every sensor of an event of its own; nothing can be shared there. Variance ratio: of the "
        "event's total over the sum of the sensors' variances, 1 where they are independent. The classifier sees hits, "
        "clusters and mean charge of every sensor without what the conditions explain; good events are told from their "
        "shuffled ones as easily as the truth is."
    )
    return Section(
        "Do the sensors of an event belong together?",
        figures=_take(figures, "correlations"),
        tables=(
            TableItem(
                "Rank correlations of all pairs of sensors, mean size of the difference from the truth",
                (*_DISTANCES, "sensors shuffled"),
                matrices,
            ),
            TableItem("What sensors share", header, rows, note),
        ),
    )


def _whole(judged: Judgement) -> Section:
    names = {"physics": "features of events", "images": "features of the sensor classifier"}
    rows = tuple(_distance(names[name], one) for name, one in judged.frechet.items())
    true, made = judged.named
    note = (
        f"The classifier names the sensor of {100.0 * true:.1f} % of the true and {100.0 * made:.1f} % of the sampled "
        "images (a guess: 2.5 %). The distance of few events is large for any two samples; look at the excess."
    )
    return Section(
        "Everything at once", tables=(TableItem("Fréchet distances, in squared spreads", _DISTANCES, rows, note),)
    )


def _tracks(judged: Judgement, figures: Mapping[str, FigureItem]) -> Section:
    header = ("", "true background", "sampled background", "difference", "no background")
    rows = tuple(_compared(_IMPACT[name][0], one, *_IMPACT[name][1:]) for name, one in judged.impact.items())
    text = (
        "Tracks of 0.5 to 3 GeV cross both layers of every event, each as if it were alone; the cluster nearest to "
        f"where it is predicted, within {PREDICTION_ERROR * 1000.0:g} µm, is taken for its hit. Its own is known to "
        f"{HIT_ERROR[0] * 1000.0:g} µm along u and {HIT_ERROR[1] * 1000.0:g} µm along v. A circle of known radius "
        "through both hits gives d0 and z0; there is no material.",
    )
    return Section(
        "What does it do to tracks?",
        text=text,
        figures=_take(figures, "impact"),
        tables=(TableItem("Impact parameters under background", header, rows),),
    )


def _method() -> Section:
    return Section(
        "How it was measured",
        text=(
            "Truth against truth: random halves of the true events with equal conditions, twenty times; the sampled "
            "number is that of half of the sampled events against the other half of the true ones. The excess is the "
            "difference. Errors are those of whole events.",
            "The goals are aims of this program, not a gate: a model that misses them may be good enough for your use.",
        ),
    )
