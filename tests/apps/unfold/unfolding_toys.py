"""Samples of the known measurement, what a perfect unfolding makes of them, and its statistical errors."""

from dataclasses import dataclass

import numpy as np

from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents, measured_events, simulated_events
from castalia.data.layout import Layout, Variable
from castalia.processes.gaussian_smearing import KnownMeasurement, Normal, known_measurement
from castalia.rng import Stream


@dataclass(frozen=True)
class Toy:
    known: KnownMeasurement
    simulation: SimulatedEvents
    data: MeasuredEvents

    @property
    def layout(self) -> Layout:
        return layout(len(self.known.true.mean))


def layout(columns: int) -> Layout:
    return Layout(
        tuple(Variable(f"x{i}") for i in range(columns)),
        tuple(Variable(f"z{i}") for i in range(columns)),
    )


def toy(columns: int, events: int, seed: int = 1) -> Toy:
    known, rng = known_measurement(columns), Stream(seed, "unfolding toy", str(columns)).at()
    truth = known.simulated.sample(events, rng)
    simulation = simulated_events(truth, known.detector.detect(truth, rng))
    return Toy(known, simulation, measured_events(known.detector.detect(known.true.sample(events, rng), rng)))


def with_losses(events: int, shift: float, seed: int):
    """Truth that is missed at low values, and fakes that are a known share of the events at each observable.

    Returns the truth of all events, what they look like, which are found, and the fakes.
    """
    rng = Stream(seed, "losses").at()

    def level():
        truth = rng.normal(shift, 1, events)
        seen = truth + rng.normal(0, 0.3, events)
        return truth, seen, rng.random(events) < 1 / (1 + np.exp(-truth - 1))

    truth, seen, found = level()
    _, fake, selected = level()
    return truth, seen, found, fake[selected & (rng.random(events) < 0.5 / (1 + np.exp(fake)))]


def simulation_with_losses(events: int, seed: int) -> SimulatedEvents:
    truth, seen, found, fake = with_losses(events, 0.0, seed)
    fakes = len(fake)
    return simulated_events(
        np.concatenate([truth, np.full(fakes, np.nan)]),
        np.concatenate([seen, fake]),
        fiducial=np.arange(events + fakes) < events,
        selected=np.concatenate([found, np.ones(fakes, dtype=bool)]),
    )


def worst_pull(known: KnownMeasurement, expected: Normal, values, weights, events: int, smallest: float = 0.0) -> float:
    """Largest pull of the mean and covariance of unfolded events from what is expected.

    The error is that of an unfolding that has converged, in which the mean is the difference of two means at detector
    level and the covariance of two covariances, mapped back to the truth; earlier passes fluctuate less. ``smallest``
    is a bias budget added in quadrature, in units of the true standard deviation.
    """
    back = np.linalg.inv(known.detector.response)
    levels = [back @ known.detector.detected(one).covariance @ back.T for one in (known.true, known.simulated)]
    width = np.sqrt(np.diag(known.true.covariance))
    mean_error = np.sqrt(sum(np.diag(one) for one in levels) / events + (smallest * width) ** 2)
    squares = sum(np.square(one) + np.outer(np.diag(one), np.diag(one)) for one in levels) / events
    covariance_error = np.sqrt(squares + np.outer(smallest * width, smallest * width) * np.outer(width, width))
    mean = np.average(values, axis=0, weights=weights)
    covariance = np.atleast_2d(np.cov(values.T, aweights=weights))
    pulls = [(mean - expected.mean) / mean_error, (covariance - expected.covariance) / covariance_error]
    return float(np.abs(np.concatenate([pulls[0], pulls[1].ravel()])).max())
