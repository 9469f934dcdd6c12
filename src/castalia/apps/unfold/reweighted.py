"""Reweighted simulation as an unfolded sample: the result of OmniFold and of iterative Bayesian unfolding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import JsonValue

from castalia.apps.unfold.events import SimulatedEvents
from castalia.apps.unfold.unfolded_sample import Replica, TruthColumn, UnfoldedSample

__all__ = ["reweighted_sample"]


def reweighted_sample(
    simulation: SimulatedEvents,
    columns: Sequence[TruthColumn],
    factors: NDArray[np.float64],
    *,
    bootstrap: ArrayLike = (),
    members: ArrayLike = (),
    inputs: Mapping[str, str] | None = None,
    model: str = "",
    provenance: Mapping[str, JsonValue] | None = None,
) -> UnfoldedSample:
    """Turn factors on fiducial simulated events into the result that all methods share.

    Args:
        simulation: Simulated events.
        columns: The truth columns.
        factors: Factors on the weights, shape ``(events,)``; those of fakes are not used.
        bootstrap: Factors by bootstrap replicas of data and simulation, shape ``(replicas, events)``.
        members: Factors by each member of an ensemble, shape ``(members, events)``; one alone has no spread and is left
            out. The covariance is that of one member: more than that of their mean.
        inputs: SHA-256 by input file.
        model: Hash of the model.
        provenance: JSON values by name.

    Raises:
        DataError: If shapes do not fit or a number is not finite.
    """
    rows = simulation.fiducial
    weights = simulation.weights[rows]
    varied = {"bootstrap": np.asarray(bootstrap), "ensemble": np.asarray(members)}
    replicas = [
        Replica(kind, kind, weights * one[rows])  # type: ignore[arg-type]
        for kind, several in varied.items()
        if len(several) > 1
        for one in several
    ]
    return UnfoldedSample(
        tuple(columns),
        simulation.truth[rows][:, None, :],
        weights * factors[rows],
        replicas=tuple(replicas),
        inputs=dict(inputs or {}),
        model=model,
        provenance=dict(provenance or {}),
    )
