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
_SHOWN: Final = (0.1, 0.5, 0.9)  # quantiles, of the width of a posterior, at which single events are shown
_PANELS: Final = 6  # of each of these events
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
        "Posteriors of pseudorapidities; the line is the truth. The first column is the particle with the widest "
        "posteriors, and the events are at the 10, 50 and 90 % quantile of that width. A neutrino may have two "
        "solutions.",
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
    "masses": (
        "Mass of each sum of particles, one draw for each event: as it is drawn, of the drawn four-momentum (where "
        "that is not space-like), and of the sum of its drawn daughters. In coordinates of the decays all three agree.",
        "Distributions of the masses of sums with ratio panels",
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
        figures["masses"] = ratio_grid(list(_masses(events, draws)), columns=2)
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


def _masses(events: JudgedEvents, draws: Draws) -> Iterator[RatioPanel]:
    tree = events.coordinates.tree
    made = tree.stated_four_vectors(draws.one)
    for composite, daughters in tree.composites.items():
        stated, true = (_kinematics(events, numbers, composite)["mass"] for numbers in (draws.one, events.truth))
        samples = (
            Sample("Drawn mass", stated),
            Sample(r"$\sqrt{E^2 - p^2}$", _mass_of(made[composite])),
            Sample("Daughters", _mass_of(np.sum([made[one] for one in daughters], axis=0))),
        )
        low, high = np.quantile(true, [0.01, 0.97])
        edges = np.linspace(low, high, _BINS + 1)
        yield RatioPanel(Sample("Truth", true), samples, edges, rf"$m$ of {plain(composite)}", "GeV", fold=True)


def _mass_of(momentum: Floats) -> Floats:
    """Return the masses of four-momenta (px, py, pz, E) that are not space-like."""
    square = np.square(momentum[:, 3]) - np.square(momentum[:, :3]).sum(axis=1)
    return np.asarray(np.sqrt(square[square >= 0.0]))


def _posteriors(events: JudgedEvents, draws: Draws) -> Figure:
    """Show the particle with the widest posteriors first, in events where they are narrow, usual and wide."""
    leaves = events.coordinates.tree.leaves
    made = {leaf: _kinematics(events, draws.many, leaf)["eta"] for leaf in leaves}
    widths = {leaf: values.std(axis=1) for leaf, values in made.items()}
    widest = max(leaves, key=lambda leaf: float(widths[leaf].mean()))
    shown = (widest, *(leaf for leaf in leaves if leaf != widest))[:_PANELS]
    chosen = np.argsort(widths[widest])[np.round(np.multiply(_SHOWN, len(widths[widest]) - 1)).astype(int)]
    true = {leaf: _kinematics(events, events.truth[chosen], leaf)["eta"] for leaf in shown}
    rows = [
        [
            PosteriorPanel(rf"$\eta$ of {plain(leaf)}", "", (Sample("Posterior", made[leaf][event]),), true[leaf][row])
            for leaf in shown
        ]
        for row, event in enumerate(chosen)
    ]
    return posterior_grid(rows, [f"Event {event + 1}" for event in chosen])


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
