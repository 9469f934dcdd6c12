"""What the comparison of relational arms trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from castalia.estimators.pixels.gan_presets import GAN_ARMS

__all__ = ["FULL_PLAN", "QUICK_PLAN", "Plan"]


@dataclass(frozen=True)
class Plan:
    """Size of the comparison.

    Attributes:
        name: Name of the result.
        preset: The preset whose options the arms change.
        arms: The arms; events without a common mode are for the last one, which is to invent nothing.
        seeds: Seeds of the training.
        repeated: The arms that are trained with every seed; the others are with the first.
        common_modes: Relative spreads that all sensors of an event share.
        train: Training events of each common mode; one in ten selects the best epoch.
        test: Events to judge on.
        epochs: Passes over the training events, of either phase.
        options: Of every model.
    """

    name: str
    preset: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    repeated: tuple[str, ...]
    common_modes: tuple[float, ...]
    train: int
    test: int
    epochs: int
    options: Mapping[str, Any] = field(default_factory=dict)


ARMS: Final = tuple(GAN_ARMS)

# 1,000 events in pairs: 1,800 steps of the networks, some twelve minutes of a core, and a minute of calibration.
FULL_PLAN: Final = Plan(
    "pixels_relational",
    "iea_gan_small",
    ARMS,
    (1, 2, 3),
    ("shared_latent", "intra_event_aware"),
    (0.2, 0.04, 0.0),
    train=1_000,
    test=400,
    epochs=4,
)
QUICK_PLAN: Final = Plan(
    "pixels_relational_quick",
    "iea_gan_tiny",
    ("independent", "intra_event_aware"),
    (1,),
    (),
    (0.2,),
    train=40,
    test=30,
    epochs=3,
    options={"patch": 4},
)
