"""The figures of an evaluation: spectra with ratio panels, posteriors of single events, calibration, migrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.judging import Draws, JudgedEvents, Judgement
from castalia.metrics.unfolded import migration
from castalia.physics.four_vectors import from_cartesian
from castalia.plots.calibration_overview import CoverageRow, RankPanel, coverage_overview, rank_overview
from castalia.plots.corner import corner_figure
from castalia.plots.export import Figure, save
from castalia.plots.migration import migration_figure
from castalia.plots.posterior import PosteriorPanel, posterior_grid
from castalia.plots.ratio import RatioPanel, Sample, ratio_grid
from castalia.plots.style import plain
from castalia.reports.document import FigureItem

__all__ = ["draw_figures"]

Floats = NDArray[np.float64]

_QUANTITIES: Final = {"mass": (r"$m$", "GeV"), "pt": (r"$p_\mathrm{T}$", "GeV"), "eta": (r"$\eta$", "")}
_COMPONENTS: Final = {"px": r"$p_x$", "py": r"$p_y$", "pz": r"$p_z$", "log_energy": r"$\log E$", "mass": r"$m$"}
_EVENTS, _PANELS = 3, 6  # single events and panels of each whose posteriors are shown
_BINS, _MIGRATION_BINS = 40, 8
_NEAREST: Final = 1e-3  # distance from an object that is shown

WORDS: Final = {
    "spectra": (
        "One draw of the truth for each event beside the truth, for the sums of particles. Marginal distributions like "
        "these cannot tell whether the posterior knows the event.",
        "Distributions of masses, transverse momenta and pseudorapidities with ratio panels",
    ),
    "directions": (
        "How far each particle is from the nearest measured object, in pseudorapidity and azimuth: in the truth and in "
        "one draw for each event.",
        "Distributions of distances to the nearest measured object with ratio panels",
    ),
    "posteriors": (
        "Posteriors of the pseudorapidity of single events; the line is the truth. A neutrino may have two solutions.",
        "Histograms of the draws of single events with the truth as a line",
    ),
    "ranks": (
        "Calibration: the distribution of the truth's rank among the draws, less the uniform one. The band holds the "
        "largest deviation of 95 % of right posteriors.",
        "Deviations of the distribution of ranks from uniform for every number",
    ),
    "coverage": (
        "Coverage of central intervals of 68 % and 95 %, corrected for the number of draws.",
        "Coverage of central intervals for every number",
    ),
    "migration": (
        "Where the draws of each true bin are found, by the sum of all particles that has most of them.",
        "Migration matrix with purity and stability",
    ),
    "corner": ("Joint distributions of truth and draws.", "Corner plot of four numbers"),
}


def draw_figures(folder: Path, events: JudgedEvents, draws: Draws, judged: Judgement) -> dict[str, FigureItem]:
    """Draw and save every figure that applies.

    Returns:
        Items for the report, by name.
    """
    figures: dict[str, Figure] = {}
    tree = events.coordinates.tree
    if tree.composites:
        panels = [panel for name in tree.composites for panel in _spectra(events, draws, name)]
        figures["spectra"] = ratio_grid(panels, columns=3)
    if events.directions.eta.shape[1]:
        figures["directions"] = ratio_grid(list(_directions(events, draws)), columns=3)
    figures["posteriors"] = _posteriors(events, draws)
    figures["ranks"] = _ranks(events, judged)
    figures["coverage"] = _coverage(events, judged)
    if tree.composites:
        figures["migration"] = _migration(events, draws)
        figures["corner"] = _corner(events, draws)
    return {name: FigureItem(save(figure, folder, name)[0], *WORDS[name]) for name, figure in figures.items()}


def _kinematics(events: JudgedEvents, numbers: NDArray[np.floating], particle: str) -> dict[str, Floats]:
    """Return pt, pseudorapidity and mass of a particle, the mass as it stands among the numbers."""
    place = 5 * events.coordinates.tree.particles.index(particle)
    px, py, pz, _, mass = np.moveaxis(np.asarray(numbers[..., place : place + 5], dtype=np.float64), -1, 0)
    momentum = np.stack([px, py, pz, np.sqrt(px**2 + py**2 + pz**2)], axis=-1)
    pt, eta, _, _ = from_cartesian(momentum)
    return {"pt": pt, "eta": eta, "mass": mass}


def _spectra(events: JudgedEvents, draws: Draws, particle: str) -> Iterator[RatioPanel]:
    true, made = (_kinematics(events, numbers, particle) for numbers in (events.truth, draws.one))
    for name, (symbol, unit) in _QUANTITIES.items():
        low, high = np.quantile(true[name], [0.002, 0.995])
        samples = (Sample("Truth", true[name]), Sample("Posterior", made[name]))
        edges = np.linspace(low, high, _BINS + 1)
        yield RatioPanel(samples[0], samples[1:], edges, f"{symbol} of {plain(particle)}", unit, fold=True)


def _directions(events: JudgedEvents, draws: Draws) -> Iterator[RatioPanel]:
    true, made = (np.log10(np.maximum(events.distances(table), _NEAREST)) for table in (events.truth, draws.one))
    for place, leaf in enumerate(events.coordinates.tree.leaves):
        samples = (Sample("Truth", true[:, place]), Sample("Posterior", made[:, place]))
        edges = np.linspace(np.log10(_NEAREST), 1.0, _BINS + 1)
        yield RatioPanel(samples[0], samples[1:], edges, rf"$\log_{{10}} \Delta R$ of {plain(leaf)}", fold=True)


def _posteriors(events: JudgedEvents, draws: Draws) -> Figure:
    leaves = events.coordinates.tree.leaves[:_PANELS]
    rows = []
    for event in range(_EVENTS):
        panels = []
        for leaf in leaves:
            true = _kinematics(events, events.truth[event], leaf)["eta"]
            made = _kinematics(events, draws.many[event], leaf)["eta"]
            panels.append(PosteriorPanel(rf"$\eta$ of {plain(leaf)}", "", (Sample("Posterior", made),), float(true)))
        rows.append(panels)
    return posterior_grid(rows, [f"Event {event + 1}" for event in range(_EVENTS)])


def _ranks(events: JudgedEvents, judged: Judgement) -> Figure:
    names, panels = events.coordinates.continuous, []
    for particle in events.coordinates.tree.particles:
        own = [i for i, name in enumerate(names) if name.rpartition(f"{particle}_")[0] == "" and _of(name, particle)]
        labels = tuple(_COMPONENTS[_of(names[i], particle)] for i in own)
        if own:
            panels.append(RankPanel(plain(particle), labels, judged.ranks.curves[own]))
    return rank_overview(panels, judged.ranks.levels, judged.ranks.threshold)


def _of(name: str, particle: str) -> str:
    """Return which number of a particle a name stands for; empty where it is another particle's."""
    rest = name.removeprefix(f"{particle}_")
    return rest if rest != name and rest in _COMPONENTS else ""


