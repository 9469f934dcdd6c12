"""Simulated pixel events as estimators are given them, for the benchmarks of models of pixels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from castalia.apps.pixels.config import ARRAY, POSITIONS
from castalia.data.layout import Layout, Variable
from castalia.detectors.pxd.conditions import KNOBS, BeamConditions
from castalia.detectors.pxd.events import background_events
from castalia.estimators.base import Batch, Events
from castalia.estimators.pixels.hits import Hits, padded
from castalia.estimators.registry import build, preset
from castalia.rng import Stream
from castalia.runs.configuration import TRAINING_OF_PRESET
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

__all__ = ["CONDITIONS", "made_model", "say", "simulated", "trained_model"]

CONDITIONS = tuple(name for name in KNOBS if name != "common_mode")
LAYOUT = Layout(tuple(Variable(name) for name in CONDITIONS), ARRAY.variables)
AT_ONCE = 4


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def simulated(events: int, low: float, high: float, purpose: str, common_mode: float = 0.04) -> Batch:
    """Simulate events at luminosities from ``low`` to ``high``, with everything else at the reference.

    Args:
        events: Number of events.
        low: Lowest relative luminosity.
        high: Highest.
        purpose: Names the random sequence: the same name gives the same events.
        common_mode: Spread of the factor that an event's rates share.
    """
    stream, pieces = Stream(1, "pixel benchmark", purpose), []
    luminosity = stream.at().uniform(low, high, events)
    for begin in range(0, events, AT_ONCE):
        one = luminosity[begin : begin + AT_ONCE]
        knobs = {name: np.full(len(one), value) for name, value in KNOBS.items()}
        knobs |= {"luminosity": one, "common_mode": np.full(len(one), common_mode)}
        hits = background_events(BeamConditions(**knobs), stream.at(1 + begin)).hits
        columns = (hits.event + np.int64(begin), hits.sensor, hits.u, hits.v, hits.charge)
        pieces.append(np.stack([column.astype(np.int64) for column in columns]))
    target = padded(Hits(events, *torch.from_numpy(np.concatenate(pieces, axis=1))))
    condition = torch.ones(events, len(CONDITIONS))
    condition[:, CONDITIONS.index("luminosity")] = torch.from_numpy(luminosity).float()
    return Batch(Events(condition), target, torch.ones(events), torch.arange(events))


def made_model(name: str, seed: int = 1, options: Mapping[str, Any] | None = None) -> Any:
    """Build the model of a preset for the pixel detector, with some of its options changed."""
    estimator, config = preset(name)
    return build(estimator, {**config, **(options or {}), "positions": POSITIONS}, LAYOUT, seed)


def trained_model(
    name: str,
    events: Batch,
    epochs: int,
    seed: int,
    *,
    options: Mapping[str, Any] | None = None,
    validation: Batch | None = None,
    device: str = "cpu",
) -> Any:
    """Train the model of a preset as the application does, but for the number of epochs and where steps are made."""
    model = made_model(name, seed, options)
    if model.objectives():
        settings = TrainingConfig.model_validate(
            {**TRAINING_OF_PRESET[name], "epochs": epochs, "seed": seed, "device": device}
        )
        fit(model, events, validation, settings)
    else:
        model.prepare([events])
    return model.eval()
