"""The figures of an evaluation: ROC curves, what a cut gains, scores, reliability, a mass, importances, confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from castalia.apps.classify.judging import Contest, Floats, JudgedClasses, Judgement, Reliability
from castalia.metrics.importance import Importance
from castalia.metrics.mass_dependence import MassDependence
from castalia.metrics.roc import FEWEST_LEFT
from castalia.plots.class_scores import ScorePanel, score_figure
from castalia.plots.confusion import confusion_figure
from castalia.plots.cut_gain import GainLine, GainPanel, cut_gain_figure
from castalia.plots.export import Figure, save
from castalia.plots.importance import ImportanceBar, importance_figure
from castalia.plots.mass_profile import MassProfile, mass_profile_figure
from castalia.plots.reliability import ReliabilityLine, ReliabilityPanel, reliability_figure
from castalia.plots.roc import RocLine, roc_figure
from castalia.plots.style import plain
from castalia.reports.document import FigureItem

__all__ = ["draw_figures", "draw_gain", "draw_reliability", "draw_roc", "save_all"]

WORDS: Final = {
    "roc": (
        "Left: the ROC curve. Right: the rejection, one over the background efficiency, and its ratio. Bands hold 68 % "
        "of bootstrap replicas of the events.",
        "ROC curve, and background rejection against signal efficiency",
    ),
    "gain": (
        "What a cut on the score gains: signal efficiency over the root of the background efficiency, and, where "
        f"numbers of events were given, the expected significance. Where fewer than {FEWEST_LEFT} simulated background "
        "events are left the curve is thin, and no maximum is sought there.",
        "Significance improvement against signal efficiency",
    ),
    "scores": ("Distributions of the probability of each signal class.", "Histograms of scores by class"),
    "reliability": (
        "How often what was given a probability was of that class, in bins of equally many events, where all classes "
        "are equally frequent; below, how the stated probabilities are distributed.",
        "Counted fraction against stated probability",
    ),
    "mass": (
        "Background events: mean probability not to be background, and the fraction that a cut on it keeps, in bins of "
        "what the score shall not depend on. The line is the fraction kept of all.",
        "Mean score and kept fraction against a mass",
    ),
    "importance": (
        "What is lost without a feature. Exchanged between all events it tells nothing; exchanged within a class it "
        "keeps its own distribution, and only its relations to the other features are lost.",
        "Bars of the loss of AUC for each feature",
    ),
    "confusion": ("Where the events of each class are put.", "Confusion matrix"),
}


def draw_figures(
    folder: Path, events: JudgedClasses, probability: Floats, judged: Judgement, importance: Sequence[Importance]
) -> dict[str, FigureItem]:
    """Draw and save every figure that applies.

    Returns:
        Items for the report, by name.
    """
    names, label = tuple(plain(name) for name in events.classes), "Classifier"
    first = [one for one in judged.contests if one.background == events.classes[0]]
    figures: dict[str, Figure] = {}
    for one in judged.contests:
        figures["roc" if one is first[0] else f"roc_{_file(one)}"] = draw_roc({label: one})
    for one in first:
        figures["gain" if one is first[0] else f"gain_{_file(one)}"] = draw_gain({label: one})
    figures["scores"] = score_figure(
        [
            ScorePanel(f"Probability of {names[i]}", probability[:, i], events.label, events.weight, names)
            for i in range(1, len(names))
        ]
    )
    figures["reliability"] = draw_reliability({label: judged.reliabilities})
    if judged.mass is not None and events.mass is not None:
        figures["mass"] = _mass(judged.mass, plain(events.classes[0]), *events.mass[1:])
    if importance:
        figures["importance"] = importance_figure([_bar(one) for one in importance])
    if len(names) > 2:
        figures["confusion"] = confusion_figure(names, judged.confusion.share, judged.confusion.error)
    return save_all(folder, figures)


def save_all(folder: Path, figures: Mapping[str, Figure]) -> dict[str, FigureItem]:
    """Save figures, and return them as items with the words of their kind."""
    return {
        name: FigureItem(save(figure, folder, name)[0], *WORDS[name.partition("_")[0]])
        for name, figure in figures.items()
    }


def draw_roc(contests: Mapping[str, Contest]) -> Figure:
    """Draw the ROC curves of classifiers in the same contest, by their names."""
    lines = [
        RocLine(plain(name), one.curve.signal, one.curve.background, *one.curve.band) for name, one in contests.items()
    ]
    first = next(iter(contests.values()))
    return roc_figure(lines, plain(first.signal), plain(first.background))


def draw_gain(contests: Mapping[str, Contest]) -> Figure:
    """Draw what a cut on the score of classifiers in the same contest gains, by their names."""
    panels = [GainPanel("Significance improvement", tuple(_improvement(*item) for item in contests.items()), 1.0)]
    found = [one.significance for one in contests.values() if one.significance is not None]
    if len(found) == len(contests):
        lines = tuple(_significance(*item) for item in contests.items())
        panels.append(GainPanel(r"Expected significance [$\sigma$]", lines, found[0].uncut))
    return cut_gain_figure(panels, plain(next(iter(contests.values())).signal))


def draw_reliability(models: Mapping[str, Sequence[Reliability]]) -> Figure:
    """Draw the reliability of classifiers, one panel a class, by their names."""
    first = next(iter(models.values()))
    panels = []
    for place, one in enumerate(first):
        curves = {name: reliabilities[place].curve for name, reliabilities in models.items()}
        lines = tuple(
            ReliabilityLine(plain(name), found.edges, found.share, found.stated, found.counted, found.error)
            for name, found in curves.items()
        )
        panels.append(ReliabilityPanel(plain(one.name), lines))
    return reliability_figure(panels)


def _file(one: Contest) -> str:
    return f"{one.signal}_{one.background}".replace(" ", "_")


def _improvement(name: str, one: Contest) -> GainLine:
    curve, best = one.curve, one.curve.best_improvement()
    place = None if best is None else int(np.argmin(np.abs(curve.signal - best.signal)))
    return GainLine(
        plain(name), curve.signal, curve.improvement, *curve.improvement_band, curve.left >= FEWEST_LEFT, place
    )


def _significance(name: str, one: Contest) -> GainLine:
    curve, found = one.curve, one.significance
    nothing = np.full(curve.signal.shape, np.nan)
    value, low, high = (nothing, nothing, nothing) if found is None else (found.value, found.low, found.high)
    best = None if found is None else found.best
    return GainLine(plain(name), curve.signal, value, low, high, curve.left >= FEWEST_LEFT, best)


def _mass(found: MassDependence, background: str, name: str, unit: str) -> Figure:
    profile = MassProfile(
        background, found.edges, found.score, found.score_error, found.kept, found.kept_error, found.share
    )
    return mass_profile_figure([profile], plain(name), unit, "probability not to be background")


def _bar(one: Importance) -> ImportanceBar:
    total, relations = one.total, one.relations
    return ImportanceBar(plain(one.name), total.value, total.error, relations.value, relations.error)
