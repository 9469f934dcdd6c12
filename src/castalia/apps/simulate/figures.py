"""The figures of an evaluation: the paper's Figures 1 to 6, with ratio panels and the rival beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.judging import Judgement, ProfilePair
from castalia.apps.simulate.model import ResponseModel
from castalia.apps.simulate.profiles import Panel, panels_of
from castalia.apps.simulate.results import MASS_WINDOW, Systems
from castalia.metrics.moments import Moments
from castalia.plots.correlation import correlation_figure
from castalia.plots.efficiency import EfficiencyPanel, efficiency_grid
from castalia.plots.export import Figure, save
from castalia.plots.history import history_figure
from castalia.plots.ratio import RatioPanel, Sample, ratio_grid, ratio_histogram
from castalia.plots.resolution import ProfilePanel, WidthCurve, resolution_grid
from castalia.plots.response import response_edges, response_figure
from castalia.reports.document import FigureItem
from castalia.runs.validation import VALIDATION_EVENTS

__all__ = ["draw_figures"]

NAMES = ("Target", "Model", "Parametric smearing")
SYMBOLS = {"et": r"$E_\mathrm{T}$", "pt": r"$p_\mathrm{T}$", "eta": r"$\eta$", "phi": r"$\phi$", "mu": r"$\mu$"}
WORDS = {  # caption, and the same for those who do not see the figure
    "history": (
        "Course of the training: mean Wasserstein distance and loss after each epoch; the dotted line marks the epoch "
        "that was kept.",
        "Loss and mean Wasserstein distance against epoch",
    ),
    "resolution": (
        "Core widths against the truth, objects together. Bars and bands are statistical; the band in the ratio panels "
        "is the target's. The outer bins hold what lies beyond them.",
        "Resolution profiles with ratio panels",
    ),
    "reconstructed": (
        "Reconstructed quantities, all objects together.",
        "Distributions of reconstructed quantities with ratio panels",
    ),
    "response": ("Responses, their cores.", "Distributions of the responses on a linear scale"),
    "response_tails": ("Responses, their tails.", "Distributions of the responses on a logarithmic scale"),
    "mass": (
        "Invariant mass of the photon pair, with under- and overflow in the outer bins.",
        "Diphoton mass with ratio panel",
    ),
    "pt": ("Transverse momentum of the photon pair.", "Diphoton transverse momentum with ratio panel"),
    "efficiency": (
        "Efficiency, predicted and counted; bars and bands are the errors of the counted fraction.",
        "Efficiency against each condition with ratio panels",
    ),
    "correlation": ("Correlations of the pulls.", "Correlation matrices of target and model, and their difference"),
}
Floats = NDArray[np.float64]


def draw_figures(
    folder: Path,
    model: ResponseModel,
    events: JudgedEvents,
    judged: Judgement,
    rival: Judgement,
    systems: Systems | None,
) -> dict[str, FigureItem]:
    """Draw and save every figure that applies.

    Returns:
        Items for the report, by name.
    """
    samples = (events.target, judged.generated, rival.generated)
    panels = panels_of(events.features)
    figures: dict[str, Figure] = {}
    history = _history(model, judged)
    if history is not None:
        figures["history"] = history
    if judged.pairs:
        figures["resolution"] = _resolutions(judged, rival)
    figures["reconstructed"] = ratio_grid(_reconstructed(events, panels, samples))
    responses = _responses(events, panels, samples)
    figures["response"] = response_figure(responses, log=False)
    figures["response_tails"] = response_figure(responses, log=True)
    if systems is not None:
        figures["mass"], figures["pt"] = ratio_histogram(_mass(systems)), ratio_histogram(_pt(systems))
    if any(check.binned for check in judged.efficiencies):
        figures["efficiency"] = _efficiencies(events, judged)
    if len(events.names) > 1:
        figures["correlation"] = _correlations(events, judged)
    return {name: FigureItem(save(figure, folder, name)[0], *WORDS[name]) for name, figure in figures.items()}


def _correlations(events: JudgedEvents, judged: Judgement) -> Figure:
    labels = [_label(v.group, v.object_index) for v in events.features.layout.target]
    mine, true = judged.correlation, judged.true_correlation
    error = np.hypot(mine.error, true.error)
    return correlation_figure(labels, true.value, mine.value, error=error, names=("Target", "Model"))


def _efficiencies(events: JudgedEvents, judged: Judgement) -> Figure:
    panels = []
    for variable in events.features.layout.condition:
        checks = [check for check in judged.efficiencies if check.variable == variable.name]
        if checks:
            numbers = np.array([(check.counted, check.error, check.predicted) for check in checks])
            edges = np.array([*(check.low for check in checks), checks[-1].high])
            label = _label(variable.group, variable.object_index)
            panels.append(EfficiencyPanel(label, variable.unit, edges, *numbers.T))
    return efficiency_grid(panels)


def _history(model: ResponseModel, judged: Judgement) -> Figure | None:
    path = model.folder.history
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    if not rows:
        return None
    validation = np.array([row["validation"].get("loss", np.nan) if row["validation"] else np.nan for row in rows])
    distance = np.array([(row.get("metrics") or {}).get("mean_wasserstein", np.nan) for row in rows], dtype=float)
    train = np.array([sum(row["train"].values()) for row in rows])
    results = model.folder.record.results
    best, events = results.get("best_epoch"), results.get("validation_events")
    return history_figure(
        np.array([row["epoch"] for row in rows]),
        train,
        validation,
        distance,
        floor=_validation_floor(judged, min(events, VALIDATION_EVENTS)) if isinstance(events, int) else None,
        best_epoch=int(best) if isinstance(best, int | float) else None,
    )


def _validation_floor(judged: Judgement, events: int) -> tuple[float, float]:
    """Return the floor at the size of the validation sample, and the spread of a single distance around it.

    A Wasserstein distance between samples of one distribution falls with the square root of their size.
    """
    distance = judged.wasserstein
    scale = float(np.sqrt(distance.events / events))
    return distance.floor * scale, distance.floor_spread * scale


def _resolutions(judged: Judgement, rival: Judgement) -> Figure:
    rows: dict[str, list[ProfilePanel]] = {}
    for mine, other in zip(judged.pairs, rival.pairs, strict=True):
        rows.setdefault(mine.panel.name, []).append(_profile(mine, other))
    return resolution_grid(list(rows.values()))


def _profile(mine: ProfilePair, other: ProfilePair) -> ProfilePanel:
    return ProfilePanel(
        response=_label(mine.panel.name),
        response_unit=mine.panel.unit,
        truth=_label(mine.axis.name),
        truth_unit=mine.axis.unit,
        edges=mine.axis.edges,
        target=WidthCurve(NAMES[0], mine.true.width, mine.true.error),
        generated=(
            WidthCurve(NAMES[1], mine.generated.width, mine.generated.error),
            WidthCurve(NAMES[2], other.generated.width, other.generated.error),
        ),
    )


def _reconstructed(events: JudgedEvents, panels: tuple[Panel, ...], samples: tuple[Floats, ...]) -> list[RatioPanel]:
    values = [events.features.reconstructed(events.reference, sample) for sample in samples]
    result = []
    for panel in panels:
        columns = [sample[:, panel.columns].ravel() for sample in values]
        low, high = np.quantile(columns[0], [0.001, 0.995])
        result.append(
            _ratio(columns, np.linspace(low, high, 41), f"Reconstructed {_label(panel.name)}", panel.unit, True)
        )
    return result


def _responses(events: JudgedEvents, panels: tuple[Panel, ...], samples: tuple[Floats, ...]) -> list[RatioPanel]:
    result = []
    for panel in panels:
        columns = [sample[:, panel.columns].ravel() for sample in samples]
        derived = events.features.target[panel.name].reference is not None
        label = rf"$\Delta${_label(panel.name)}" if derived else _label(panel.name)
        result.append(_ratio(columns, response_edges(columns[0]), label, panel.unit, False))
    return result


def _ratio(columns: list[Floats], edges: Floats, label: str, unit: str, fold: bool) -> RatioPanel:
    named = [Sample(name, values) for name, values in zip(NAMES, columns, strict=True)]
    return RatioPanel(named[0], tuple(named[1:]), edges, label, unit, fold=fold)


def _mass(systems: Systems) -> RatioPanel:
    named = [Sample(name, system.mass) for name, system in zip(NAMES, systems, strict=True)]
    notes = tuple(_note(name, system.moments()[0]) for name, system in zip(NAMES, systems, strict=True))
    return RatioPanel(
        named[0], tuple(named[1:]), np.linspace(*MASS_WINDOW, 41), r"$m_{\gamma\gamma}$", "GeV", fold=True, notes=notes
    )


def _pt(systems: Systems) -> RatioPanel:
    named = [Sample(name, system.pt) for name, system in zip(NAMES, systems, strict=True)]
    notes = tuple(_note(name, system.moments()[1]) for name, system in zip(NAMES, systems, strict=True))
    return RatioPanel(
        named[0],
        tuple(named[1:]),
        np.linspace(0, 400, 41),
        r"$p_\mathrm{T}^{\gamma\gamma}$",
        "GeV",
        fold=True,
        notes=notes,
    )


def _note(name: str, moments: Moments) -> str:
    return f"{name}: mean {moments.mean:.3f}, SD {moments.sd:.3f} GeV"


def _label(name: str, index: int | None = None) -> str:
    symbol = SYMBOLS.get(name, name)
    return symbol if index is None else f"{symbol} {index + 1}"
