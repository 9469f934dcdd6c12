"""A sampler judged on test events: every distance beside its floor, every width and correlation with its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.profiles import Axis, Panel, axes_of, panels_of, profile
from castalia.estimators.arrays import batch_from_arrays, events_from_array, to_numpy
from castalia.estimators.base import Density, Estimator, Sampler
from castalia.metrics.auc import AucEstimate
from castalia.metrics.correlation import CorrelationCheck, CorrelationMatrix, correlation_checks, correlation_matrix
from castalia.metrics.density import Divergence, exact_auc, kl_per_event
from castalia.metrics.efficiency import EfficiencyCheck
from castalia.metrics.floors import FlooredDistance, floored_mean_wasserstein
from castalia.metrics.gate import Gate, judge
from castalia.metrics.location import LocationCheck, location_checks
from castalia.metrics.pulls import fitted_pull_scale
from castalia.metrics.resolution import ResolutionProfile
from castalia.metrics.two_sample import TwoSampleTest, conditional_auc, two_sample_test
from castalia.metrics.width_ratio import WidthCheck, inclusive_width_checks, width_checks
from castalia.rng import Stream
from castalia.runs.validation import draw

__all__ = ["Judgement", "ProfilePair", "Truths", "judge_sampler", "measure_truth"]

DRAWN_EVENTS = 2_000_000  # responses drawn in all for the averages: at 10⁵ test events, the full twenty replicas
MOST_REPLICAS = 20
PROFILE_REPLICAS = 5
TWO_SAMPLE_EVENTS = 200_000
FEW_EVENTS = 200_000  # up to which twenty truth redraws fit into memory easily; above, eight give 28 floor pairs
SCORING_CHUNK = 65_536


@dataclass(frozen=True)
class ProfilePair:
    """One panel of the resolution figure: a target's core width against a truth variable."""

    axis: Axis
    panel: Panel
    true: ResolutionProfile
    generated: ResolutionProfile
    checks: tuple[WidthCheck, ...]


