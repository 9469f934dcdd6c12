"""How faithful a sampler is to a known diphoton response: the measures of the fidelity benchmark, with their errors.

The test conditions are fixed: generated and true responses are drawn for the same events, so that errors count draws.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic_width import PartialMoments, analytic_core_width
from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.judging import log_density
from castalia.apps.simulate.profiles import Axis, Panel, axes_of, panels_of
from castalia.apps.simulate.results import diphoton_system
from castalia.apps.simulate.truth import AnalyticTruth
from castalia.estimators.arrays import events_from_array
from castalia.estimators.base import Density, Sampler
from castalia.metrics.correlation import correlation_matrix
from castalia.metrics.density import exact_auc, kl_per_event
from castalia.metrics.floors import floored_mean_wasserstein
from castalia.metrics.resolution import resolution_profiles
from castalia.metrics.width_ratio import WidthCheck, largest_discrepancy
from castalia.physics.constants import HIGGS_MASS
from castalia.rng import Stream
from castalia.runs.validation import draw
from diphoton_sample import TruthModel

__all__ = ["Effort", "measure"]

Floats = NDArray[np.float64]

TRUTH_SAMPLES = 20  # 190 pairs behind a floor
TAIL = 10.0  # GeV from the Higgs boson's mass


@dataclass(frozen=True)
class Effort:
    """How much is drawn.

    Attributes:
        replicas: Generated samples compared with every truth sample.
        oversampled: Test events of which many responses are drawn, for widths, correlations and tails.
        draws: Responses drawn of each.
        width_error: Largest relative error of a bin's width that is judged. The few draws of a rare bin would let even
            the truth miss a goal of three such errors; an asymmetric core needs seven times the draws of a normal one.
    """

    replicas: int
    oversampled: int
    draws: int
    width_error: float


def measure(sampler: Sampler, density: Density | None, events: JudgedEvents, effort: Effort) -> dict[str, Any]:
    """Measure everything.

    Args:
        sampler: The model.
        density: The same model, or None where model or truth have no density.
        events: Test events inside the model's support.
        effort: How much is drawn.
    """
    stream, given = Stream(events.seed, "fidelity draws"), events_from_array(events.condition)
    replicas = [draw(sampler, given, stream.at(i)) for i in range(effort.replicas)]
    distance = floored_mean_wasserstein(
        events.target, replicas, events.scales, redraw=events.redraw, repeats=TRUTH_SAMPLES
    )
    row: dict[str, Any] = {} if density is None else _densities(density, events, replicas[0])
    del replicas
    row["wasserstein"] = asdict(distance)
    row["excess"] = {"value": distance.excess / distance.floor, "error": distance.excess_error / distance.floor}
    some = _first(events, effort.oversampled)
    drawn = draw(sampler, events_from_array(some.condition), stream.at(effort.replicas), effort.draws)
    row["width"] = _widths(some, drawn, effort.width_error)
    row["correlation"] = _correlations(some, drawn)
    row["tail"] = _tails(some, drawn, stream.at(effort.replicas + 1))
    return row


def _densities(density: Density, events: JudgedEvents, generated: Floats) -> dict[str, Any]:
    at_truth = log_density(density, events, events.target), events.true_log_density(events.target)
    at_generated = log_density(density, events, generated), events.true_log_density(generated)
    divergence = kl_per_event(at_truth[1], at_truth[0])
    auc = exact_auc(at_truth[0] - at_truth[1], at_generated[0] - at_generated[1], paired=True)
    return {"kl": asdict(divergence), "exact_auc": {"value": auc.value, "error": auc.error}}


def _first(events: JudgedEvents, count: int) -> JudgedEvents:
    return replace(
        events,
        condition=events.condition[:count],
        target=events.target[:count],
        reference=events.reference[:count],
    )


def _truth(events: JudgedEvents) -> AnalyticTruth:
    if events.truth is None:
        raise ValueError("the events' truth is not known, so nothing is exact")
    return events.truth


def _widths(events: JudgedEvents, drawn: Floats, largest_error: float) -> dict[str, Any]:
    """Compare the core widths with the analytic ones in the paper's bins of ET, η and μ, both photons together."""
    truth = _truth(events)
    widths = truth.widths(events.condition)
    checks: list[WidthCheck] = []
    for panel in panels_of(events.features):
        # The response's own order is (ET, η, φ) of the first photon, then of the second; both have the same shapes.
        observable = int(np.flatnonzero(truth.target_order == panel.columns[0])[0]) % 3
        moments = PartialMoments(truth.response.pull_shapes()[observable])
        for axis in axes_of(events.features, events.condition, len(panel.columns)):
            checks += _bins(axis, panel, events, widths, drawn, moments)
    every = largest_discrepancy(checks)
    judged = largest_discrepancy([check for check in checks if check.error <= largest_error])
    if judged.largest is None:
        raise ValueError(f"no bin's width is known to {largest_error}; draw more")
    return {
        "value": judged.largest.deviation,
        "error": judged.largest.error,
        "where": f"{judged.largest.target}, {judged.largest.where}",
        "bins": judged.bins,
        "chi2": judged.chi2,
        "all": {"bins": every.bins, "chi2": every.chi2, "draws_of_rarest": min(check.events for check in checks)},
    }


