"""The analytic process of the scan benchmark, and its models: the exact one, and flows trained on its events."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from castalia.apps.scan.density import BackgroundDensity, SignalDensity
from castalia.apps.scan.fit import FitModel
from castalia.apps.scan.goodness import HeldOut
from castalia.apps.scan.likelihood import Parameter
from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Estimator
from castalia.estimators.registry import build, preset
from castalia.processes.mixture import AnalyticBackground, AnalyticMixture, analytic_mixture
from castalia.rng import Stream
from castalia.runs.configuration import TRAINING_OF_PRESET, TRAINING_OTHERWISE
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

__all__ = [
    "BACKGROUND",
    "EXACT",
    "FRACTION",
    "OBSERVABLES",
    "PARAMETERS",
    "SIGNAL",
    "Sizes",
    "Trained",
    "draw",
    "train",
    "training_settings",
]

Array = NDArray[np.float64]

PRESET = "scan"
PARAMETERS, OBSERVABLES = ("theta_0", "theta_1"), ("x", "y", "z")
SIGNAL, BACKGROUND = analytic_mixture(len(PARAMETERS), len(OBSERVABLES)), AnalyticBackground(len(OBSERVABLES))
FRACTION = 0.3
"""Share of signal in every data set."""

_POINTS, _EVENTS_AT_EACH = 100, 2_000  # for the divergence from the truth


def _model(signal: AnalyticMixture | SignalDensity, background: AnalyticBackground | BackgroundDensity) -> FitModel:
    support = Stream(1, "scan analytic support").at().uniform(-1.0, 1.0, (4_000, len(PARAMETERS)))
    return FitModel(tuple(Parameter(name, -1.0, 1.0) for name in PARAMETERS), signal, support, background)


EXACT = _model(SIGNAL, BACKGROUND)


@dataclass(frozen=True)
class Sizes:
    """Events to train on, and how often each is seen.

    Attributes:
        signal: Signal events, each at a theta of its own.
        background: Background events.
        held_out: Events of either kind that no training sees: for validation, and for the test of the fit.
        signal_epochs: Passes over the signal.
        background_epochs: Passes over the background.
    """

    signal: int
    background: int
    held_out: int
    signal_epochs: int
    background_epochs: int


@dataclass(frozen=True)
class Trained:
    """A trained model of the process.

    Attributes:
        model: What a fit takes.
        held_out: Held-out events by the label of their part, as a run folder keeps them.
        report: Divergences from the truth in nat per event, and CPU seconds of the trainings.
    """

    model: FitModel
    held_out: dict[str, HeldOut]
    report: dict[str, Any]


def draw(theta: Array, events: int, rng: np.random.Generator, signal: AnalyticMixture = SIGNAL) -> Array:
    """Draw a data set of signal and background, shape ``(events, observables)``; the number of signal events varies."""
    number = int(rng.binomial(events, FRACTION))
    return np.concatenate([signal.sample(theta, number, rng), BACKGROUND.sample(events - number, rng)])


def training_settings(epochs: int, seed: int) -> TrainingConfig:
    """Return the training of the preset, with the number of passes over the events given."""
    known = TRAINING_OF_PRESET.get(PRESET, TRAINING_OTHERWISE)
    return TrainingConfig(**{**known, "epochs": epochs, "seed": seed})


def train(sizes: Sizes, seed: int) -> Trained:
    """Train the preset on events of its own, as ``castalia scan train`` does, and hold it against the truth."""
    rng = Stream(seed, "scan analytic training").at()
    theta = rng.uniform(-1.0, 1.0, (sizes.signal + sizes.held_out, len(PARAMETERS)))
    x = SIGNAL.sample(theta, 1, rng)
    noise = BACKGROUND.sample(sizes.background + sizes.held_out, rng)
    nothing = np.empty((len(noise), 0))
    begin = time.process_time()
    signal = SignalDensity(_fitted(PARAMETERS, theta, x, sizes.signal, sizes.signal_epochs, seed))
    between = time.process_time()
    background = BackgroundDensity(_fitted((), nothing, noise, sizes.background, sizes.background_epochs, seed))
    report = {
        "seconds_signal": between - begin,
        "seconds_background": time.process_time() - between,
        "kl_signal": _signal_divergence(signal, rng),
        "kl_background": _background_divergence(background, rng),
    }
    held_out = {
        "Signal": HeldOut(x[sizes.signal :], theta[sizes.signal :]),
        "Background": HeldOut(noise[sizes.background :], nothing[sizes.background :]),
    }
    return Trained(_model(signal, background), held_out, report)


def _fitted(names: tuple[str, ...], theta: Array, x: Array, training: int, epochs: int, seed: int) -> Estimator:
    """Train on the first events, and let the others choose the best epoch."""
    layout = Layout(tuple(map(Variable, names)), tuple(map(Variable, OBSERVABLES)))
    estimator = build(*preset(PRESET), layout, seed)
    first, last = (batch_from_arrays(theta[some], x[some]) for some in (slice(training), slice(training, None)))
    fit(estimator, first, last, training_settings(epochs, seed))
    return estimator


@torch.no_grad()
def _signal_divergence(signal: SignalDensity, rng: np.random.Generator) -> dict[str, float]:
    """Return the divergence averaged over theta, with the error that the scatter of the points gives."""
    points = []
    for theta in rng.uniform(-1.0, 1.0, (_POINTS, 1, len(PARAMETERS))):
        x, at = torch.from_numpy(SIGNAL.sample(theta, _EVENTS_AT_EACH, rng)), torch.from_numpy(theta)
        points.append(float((SIGNAL.log_prob(x, at) - signal.log_prob(x, at)).mean()))
    return {"value": float(np.mean(points)), "error": float(np.std(points, ddof=1) / np.sqrt(_POINTS))}


def _background_divergence(background: BackgroundDensity, rng: np.random.Generator) -> dict[str, float]:
    x = torch.from_numpy(BACKGROUND.sample(_POINTS * _EVENTS_AT_EACH, rng))
    off = (BACKGROUND.log_prob(x) - background.log_prob(x)).numpy()
    return {"value": float(off.mean()), "error": float(off.std(ddof=1) / np.sqrt(len(off)))}
