"""What the classification benchmarks have in common: sizes of the training, tuning trials, and the arms that return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from classify_cuts import BACKGROUND, Cuts
from classify_data import UNLABELLED
from classify_run import OPTIMISER, Arm, Pretext, Settings

__all__ = [
    "FULL",
    "FULL_CUTS",
    "OBSERVABLES",
    "PRETEXT",
    "QUICK",
    "QUICK_CUTS",
    "Forms",
    "Plan",
    "Size",
    "prolonged",
    "trials_of",
]

FULL_CUTS: Final = Cuts(64_000, 16_000, 50_000)
QUICK_CUTS: Final = Cuts(480, 120, 700)

OBSERVABLES: Final = Arm("boosted_trees_observables", "boosted_trees", observables=True)
"""The rival to beat."""

PRETEXT: Final = Pretext()
"""Both pretexts, the one that we would use."""

_RATES: Final = (5e-3, 1e-2, 2e-2, 4e-2)
"""Of Muon."""

_RATES_OF_DESCENT: Final = (3e-3, 1e-2, 3e-2, 1e-1)
"""Of plain stochastic gradient descent; arXiv:2312.06909 has 1e-2."""

_FORESTS: Final = ((100, 0.05), (300, 0.03), (300, 0.1), (800, 0.03))


@dataclass(frozen=True)
class Size:
    """Trainings on so many events.

    Attributes:
        events: Training events a class; a quarter more is for validation.
        seeds: How many seeds.
        epochs: What is tried, fewer and more passes over the training events.
        batch_size: Events in a step.
        rates: Learning rates that are tried, unless by plain stochastic gradient descent, which has its own.
        tuned_at: Size whose learning rate is taken, so that only epochs are tried; ``None`` where rates are.
        only: Names of arms, where not all are trained.
    """

    events: int
    seeds: int
    epochs: tuple[int, ...]
    batch_size: int
    rates: tuple[float, ...] = _RATES
    tuned_at: int | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a benchmark trains.

    Attributes:
        name: Name of the result.
        arms: What is compared.
        signals: What is told from background; trials are made with the first, and the others take its settings.
        sizes: The sizes.
        trials: How many of the listed trials.
        told: Arms whose pre-training is asked for the types of hidden jets.
    """

    name: str
    arms: tuple[Arm, ...]
    signals: tuple[str, ...]
    sizes: tuple[Size, ...]
    trials: int
    told: tuple[str, ...] = ()

    @property
    def samples(self) -> set[str]:
        """Names of the samples that it needs: those of the classes, and unlabelled ones if an arm is pre-trained."""
        pretrained = any(arm.pretext is not None for arm in self.arms)
        return {BACKGROUND, *self.signals, *(f"unlabelled_{name}" for name in UNLABELLED if pretrained)}

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        return next(one for one in self.arms if one.name == name)

    def size(self, events: int) -> Size:
        """Return the size of so many events."""
        return next(one for one in self.sizes if one.events == events)

    def arms_at(self, size: Size) -> tuple[Arm, ...]:
        """Return what is trained at a size."""
        return tuple(one for one in self.arms if not size.only or one.name in size.only)

    def tried(self, size: Size) -> int:
        """Return how many trials every arm has at a size; none where there is nothing to choose."""
        number = len(size.epochs) if size.tuned_at else self.trials
        return number if number > 1 else 0


@dataclass(frozen=True)
class Forms:
    """A full or quick form of all these benchmarks.

    Attributes:
        sizes: The sizes, in order.
        trials: How many of the listed trials.
        cuts: How samples are cut.
        backbone: Options of every transformer.
        pretraining: Keys of ``[training]`` of every pre-training.
    """

    sizes: tuple[Size, ...]
    trials: int
    cuts: Cuts
    backbone: Mapping[str, Any]
    pretraining: Mapping[str, Any]


# Trials of all rates at 16,000 events would take half of the whole time.
FULL: Final = Forms(
    (Size(1_000, 5, (20, 60), 128), Size(4_000, 5, (10, 30), 128), Size(16_000, 4, (8, 20), 256, tuned_at=4_000)),
    8,
    FULL_CUTS,
    {"width": 64, "heads": 4, "blocks": 6},
    {"optimiser": OPTIMISER, "epochs": 5, "batch_size": 512, "learning_rate": 1e-2, "ema": 0.99},
)
QUICK: Final = Forms(
    (Size(480, 1, (10, 20), 64, rates=(1e-2,)),),
    2,
    QUICK_CUTS,
    {"width": 16, "heads": 2, "blocks": 1},
    {"optimiser": OPTIMISER, "epochs": 2, "batch_size": 128, "learning_rate": 1e-2, "ema": 0.99},
)


def trials_of(arm: Arm, size: Size, trials: int) -> tuple[Settings, ...]:
    """Return the settings that an arm tries at a size that has no others to begin from; every arm has as many.

    Networks try learning rates and epochs; boosted trees numbers of trees, with their learning rates, and depths.

    Args:
        arm: The arm.
        size: The size.
        trials: How many are wanted, from the largest learning rate, and fewest trees, on.
    """
    if not arm.is_network:
        forests = [
            {"trees": trees, "learning_rate": rate, "depth": depth} for trees, rate in _FORESTS for depth in (3, 5)
        ]
        return tuple(forests[:trials])
    rates = _RATES_OF_DESCENT if arm.training.get("optimiser") == "sgd" else size.rates
    tried = [
        {"learning_rate": rate, "epochs": epochs, **_steps_of(size)}
        for rate in reversed(rates)
        for epochs in size.epochs
    ]
    return tuple(tried[:trials])


def prolonged(arm: Arm, size: Size, settings: Settings) -> tuple[Settings, ...]:
    """Return the settings that an arm tries at a size, given those of another one: all of its epochs.

    Boosted trees have more trees in the place of more epochs.

    Args:
        arm: The arm.
        size: The size.
        settings: What is best at the other size.
    """
    if not arm.is_network:
        more = [epochs // size.epochs[0] for epochs in size.epochs]
        return tuple({**settings, "trees": settings["trees"] * times} for times in more)
    return tuple({**settings, "epochs": epochs, **_steps_of(size)} for epochs in size.epochs)


def _steps_of(size: Size) -> Settings:
    return {"batch_size": size.batch_size, "ema": 0.99}
