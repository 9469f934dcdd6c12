"""OmniFold: unbinned unfolding by reweighting simulated events, turn by turn at detector level and at truth level.

Step 1 of each iteration learns the ratio of data and simulation at detector level and pulls it back to the matched
simulated events. Step 2 learns, at truth level, the average of those weights: a function of the truth alone, which is
pushed to every event with the same truth. Three matters in which versions of the method differ:

- *Missed events* have no detector level. The published extension gives them the average pulled weight of selected
  events of the same truth, by a further classifier, and then takes them into step 2. The average over matched events is
  what step 2 learns from matched events alone, so that it is trained on those and applied to all fiducial ones.
- *Fakes* have no truth. The extension gives them the average pushed weight of matched events with the same observables.
  The fraction of fakes at given observables is then that of the simulation in every iteration: it is learned once, and
  data count with the probability that they are no fakes.
- *Background* is subtracted by data of negative weight: `castalia.apps.unfold.background`. A classifier learns from
  positive weights of the same average at the same observables; simulated weights of both signs are averaged likewise
  at the same truth and observables, because both steps use nothing else of an event.

The classifier is `castalia.estimators.efficiency.EfficiencyModel` trained by `castalia.training.fit`.

References:
    Andreassen, Komiske, Metodiev, Nachman and Thaler, OmniFold: A method to simultaneously unfold all observables,
    Phys. Rev. Lett. 124 (2020) 182001, arXiv:1911.09107.
    Andreassen, Komiske, Metodiev, Nachman, Suresh and Thaler, Scaffolding simulations with deep learning for
    high-dimensional deconvolution (2021), arXiv:2105.04448: events that are missed, and fakes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from castalia.apps.unfold.background import positive_simulation, positive_weights
from castalia.apps.unfold.density_ratio import DensityRatio, FittedRatio, RatioConfig, fit_ratio, without_notes
from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents
from castalia.apps.unfold.fakes import without_fakes
from castalia.apps.unfold.settling import moment_change
from castalia.apps.unfold.truth_weights import TruthWeights
from castalia.data.layout import Layout
from castalia.data.strict import StrictModel
from castalia.metrics.arrays import effective_events
from castalia.rng import Stream

__all__ = ["OmniFoldConfig", "OmniFoldResult", "omnifold"]

Array = NDArray[np.float64]


@final
class OmniFoldConfig(StrictModel):
    """How OmniFold is run.

    Attributes:
        iterations: Passes over both steps.
        members: Independent runs, each with classifiers and held-out events of its own; the result is their mean.
        ratio: How the classifiers of both steps are trained.
    """

    iterations: int = Field(default=5, ge=1)
    members: int = Field(default=1, ge=1)
    ratio: RatioConfig = RatioConfig()


@final
@dataclass(frozen=True)
class OmniFoldResult:
    """Outcome of OmniFold; iterations count from 1, and their arrays begin with the first.

    Attributes:
        functions: Truth reweighting after each iteration.
        divergence: How far data and simulation were apart at detector level *before* each iteration, in nats, shape
            ``(iterations, members)``; see `castalia.apps.unfold.density_ratio.FittedRatio`.
        divergence_error: Its statistical error where they agree, same shape.
        changes: How far each iteration moved the truth, shape ``(iterations,)``; see
            `castalia.apps.unfold.settling.moment_change`.
        effective: Effective number of fiducial simulated events after each iteration, same shape.
        at_bound: Fraction of them whose weight is at its upper bound, same shape.
    """

    functions: tuple[TruthWeights, ...]
    divergence: Array
    divergence_error: Array
    changes: Array
    effective: Array
    at_bound: Array

    @property
    def weights(self) -> TruthWeights:
        """The truth reweighting after the last iteration."""
        return self.functions[-1]


def omnifold(
    simulation: SimulatedEvents, data: MeasuredEvents, layout: Layout, config: OmniFoldConfig, seed: int
) -> OmniFoldResult:
    """Unfold data by reweighting simulation.

    Args:
        simulation: Simulated events, with weights of either sign.
        data: Measured events, likewise.
        layout: Observables as ``condition``, truth columns as ``target``.
        config: How it is run.
        seed: Seed of the run.

    Returns:
        Factors on the simulated weights. The weights of the matched events then sum up to those of the data that are
        no fakes.

    Raises:
        ConfigError: If weights do not add up to a positive number.
        DataError: If a column is constant.
    """
    genuine = without_fakes(simulation, data, layout.condition, config.ratio, _seed(seed, "fakes"))
    with without_notes():
        measured = positive_weights(genuine, _seed(seed, "positive data"))
        simulated = positive_simulation(simulation, _seed(seed, "positive simulation"))
    runs = [_run(simulated, measured, layout, config, seed, member) for member in range(config.members)]
    functions = tuple(TruthWeights(tuple(ratio for ratio, _ in one)) for one in zip(*runs, strict=True))
    apart = np.array([[(p.divergence, p.divergence_error) for _, p in run] for run in runs])
    truth, base = simulation.truth[simulation.fiducial], simulation.weights[simulation.fiducial]
    unfolded = [base, *(base * function(truth) for function in functions)]
    events = effective_events(genuine.weights)
    return OmniFoldResult(
        functions,
        divergence=apart[:, :, 0].T,
        divergence_error=apart[:, :, 1].T,
        changes=np.array([moment_change((truth, a), (truth, b), events) for a, b in itertools.pairwise(unfolded)]),
        effective=np.array([effective_events(weights) for weights in unfolded[1:]]),
        at_bound=np.array([np.mean([one.at_bound(truth) for one in function.members]) for function in functions]),
    )


def _run(
    simulation: SimulatedEvents, data: MeasuredEvents, layout: Layout, config: OmniFoldConfig, seed: int, member: int
) -> list[tuple[DensityRatio, FittedRatio]]:
    """Return the truth ratio after each iteration of one member, and what step 1 found before."""
    weights = simulation.weights[simulation.matched]
    truth, detector = simulation.truth[simulation.matched], simulation.detector[simulation.matched]
    measured, total = (data.detector, data.weights), float(data.weights.sum())
    pushed = np.ones(len(weights))
    step1: DensityRatio | None = None
    step2: DensityRatio | None = None
    found = []
    for iteration in range(1, config.iterations + 1):
        seeds = [_seed(seed, f"{member}/{iteration}/{step}") for step in (1, 2)]
        simulated = (detector, weights * pushed)
        pulling = fit_ratio(measured, simulated, layout.condition, config.ratio, seeds[0], step1)
        step1 = pulling.ratio.scaled(*simulated, total)
        pulled = weights * pushed * step1(detector)
        pushing = fit_ratio((truth, pulled), (truth, weights), layout.target, config.ratio, seeds[1], step2)
        step2 = pushing.ratio.scaled(truth, weights, total)
        pushed = step2(truth)
        found.append((step2, pulling))
    return found


def _seed(seed: int, purpose: str) -> int:
    return Stream(seed, "omnifold", purpose).integer(2**53)