def _coverage(events: JudgedEvents, judged: Judgement) -> Figure:
    rows = [CoverageRow(one.level, one.value, one.error) for one in judged.coverage]
    return coverage_overview([plain(name) for name in events.coordinates.continuous], rows)


def _migration(events: JudgedEvents, draws: Draws) -> Figure:
    """Take the mass of the composite of most leaves."""
    tree = events.coordinates.tree
    largest = max(tree.composites, key=lambda name: len(tree.leaves_of(name)))
    true, made = (_kinematics(events, numbers, largest)["mass"] for numbers in (events.truth, draws.one))
    edges = _round_edges(np.quantile(true, np.linspace(0.005, 0.98, _MIGRATION_BINS + 1)))
    found = migration(true, made, edges)
    return migration_figure(
        edges,
        found.content,
        (found.purity, found.purity_error),
        (found.stability, found.stability_error),
        label=rf"$m$ of {plain(largest)}",
        unit="GeV",
    )


def _round_edges(edges: Floats) -> Floats:
    """Round increasing edges to as few digits as keep them apart."""
    apart = np.unique(edges)
    digits = -int(np.floor(np.log10(np.diff(apart).min())))
    return np.unique(np.round(apart, digits))


def _corner(events: JudgedEvents, draws: Draws) -> Figure:
    """Show pt and mass of the two largest composites."""
    tree = events.coordinates.tree
    chosen = sorted(tree.composites, key=lambda name: -len(tree.leaves_of(name)))[:2]
    columns = [(particle, what) for particle in chosen for what in ("pt", "mass")]
    tables = [
        np.stack([_kinematics(events, numbers, particle)[what] for particle, what in columns], axis=1)
        for numbers in (events.truth, draws.one)
    ]
    labels = [f"{_QUANTITIES[what][0]} of {plain(particle)}" for particle, what in columns]
    return corner_figure(labels, ["GeV"] * len(columns), *tables, names=("Truth", "Posterior"))
