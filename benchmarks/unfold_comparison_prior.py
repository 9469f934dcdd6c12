"""The rival that knows no event: the truth of training events, reweighted by OmniFold to what was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from castalia.apps.unfold.coordinates import leaves_of_columns
from castalia.apps.unfold.events import measured_events, simulated_events
from castalia.apps.unfold.judged_sample import TestSample
from castalia.apps.unfold.judging import detector_table
from castalia.apps.unfold.omnifold import OmniFoldConfig, omnifold
from castalia.data.feature_arrays import FeatureArrays, ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import DataError
from castalia.rng import Stream

__all__ = ["reweighted_prior"]

Array = NDArray[np.float64]


def reweighted_prior(sample: TestSample, learned: FeatureArrays, seed: int = 1) -> Array:
    """Reweight training events to measured ones, and draw as many of them by their weights.

    Args:
        sample: The events in the place of data.
        learned: Training events.
        seed: Seed of OmniFold and of the draws.

    Returns:
        The paper's numbers of the drawn events, shape ``(training events, numbers)``.

    Raises:
        DataError: If the training events have no truth.
    """
    if learned.target is None:
        raise DataError("The training events have no truth; name simulated ones.")
    events = sample.events
    truth = events.coordinates.tree.cartesian(leaves_of_columns(learned.target))
    simulated, data = _tables(learned, sample.arrays)
    layout = Layout(_variables("detector", data.shape[1]), _variables("truth", len(events.continuous)))
    simulation = simulated_events(truth[:, events.continuous], simulated, learned.weight)
    found = omnifold(simulation, measured_events(data), layout, OmniFoldConfig(iterations=2), seed)
    weights = learned.weight * found.weights(truth[:, events.continuous])
    rng = Stream(seed, "reweighted prior").at()
    return truth[rng.choice(len(truth), size=len(truth), p=weights / weights.sum())]


def _tables(one: FeatureArrays, other: FeatureArrays) -> tuple[Array, Array]:
    """Return the detector tables of two samples, with the same columns."""
    objects = {name: ObjectArrays.concatenate([one.objects[name], other.objects[name]]) for name in one.objects}
    both = replace(one, condition=np.concatenate([one.condition, other.condition]), objects=objects)
    table = detector_table(both)
    return table[: len(one.row)], table[len(one.row) :]


def _variables(name: str, count: int) -> tuple[Variable, ...]:
    return tuple(Variable(f"{name}{i}") for i in range(count))
