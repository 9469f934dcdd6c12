"""What is measured of a classifier on events of known class that it did not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from castalia.metrics.auc import AucEstimate
from castalia.metrics.confusion import Confusion, confusion
from castalia.metrics.mass_dependence import FEWEST_IN_A_BIN, MassDependence, mass_dependence
from castalia.metrics.reliability import CalibrationError, ReliabilityCurve, calibration_error, reliability_curve
from castalia.metrics.roc import REPLICAS, RocBand, roc_band
from castalia.metrics.scored import ScoredEvents, scored_events
from castalia.metrics.significance import ExpectedSignificance, expected_significance
from castalia.metrics.weighted_auc import auc_influence, weighted_auc
from castalia.rng import Stream

__all__ = [
    "Contest",
    "Expectation",
    "JudgedClasses",
    "Judgement",
    "MeanAuc",
    "Reliability",
    "judge",
    "log_loss",
    "log_odds",
    "mean_auc",
    "signal_against_background",
]

Floats = NDArray[np.float64]

REST: Final = "the rest"


@dataclass(frozen=True)
class JudgedClasses:
    """Events of known class.

    Attributes:
        classes: Names of the classes; the first is the background.
        label: Number of each event's class, shape ``(events,)``.
        weight: Event weights, shape ``(events,)``; every class has the same sum.
        mass: What scores shall not depend on, shape ``(events,)``, with its name and unit; ``None`` where nothing is
            named.
        seed: Seed of all that is random in the judgement.
    """

    classes: tuple[str, ...]
    label: NDArray[np.int64]
    weight: Floats
    mass: tuple[Floats, str, str] | None
    seed: int


@dataclass(frozen=True)
class Expectation:
    """A counting experiment behind a cut on the score.

    Attributes:
        events: Expected events of classes before the cut, by name; the background's and those of signals.
        systematic: Relative error of the background.
    """

    events: dict[str, float]
    systematic: float


@dataclass(frozen=True)
class Contest:
    """One class against another, or against all others together.

    Attributes:
        signal: Name of the class that is sought.
        background: Name of the other, or ``"the rest"``.
        auc: Area under the ROC curve.
        curve: The ROC curve.
        significance: What a counting experiment expects; ``None`` where it was not asked for.
    """

    signal: str
    background: str
    auc: AucEstimate
    curve: RocBand
    significance: ExpectedSignificance | None


@dataclass(frozen=True)
class Reliability:
    """Whether the probability of one class is what it says."""

    name: str
    curve: ReliabilityCurve
    error: CalibrationError


@dataclass(frozen=True)
class MeanAuc:
    """Mean over classes of the area under the curve of each against the rest; with two classes, the one there is.

    Attributes:
        value: The mean.
        error: Its standard error.
        influence: What each event adds, shape ``(events,)``: errors of differences on the same events follow from it.
    """

    value: float
    error: float
    influence: Floats


@dataclass(frozen=True)
class Judgement:
    """All that is measured of the probabilities of one classifier.

    Attributes:
        mean_auc: What it is ranked by.
        contests: Each class against the first, and where there are more than two, each against the rest.
        reliabilities: Of each class; of two classes, of the second, as that of the first mirrors it.
        log_loss: Mean of minus the logarithm of the true class's probability, in nats.
        log_loss_error: Its standard error.
        confusion: Which class is taken for which.
        mass: How the score depends on what it shall not depend on, for background; ``None`` where nothing is named.
    """

    mean_auc: MeanAuc
    contests: tuple[Contest, ...]
    reliabilities: tuple[Reliability, ...]
    log_loss: float
    log_loss_error: float
    confusion: Confusion
    mass: MassDependence | None


def judge(
    events: JudgedClasses, probability: Floats, expectation: Expectation | None = None, replicas: int = REPLICAS
) -> Judgement:
    """Measure probabilities against the true classes.

    Args:
        events: The events.
        probability: Probabilities of the classes, shape ``(events, classes)``.
        expectation: What a counting experiment expects; ``None`` for none.
        replicas: Bootstrap replicas of the ROC curves.

    Raises:
        DataError: If there are too few events for one of the measures.
    """
    number = len(events.classes)
    pairs = [(one, 0) for one in range(1, number)]
    rests = [(one, None) for one in range(number)] if number > 2 else []
    loss, loss_error = log_loss(events, probability)
    return Judgement(
        mean_auc=mean_auc(events, probability),
        contests=tuple(_contest(events, probability, *pair, expectation, replicas) for pair in chain(pairs, rests)),
        reliabilities=tuple(_reliability(events, probability, one) for one in range(number == 2, number)),
        log_loss=loss,
        log_loss_error=loss_error,
        confusion=confusion(events.label, probability, events.weight),
        mass=_mass_dependence(events, probability),
    )


def log_loss(events: JudgedClasses, probability: Floats) -> tuple[float, float]:
    """Return the mean of minus the logarithm of the true class's probability, in nats, and its standard error.

    Args:
        events: The events.
        probability: Probabilities of the classes, shape ``(events, classes)``.
    """
    own = np.take_along_axis(probability, events.label[:, None], axis=1)[:, 0]
    losses = -np.log(np.maximum(own, np.finfo(np.float64).tiny))
    loss = float(np.average(losses, weights=events.weight))
    return loss, float(np.sqrt(np.square(events.weight * (losses - loss)).sum()) / events.weight.sum())


def mean_auc(events: JudgedClasses, probability: Floats) -> MeanAuc:
    """Measure what classifiers are ranked by.

    Args:
        events: The events.
        probability: Probabilities of the classes, shape ``(events, classes)``.
    """
    number = len(events.classes)
    found = [
        auc_influence(scored_events(log_odds(probability, one), events.label == one, events.weight))
        for one in range(number == 2, number)
    ]
    influence = np.mean([one for _, one in found], axis=0)
    return MeanAuc(float(np.mean([value for value, _ in found])), float(np.sqrt(np.square(influence).sum())), influence)


def signal_against_background(events: JudgedClasses, probability: Floats) -> ScoredEvents:
    """Return all events scored by how little they look like the first class."""
    return scored_events(-log_odds(probability, 0), events.label != 0, events.weight)


def log_odds(probability: Floats, one: int, other: int | None = None) -> Floats:
    """Return the logarithm of a class's probability over another's, or that of all others.

    Logarithms tell scores apart that as probabilities are all 1.

    Args:
        probability: Probabilities of the classes, shape ``(events, classes)``.
        one: Number of the class.
        other: Number of the other; ``None`` for all others together.
    """
    tiny = float(np.finfo(np.float64).tiny)
    against = np.delete(probability, one, axis=1).sum(axis=1) if other is None else probability[:, other]
    found: Floats = np.log(np.maximum(probability[:, one], tiny)) - np.log(np.maximum(against, tiny))
    return found


def _contest(
    events: JudgedClasses,
    probability: Floats,
    one: int,
    other: int | None,
    expectation: Expectation | None,
    replicas: int,
) -> Contest:
    some = np.ones(len(events.label), dtype=np.bool_) if other is None else np.isin(events.label, [one, other])
    scored = scored_events(
        log_odds(probability[some], one, other), (events.label == one)[some], events.weight[some]
    )  # fmt: skip
    curve = roc_band(scored, Stream(events.seed, "roc bootstrap").at(), replicas=replicas)
    names, significance = (events.classes[one], REST if other is None else events.classes[other]), None
    if expectation is not None and set(names) <= set(expectation.events):
        sought, other_events = (expectation.events[name] for name in names)
        significance = expected_significance(curve, sought, other_events, expectation.systematic)
    return Contest(*names, weighted_auc(scored), curve, significance)


def _reliability(events: JudgedClasses, probability: Floats, one: int) -> Reliability:
    curve = reliability_curve(probability[:, one], events.label == one, events.weight)
    return Reliability(events.classes[one], curve, calibration_error(curve))


def _mass_dependence(events: JudgedClasses, probability: Floats) -> MassDependence | None:
    if events.mass is None:
        return None
    background = events.label == 0
    score = 1.0 - probability[background, 0]
    bins = min(10, int(background.sum()) // FEWEST_IN_A_BIN)
    return mass_dependence(score, events.mass[0][background], events.weight[background], bins=bins)
