"""Measurements whose answer is known, as the methods are given them."""

from __future__ import annotations

import numpy as np
from unfolding_toys import toy

from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, simulated_events
from castalia.apps.unfold.measurement.problem import Problem
from castalia.apps.unfold.unfolded_sample import TruthColumn
from castalia.rng import Stream

DRAWS, OWN = 20, 4
"""Draws of each event of data, and of each simulated one."""

EDGES = np.array([-2.0, -1.2, -0.4, 0.4, 1.2, 2.0])
NOISE, SHARE = 0.3, 0.5
"""Of the measurement with losses: its resolution, and the share of fakes where there are most."""

NO_EVENTS = MeasuredEvents(np.empty((0, 1)), np.empty(0))


def found(truth):
    """Probability that an event is selected."""
    return 1 / (1 + np.exp(-truth - 0.5))


def smeared(known_events: int, seed: int = 1):
    """A measurement with a strong prior bias and no losses; returns the problem and what is known of it."""
    one = toy(1, known_events, seed)
    rng = Stream(seed, "draws of a known problem").at()
    draws, prior = (
        one.known.detector.draws(events.detector, one.known.simulated, number, rng)
        for events, number in ((one.data, DRAWS), (one.simulation, OWN))
    )
    levels = one.simulation, one.data, NO_EVENTS, NO_EVENTS
    return Problem((TruthColumn("z"),), (EDGES,), *levels, draws, prior, one.simulation.weights), one.known


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
    fake, matched = (simulation.detector[rows] for rows in (simulation.fake, simulation.matched))
    fakes = MeasuredEvents(fake, simulation.weights[simulation.fake])
    draws = posterior_draws(np.concatenate([detector, expected, fake])[:, 0], seed)
    own = posterior_draws(matched[:, 0], seed + 1)[:, :OWN], simulation.weights[simulation.matched]
    problem = Problem((TruthColumn("z"),), (EDGES,), simulation, data, subtracted, fakes, draws, *own)
    return problem, sample.truth[sample.fiducial, 0]


def weak(events: int, fakes: int = 0, background: int = 0, seed: int = 1):
    """A counterpart that hardly knows the truth, of events that a posterior knows well.

    Background lies at high values and fakes at low ones, where hardly any signal is. Returns the problem and the data's
    truth.
    """
    rng, noise = Stream(seed, "a weak counterpart").at(), 0.2
    shrink = 1 / (1 + noise**2)
    truth, simulated = rng.normal(size=(2, events))
    real = [values + rng.normal(0, noise, events) for values in (truth, simulated)]
    data_fakes, simulated_fakes = rng.normal(-1.8, 0.4, (2, fakes))
    inside, expected = rng.normal(1.8, 0.4, (2, background))

    def counterpart(seen):
        return 0.3 * seen[:, None] + rng.normal(size=(len(seen), 1))

    def drawn(seen, number):
        return (shrink * seen[:, None] + np.sqrt(1 - shrink) * rng.normal(size=(len(seen), number)))[:, :, None]

    detector = counterpart(np.concatenate([real[1], simulated_fakes]))
    simulation = simulated_events(
        np.concatenate([simulated, np.full(fakes, np.nan)]), detector, fiducial=np.arange(events + fakes) < events
    )
    data = np.concatenate([real[0], inside, data_fakes])
    measured = [MeasuredEvents(counterpart(seen), np.ones(len(seen))) for seen in (data, expected)]
    own = MeasuredEvents(detector[events:], np.ones(fakes))
    draws, prior = drawn(np.concatenate([data, expected, simulated_fakes]), DRAWS), drawn(real[1], OWN)
    return Problem((TruthColumn("z"),), (EDGES,), simulation, *measured, own, draws, prior, np.ones(events)), truth
