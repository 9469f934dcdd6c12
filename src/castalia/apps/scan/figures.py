"""The figures of a fit: contours, profiles, observed events on the fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from castalia.apps.scan.expected import ExpectedPart
from castalia.apps.scan.intervals import Contour as FoundContour
from castalia.apps.scan.intervals import Profile
from castalia.apps.scan.results import CONTOUR_LEVELS, FitStudy
from castalia.data.layout import Variable
from castalia.plots.contour import Contour, ContourPanel, contour_grid
from castalia.plots.export import Figure, save
from castalia.plots.observed import ModelPart, ObservedPanel, observed_grid
from castalia.plots.profile import ProfileCurve, profile_grid
from castalia.plots.response import equal_edges
from castalia.plots.style import plain
from castalia.reports.document import FigureItem

__all__ = ["draw_fit", "observed_panels"]

Floats = NDArray[np.float64]

_BINS = (8, 25)  # fewest and most
_EVENTS_PER_BIN = 30.0
_OUTSIDE = 0.01  # of the events, on either side of the axis
_FEWEST = 5.0  # expected events of a bin that counts for chi-squared, so that it is nearly a sum of normal pulls
_WORDS = {  # caption, and the same for those who do not see the figure
    "contours": (
        "Contours of the profile likelihood, all other parameters fitted again at each point. Open circles are fits "
        "with the members of the ensemble, where there is one: their spread is the model's own uncertainty. Weighted "
        "events: the levels are scaled to the sandwich covariance.",
        "Contours of pairs of parameters at 68 and 95 per cent",
    ),
    "profiles": (
        "Profiles of the likelihood; the dotted lines are one and two standard deviations where it is Gaussian.",
        "Twice the negative log-likelihood above its minimum against each parameter",
    ),
    "observed": (
        "Observed events and the fitted model, the central 98 % of both. The model is shown as it was learned, "
        "without the correction that the goodness of fit makes. The band is the statistical error of the generated "
        "events; pulls are (observed − model) / error. χ² counts the bins with five expected events or more.",
        "Distributions of the observables with ratio and pull panels",
    ),
}


def draw_fit(
    folder: Path, study: FitStudy, variables: Sequence[Variable], observed: Floats, weights: Floats | None
) -> dict[str, FigureItem]:
    """Draw and save every figure that applies.

    Args:
        folder: Where to write.
        study: The fit.
        variables: The observables, in the order of the columns of ``observed``.
        observed: Observed events, shape ``(events, observables)``.
        weights: Their weights, shape ``(events,)``; ``None`` for ones.

    Returns:
        Items for the report, by name; none without convergence.
    """
    figures: dict[str, Figure] = {}
    if study.contours:
        figures["contours"] = contour_grid(_contours(study))
    if study.profiles:
        figures["profiles"] = profile_grid([_profile(study, one) for one in study.profiles])
    if study.expected:
        figures["observed"] = observed_grid(observed_panels(variables, observed, weights, study.expected))
    return {name: FigureItem(save(figure, folder, name)[0], *_WORDS[name]) for name, figure in figures.items()}


def observed_panels(
    variables: Sequence[Variable], observed: Floats, weights: Floats | None, parts: Sequence[ExpectedPart]
) -> list[ObservedPanel]:
    """Count observed and expected events of each observable in equal bins.

    Args:
        variables: The observables.
        observed: Observed events, shape ``(events, observables)``.
        weights: Their weights, shape ``(events,)``; ``None`` for ones.
        parts: Components of the model, from the bottom up.
    """
    weight = np.ones(len(observed)) if weights is None else weights
    bins = int(np.clip(weight.sum() / _EVENTS_PER_BIN, *_BINS))
    panels = []
    for column, variable in enumerate(variables):
        values = observed[:, column]
        edges = _edges(values, [part.events[:, column] for part in parts], bins)
        counted = np.histogram(values, edges, weights=weight)[0]
        error = np.sqrt(np.histogram(values, edges, weights=np.square(weight))[0])
        shown = tuple(_part(part, column, edges) for part in parts)
        panel = ObservedPanel(plain(variable.name), variable.unit, edges, counted, error, shown)
        pulls = panel.pulls[panel.expected >= _FEWEST]
        panels.append(replace(panel, note=f"χ² / bins = {np.sum(np.square(pulls)):.0f} / {len(pulls)}"))
    return panels


def _edges(observed: Floats, generated: Sequence[Floats], bins: int) -> Floats:
    """Return equal bins for the central 98 % of what was observed and of each part of the model."""
    ends = np.array([np.quantile(values, [_OUTSIDE, 1.0 - _OUTSIDE]) for values in (observed, *generated)])
    return equal_edges(float(ends[:, 0].min()), float(ends[:, 1].max()), bins)


def _part(part: ExpectedPart, column: int, edges: Floats) -> ModelPart:
    counts = np.histogram(part.events[:, column], edges)[0].astype(np.float64)
    scale = part.expected / len(part.events)
    return ModelPart(part.label, scale * counts, scale * np.sqrt(counts))


def _contours(study: FitStudy) -> list[ContourPanel]:
    names = [parameter.name for parameter in study.fit.parameters]
    panels = []
    for pair in study.contours:
        places = [names.index(name) for name in pair[0].names]
        chosen = [study.fit.parameters[place] for place in places]
        known = all(parameter.name in study.truth for parameter in chosen)
        panels.append(
            ContourPanel(
                names=(plain(chosen[0].name), plain(chosen[1].name)),
                units=(chosen[0].unit, chosen[1].unit),
                best=study.fit.fitted.phi[places],
                contours=tuple(
                    Contour(round(level, 2), _smooth(one)) for level, one in zip(CONTOUR_LEVELS, pair, strict=True)
                ),
                truth=np.array([study.truth[parameter.name] for parameter in chosen]) if known else None,
                members=study.fit.members[:, places] if len(study.fit.members) else None,
            )
        )
    return panels


def _smooth(found: FoundContour) -> Floats:
    """Return a periodic spline through the points that were found, which are even in angle; they alone where cut."""
    if found.cut.any() or np.isnan(found.points).any():
        return found.points[:-1][np.isfinite(found.points[:-1]).all(axis=1)]
    spline = CubicSpline(np.arange(len(found.points)), found.points, bc_type="periodic")
    smooth: Floats = spline(np.linspace(0.0, len(found.points) - 1.0, 200, endpoint=False))
    return smooth


def _profile(study: FitStudy, profile: Profile) -> ProfileCurve:
    parameter = next(one for one in study.fit.parameters if one.name == profile.name)
    # The square root of the rise is nearly linear in the parameter, so that straight lines in it are a smooth curve.
    root = np.sqrt(np.clip(profile.rise, 0.0, None)) * np.sign(profile.values - parameter.value)
    values = np.linspace(profile.values[0], profile.values[-1], 201)
    ends = [np.nan if end is None else parameter.value + end for end in (parameter.minos_low, parameter.minos_high)]
    return ProfileCurve(
        name=plain(parameter.name),
        unit=parameter.unit,
        values=values,
        rise=np.square(np.interp(values, profile.values, root)),
        best=parameter.value,
        interval=(ends[0], ends[1]),
        threshold=study.thresholds.get(parameter.name),
        truth=study.truth.get(parameter.name),
    )