def _bins(
    axis: Axis, panel: Panel, events: JudgedEvents, widths: Floats, drawn: Floats, moments: PartialMoments
) -> list[WidthCheck]:
    draws = len(drawn) // len(events)
    # The outer bins are open: nothing goes unjudged.
    inside = np.clip(events.condition[:, list(axis.columns)], axis.edges[0], axis.edges[-1])
    bin_of = np.minimum(np.searchsorted(axis.edges, inside, side="right") - 1, len(axis.edges) - 2)
    responses = drawn[:, list(panel.columns)]
    (profile,) = resolution_profiles(
        np.repeat(inside, draws, axis=0).T.ravel(),
        responses.T.ravel(),
        axis.edges,
        # The photons of one draw may be correlated; draws are independent, because the conditions are fixed.
        group=np.tile(np.arange(len(drawn)), len(panel.columns)),
    )
    bound = float(events.bound[panel.columns[0]])
    checks = []
    for number, (low, high) in enumerate(zip(axis.edges[:-1], axis.edges[1:], strict=True)):
        here = widths[:, list(panel.columns)][bin_of == number]
        exact = analytic_core_width(moments, here, bound) if len(here) else np.nan
        ratio, error = profile.width[number] / exact, profile.error[number] / exact
        where = f"{axis.name} in [{low:g}, {high:g}) {axis.unit}".rstrip()
        checks.append(WidthCheck(panel.name, where, float(ratio), float(error), int(profile.events[number]), True))
    return checks


def _correlations(events: JudgedEvents, drawn: Floats) -> dict[str, Any]:
    """Compare the pulls' correlations with the exact ones: rho between the photons' equal observables, 0 otherwise."""
    truth, draws = _truth(events), len(drawn) // len(events)
    found = correlation_matrix(drawn / np.repeat(truth.widths(events.condition), draws, axis=0))
    exact, rho = np.eye(len(found.value)), truth.response.rho
    first, second = truth.target_order[:3], truth.target_order[3:]
    exact[first, second] = exact[second, first] = rho
    far = np.abs(found.value - exact)
    i, j = np.unravel_index(int(np.argmax(far)), far.shape)
    return {
        "value": float(far[i, j]),
        "error": float(found.error[i, j]),
        "between": [events.names[i], events.names[j]],
        "photons": [float(value) for value in found.value[first, second]],
        "draws": len(drawn),
    }


def _tails(events: JudgedEvents, drawn: Floats, rng: np.random.Generator) -> dict[str, Any]:
    """Compare how many photon pairs have a mass far from the Higgs boson's with the truth, drawn as often."""
    draws = len(drawn) // len(events)
    true_responses = draw(TruthModel(events), events_from_array(events.condition), rng, draws)
    repeated = replace(events, reference=np.repeat(events.reference, draws, axis=0))
    counts = []
    for responses in (drawn, true_responses):
        far = np.abs(diphoton_system(repeated, responses).mass - HIGGS_MASS) > TAIL
        counts.append(far.reshape(-1, draws).sum(axis=1).astype(np.float64))
    generated, true = counts
    ratio = float(generated.sum() / true.sum())
    # The two counts of an event share its probability: the error follows from what is left between them.
    error = float(np.sqrt(np.square(generated - ratio * true).sum()) / true.sum())
    return {"value": abs(ratio - 1.0), "error": error, "ratio": ratio, "true_fraction": float(true.sum() / len(drawn))}
