"""Momenta of the places of a flow whose targets are coordinates of decays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from castalia.estimators.flow_matching.continuous import PlaceFeatures
from castalia.estimators.flows.conditional_affine import ConditionalAffine
from castalia.estimators.momentum_features import MomentumFeatures
from castalia.estimators.object_choice import ObjectChoice
from castalia.estimators.scaling import TargetScaling

__all__ = ["FlownMomenta"]


@final
@dataclass(frozen=True)
class FlownMomenta(PlaceFeatures):
    """Those of targets that are scaled, and of which location and width given the event are taken out.

    Attributes:
        features: Functions of targets in physical units.
        targets: Their scaling.
        affine: Location and width.
        choice: What knows the measured objects, where particles are such.
    """

    features: MomentumFeatures
    targets: TargetScaling
    affine: ConditionalAffine
    choice: ObjectChoice | None

    @property
    def count(self) -> int:
        """Number of features."""
        return self.features.count

    def given(self, condition: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the functions of places for events' vectors of shape ``(events, width)``."""
        back = self.affine.inverse_of(condition)
        of_target = self.features.given(None if self.choice is None else self.choice.measured(condition))
        near = self.targets.near_inverse()
        return lambda place: of_target(near(back(place)))