@dataclass(frozen=True)
class Truths:
    """What is measured of the test events once, for every sampler that is judged on them.

    Attributes:
        location: Centre of each target at its event's conditions, shape ``(events, targets)``; zero where the truth is
            analytic, otherwise fitted.
        widths: Width each centred target is divided by to become a pull, same shape.
        correlation: Correlations of the true pulls.
        profiles: Core-width profiles of the true targets minus their centres, by (axis, panel).
    """

    location: NDArray[np.float64]
    widths: NDArray[np.float64]
    correlation: CorrelationMatrix
    profiles: tuple[tuple[Axis, Panel, ResolutionProfile], ...]

    def centred(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Subtract the centres from whole replicas of the events, one after the other, shape ``(rows, targets)``."""
        return target - np.tile(self.location, (len(target) // len(self.location), 1))

    def pulls(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn whole replicas of the events, one after the other, into pulls, shape ``(rows, targets)``."""
        return self.centred(target) / np.tile(self.widths, (len(target) // len(self.widths), 1))


@dataclass(frozen=True)
class Judgement:
    """What was measured of one sampler.

    Attributes:
        generated: One replica of generated targets, shape ``(events, targets)``.
        divergence: KL divergence to the analytic truth, or ``None`` where either density is unknown.
        exact: AUC of the exact log-ratio, likewise.
        wasserstein: Scaled mean Wasserstein distance with its floor.
        auc: Conditional two-sample AUC.
        test: The same with its power and control; ``None`` where they were not asked for again.
        pairs: Resolution profiles beside the truth's.
        inclusive: Ratios of the pull widths of all events.
        locations: Differences of the mean pulls of all events.
        correlation: Correlations of the generated pulls.
        true_correlation: Correlations of the true pulls.
        correlations: The same beside the truth's, pair by pair.
        efficiencies: Closure of the efficiency; empty where there is none.
        gate: The verdict.
    """

    generated: NDArray[np.float64]
    divergence: Divergence | None
    exact: AucEstimate | None
    wasserstein: FlooredDistance
    auc: AucEstimate
    test: TwoSampleTest | None
    pairs: tuple[ProfilePair, ...]
    inclusive: tuple[WidthCheck, ...]
    locations: tuple[LocationCheck, ...]
    correlation: CorrelationMatrix
    true_correlation: CorrelationMatrix
    correlations: tuple[CorrelationCheck, ...]
    efficiencies: tuple[EfficiencyCheck, ...]
    gate: Gate


def measure_truth(events: JudgedEvents) -> Truths:
    """Measure the truth's pulls, correlations and profiles.

    Where no analytic truth is known, centres and widths are fitted as functions of the conditions, and core widths are
    those of the targets minus their centres.
    """
    if events.truth is not None:
        location, widths = np.zeros_like(events.target), events.truth.widths(events.condition)
    else:
        location, widths = fitted_pull_scale(events.condition, events.target)
    centred = events.target - location
    panels = panels_of(events.features)
    axes = axes_of(events.features, events.condition, len(panels[0].columns))
    return Truths(
        location,
        widths,
        correlation_matrix(centred / widths),
        tuple((axis, panel, profile(axis, panel, events.condition, centred)) for panel in panels for axis in axes),
    )


def judge_sampler(
    name: str,
    estimator: Estimator,
    sampler: Sampler,
    events: JudgedEvents,
    truths: Truths,
    *,
    with_power: bool,
    efficiencies: Sequence[EfficiencyCheck] = (),
) -> Judgement:
    """Draw from a sampler and measure everything.

    Args:
        name: What the random streams of its draws are called after.
        estimator: The model; scored too where it is a ``Density``.
        sampler: The same model as a sampler.
        events: The test events.
        truths: What was measured of them.
        with_power: Measure the two-sample test's power and control as well.
        efficiencies: Closure of the efficiency that belongs to the response, for the verdict.
    """
    replicas = _draw_replicas(name, sampler, events)
    redraw = None if events.truth is None else events.redraw
    repeats = 20 if len(events) <= FEW_EVENTS or redraw is None else 8
    wasserstein = floored_mean_wasserstein(
        events.target, replicas, events.scales, redraw=redraw, repeats=repeats, seed=events.seed
    )
    test, auc = _two_sample(events, replicas[0], with_power)
    pooled = np.concatenate(replicas[:PROFILE_REPLICAS])
    centred, pairs = truths.centred(pooled), []
    for axis, panel, true in truths.profiles:
        generated = profile(axis, panel, events.condition, centred)
        pairs.append(
            ProfilePair(axis, panel, true, generated, width_checks(panel.name, axis.name, axis.unit, true, generated))
        )
    pulls, true_pulls = truths.pulls(pooled), truths.pulls(events.target)
    inclusive = inclusive_width_checks(events.names, true_pulls, pulls)
    locations = location_checks(events.names, true_pulls, pulls)
    draws = np.arange(len(pooled)) % len(events)
    correlation = correlation_matrix(pulls, group=draws)
    correlations = correlation_checks(events.names, truths.correlation, correlation)
    divergence, exact = _densities(estimator, events, replicas[0])
    checks = [check for pair in pairs for check in pair.checks]
    return Judgement(
        generated=replicas[0],
        divergence=divergence,
        exact=exact,
        wasserstein=wasserstein,
        auc=auc,
        test=test,
        pairs=tuple(pairs),
        inclusive=inclusive,
        locations=locations,
        correlation=correlation,
        true_correlation=truths.correlation,
        correlations=correlations,
        efficiencies=tuple(efficiencies),
        gate=judge([*checks, *inclusive], correlations, auc, locations, efficiencies=efficiencies),
    )


def _draw_replicas(name: str, sampler: Sampler, events: JudgedEvents) -> list[NDArray[np.float64]]:
    count = int(np.clip(DRAWN_EVENTS // len(events), 2, MOST_REPLICAS))
    condition, stream = events_from_array(events.condition), Stream(events.seed, f"evaluation draws of {name}")
    return [draw(sampler, condition, stream.at(i)) for i in range(count)]


def _two_sample(
    events: JudgedEvents, generated: NDArray[np.float64], with_power: bool
) -> tuple[TwoSampleTest | None, AucEstimate]:
    rows = slice(0, TWO_SAMPLE_EVENTS)
    condition, target, drawn = events.condition[rows], events.target[rows], generated[rows]
    if not with_power:
        return None, conditional_auc(condition, target, drawn, seed=events.seed)
    redraw = None if events.truth is None else (lambda number: events.redraw(10_000 + number)[rows])
    test = two_sample_test(condition, target, drawn, redraw=redraw, seed=events.seed)
    return test, test.auc


def _densities(
    estimator: Estimator, events: JudgedEvents, generated: NDArray[np.float64]
) -> tuple[Divergence | None, AucEstimate | None]:
    if events.truth is None or not events.truth.has_density or not isinstance(estimator, Density):
        return None, None
    log_true, log_model = events.true_log_density(events.target), log_density(estimator, events, events.target)
    at_truth = log_model - log_true
    at_generated = log_density(estimator, events, generated) - events.true_log_density(generated)
    return kl_per_event(log_true, log_model), exact_auc(at_truth, at_generated, paired=True)


def log_density(model: Density, events: JudgedEvents, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score targets under a model in chunks, shape ``(events,)``, in nats."""
    batch = batch_from_arrays(events.condition, target, None)
    with torch.inference_mode():
        pieces = [to_numpy(model.log_prob(piece)) for piece in batch.chunks(SCORING_CHUNK)]
    return np.concatenate(pieces).astype(np.float64)
