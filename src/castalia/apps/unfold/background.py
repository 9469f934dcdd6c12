"""Background subtraction event by event: by negative weights, and by positive ones that a classifier can learn from."""

from __future__ import annotations

import dataclasses

import numpy as np

from castalia.apps.unfold.events import MeasuredEvents, SimulatedEvents
from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays, to_numpy
from castalia.training.reweighting import reweight_positive

__all__ = ["positive_simulation", "positive_weights", "signed_union"]


def signed_union(data: MeasuredEvents, background: MeasuredEvents) -> MeasuredEvents:
    """Subtract expected background from data: both together, the background with its weights negative.

    Enough for all that is linear in the weights, such as histograms of per-event posteriors. What learns from the
    events needs `positive_weights` on top.

    Args:
        data: The data.
        background: Simulated background, its weights as expected in the data.

    Raises:
        DataError: If the observables differ, or more background is expected than there is data.
    """
    if data.detector.shape[1] != background.detector.shape[1]:
        raise DataError(
            f"the data have {data.detector.shape[1]} observables and the background {background.detector.shape[1]}; "
            "give the same."
        )
    weights = np.concatenate([data.weights, -background.weights])
    if weights.sum() <= 0.0:
        raise DataError(
            f"{background.weights.sum():g} background events are expected among {data.weights.sum():g} of data; "
            "check the background's normalisation."
        )
    return MeasuredEvents(np.concatenate([data.detector, background.detector]), weights)


def positive_weights(events: MeasuredEvents, seed: int) -> MeasuredEvents:
    """Replace weights of both signs by positive ones of the same local average and the same sum.

    Enough for what is a function of these observables, such as a ratio of densities in them. Draws of a posterior know
    more of an event: data and background of the same observables have different ones.

    With `signed_union` this is a background subtraction without negative weights: data and
    background events together stand for the signal.

    Args:
        events: Events of which fewer are negative than positive, everywhere.
        seed: Seed of the classifiers.

    Raises:
        ConfigError: If the weights do not add up to a positive number.

    References:
        Nachman and Thaler, A neural resampler for Monte Carlo reweighting with preserved uncertainties (2020); see
        `castalia.training.reweighting`.
    """
    if not (events.weights < 0.0).any():
        return events
    batch, _ = reweight_positive(batch_from_arrays(events.detector, None, events.weights), None, seed)
    weights = to_numpy(batch.weight).astype(np.float64)
    # Tensors have single precision; the sum is kept to that of the arrays.
    return MeasuredEvents(events.detector, weights * (events.weights.sum() / weights.sum()))


def positive_simulation(simulation: SimulatedEvents, seed: int) -> SimulatedEvents:
    """Replace weights of both signs by positive ones of the same average at each truth and observables.

    Args:
        simulation: Simulated events, as of a generator at next-to-leading order. Fakes whose weights add up to nothing
            or less count as none.
        seed: Seed of the classifiers.

    Raises:
        ConfigError: If the weights of matched or of missed events do not add up to a positive number.
    """
    weights, matched = simulation.weights.copy(), simulation.matched
    both = np.concatenate([simulation.truth, simulation.detector], axis=1)
    if weights[simulation.fake].sum() <= 0.0:
        weights[simulation.fake] = 0.0
    missed = simulation.fiducial & ~matched
    for rows, features in ((matched, both), (missed, simulation.truth), (simulation.fake, simulation.detector)):
        weights[rows] = positive_weights(MeasuredEvents(features[rows], weights[rows]), seed).weights
    return dataclasses.replace(simulation, weights=weights)
