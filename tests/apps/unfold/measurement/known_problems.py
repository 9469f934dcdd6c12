"""Measurements whose answer is known, as the methods are given them."""

from __future__ import annotations

import numpy as np
from unfolding_toys import toy

from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, simulated_events
from castalia.apps.unfold.measurement.problem import Problem
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.rng import Stream

DRAWS = 20
EDGES = np.array([-2.0, -1.2, -0.4, 0.4, 1.2, 2.0])
NOISE, SHARE = 0.3, 0.5
"""Of the measurement with losses: its resolution, and the share of fakes where there are most."""

NO_BACKGROUND = MeasuredEvents(np.empty((0, 1)), np.empty(0))


def found(truth):
    """Probability that an event is selected."""
    return 1 / (1 + np.exp(-truth - 0.5))


def smeared(known_events: int, seed: int = 1):
    """A measurement with a strong prior bias and no losses; returns the problem and what is known of it."""
    one = toy(1, known_events, seed)
    rng = Stream(seed, "draws of a known problem").at()
    draws = one.known.detector.draws(one.data.detector, one.known.simulated, DRAWS, rng)
    prior = one.known.simulated.sample(known_events, rng)
    own = prior, np.ones(len(prior))
    problem = Problem((TruthColumn("z"),), (EDGES,), one.simulation, one.data, NO_BACKGROUND, draws, *own)
    return problem, one.known


def lossy_simulation(events: int, seed: int, offset: float = 0.0, shift: float = 0.0) -> SimulatedEvents:
    """Normal truth, missed mostly at low values; fakes that look like it; ``offset`` is a fault of the detector."""
    rng = Stream(seed, "losses of a known problem").at()
    truth = rng.normal(shift, 1, 2 * events)
    seen = truth + offset + rng.normal(0, NOISE, 2 * events)
    selected = rng.random(2 * events) < found(truth)
    real = np.arange(2 * events) < events
    kept = real | (selected & (rng.random(2 * events) < SHARE * found(-seen)))
    return simulated_events(
        np.where(real, truth, np.nan)[kept], seen[kept], fiducial=real[kept], selected=selected[kept]
    )


def posterior_draws(measured, seed: int):
    """Draw from the posterior of the lossy simulation's selected events: the normal one times the efficiency."""
    rng, count = Stream(seed, "lossy draws").at(), 40 * DRAWS
    shrink = 1 / (1 + NOISE**2)
    candidates = shrink * measured[:, None] + np.sqrt(1 - shrink) * rng.normal(size=(len(measured), count))
    upto = np.cumsum(found(candidates), axis=1)
    chosen = (upto[:, None, :] < rng.random((len(measured), DRAWS))[:, :, None] * upto[:, -1:, None]).sum(axis=2)
    return np.take_along_axis(candidates, chosen, axis=1)[:, :, None]


def lossy(events: int, seed: int = 1, shift: float = 0.0, background: float = 0.0):
    """A measurement with missed events, fakes and, in data, background; returns the problem and the data's truth."""
    simulation, sample = lossy_simulation(events, seed), lossy_simulation(events, seed + 1000, shift=shift)
    rng = Stream(seed, "background of a known problem").at()
    number = int(background * events)
    inside, expected = rng.normal(1.0, 0.3, (number, 1)), rng.normal(1.0, 0.3, (4 * number, 1))
    detector = np.concatenate([sample.detector[sample.selected], inside])
    data = MeasuredEvents(detector, np.ones(len(detector)))
    subtracted = MeasuredEvents(expected, np.full(len(expected), 0.25))
    draws = posterior_draws(np.concatenate([detector, expected])[:, 0], seed)
    prior = lossy_simulation(events, seed + 2000)
    own = prior.truth[prior.matched], prior.weights[prior.matched]
    problem = Problem((TruthColumn("z"),), (EDGES,), simulation, data, subtracted, draws, *own)
    return problem, sample.truth[sample.fiducial, 0]
