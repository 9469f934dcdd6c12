"""Diphoton events in memory, the same as ``castalia generate diphoton --process toy`` writes, for benchmarks."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from castalia.apps.simulate.config import parse_config
from castalia.apps.simulate.events import JudgedEvents
from castalia.apps.simulate.truth import analytic_truth
from castalia.data.features import FeatureArrays, Features
from castalia.data.sidecar import Truth
from castalia.detectors.photon_response import PhotonResponse
from castalia.estimators.arrays import batch_from_arrays, to_numpy
from castalia.estimators.base import Batch, Density, Estimator, Events, Sampler
from castalia.production.diphoton import DiphotonTask
from castalia.production.units import Unit
from castalia.runs.configuration import load_config
from castalia.runs.validation import target_scales
from record import ROOT

__all__ = ["TruthModel", "bound_of", "diphoton_arrays", "diphoton_features", "judged_sample", "training_batch"]

Floats = NDArray[np.float64]


def diphoton_features() -> Features:
    """Return the variables of ``examples/diphoton.toml``: both photons together, scaled as the paper scales them."""
    return load_config(parse_config, ROOT / "examples" / "diphoton.toml").features()


def diphoton_arrays(features: Features, response: PhotonResponse, events: int, seed: int) -> FeatureArrays:
    """Make toy events with the given response; give every sample a seed of its own.

    Args:
        features: The variables wanted.
        response: What the detector does.
        events: How many.
        seed: Seed of truth, pile-up and response.
    """
    (produced,) = DiphotonTask("toy", response, seed).run(Unit(index=0, key="", source="", start=0, stop=events))
    return features.arrays(produced.table)


def bound_of(estimator: Estimator, targets: int) -> Floats:
    """Return the largest size of each target that an estimator can produce, shape ``(targets,)``; infinite if any."""
    support = getattr(estimator, "support", None)
    return np.full(targets, np.inf) if support is None else to_numpy(support()[1]).astype(np.float64)


def training_batch(arrays: FeatureArrays, bound: Floats) -> Batch:
    """Return the events inside ``bound`` as training takes them."""
    target = _target(arrays)
    kept = (np.abs(target) < bound).all(axis=1)
    return batch_from_arrays(arrays.condition[kept], target[kept], arrays.weight[kept])


def judged_sample(
    features: Features, response: PhotonResponse, arrays: FeatureArrays, seed: int, bound: Floats
) -> JudgedEvents:
    """Return the events inside ``bound`` to judge a model on, with the response that made them as their truth."""
    origin = Truth(
        process="toy",
        scenario=response.scenario,
        rho=response.rho,
        parametrisation=response.parametrisation,
        mixture=response.mixture,
    )
    target = _target(arrays)
    events = JudgedEvents(
        features=features,
        condition=arrays.condition,
        target=target,
        reference=arrays.reference,
        scales=target_scales(features.layout, target),
        truth=analytic_truth(features, origin),
        bound=bound,
        seed=seed,
        left_out=0,
    )
    return events.inside()


def _target(arrays: FeatureArrays) -> Floats:
    if arrays.target is None:
        raise ValueError("the events have no reconstructed photons")
    return arrays.target


@final
class TruthModel(Sampler, Density):
    """The truth in a model's clothes, to show that a perfect model passes what models are asked.

    Args:
        events: Test events; their truth, bound included, is what is drawn and scored.
    """

    def __init__(self, events: JudgedEvents) -> None:
        self._events = events

    def sample(self, condition: Events, draws: int, rng: np.random.Generator) -> Events:
        """Draw true responses inside the bound; see ``Sampler.sample``."""
        events = self._at(np.repeat(_physical(condition), draws, axis=0))
        return Events(torch.from_numpy(events.redraw(int(rng.integers(2**62)))))

    def log_prob(self, batch: Batch) -> Tensor:
        """Return the exact log-density; see ``Density.log_prob``."""
        return torch.from_numpy(self._at(_physical(batch.condition)).true_log_density(_physical(batch.target)))

    def _at(self, condition: Floats) -> JudgedEvents:
        return replace(self._events, condition=condition)


def _physical(events: Events) -> Floats:
    return to_numpy(events.flat).astype(np.float64)
