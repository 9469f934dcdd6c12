"""Momenta of particles beside what was measured: what a network of coordinates would have to work out."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from castalia.data.layout import Layout
from castalia.estimators.decayed_momenta import DecayedMomenta
from castalia.estimators.object_choice import TYPICAL, Measured, ObjectChoice

__all__ = ["MomentumFeatures"]

_LARGEST: Final = 6.0  # of a feature, approached smoothly
_LEAST_PT: Final = 0.1  # GeV
_GEV: Final = 50.0  # of a momentum, in units of which it is
# What is measured is known so well that its distance is some tenths: of jets' pt and angles, of leading objects', and
# of flat momenta in GeV.
_JETS: Final = (5.0, 8.0)
_LEADING: Final = (10.0, 10.0)
_FLAT: Final = 20.0


@final
class MomentumFeatures:
    """Momenta of all particles, and the distance of each from what it was measured as.

    A particle of the layout's ``places`` is beside the object chosen for it, one of its decays' ``leading`` beside that
    object, and every other one beside all flat momenta: what leaves no object is what is missing.

    Args:
        layout: Its ``decays`` say what the targets are coordinates of.
        choice: What knows the measured objects, if anything does.

    Raises:
        ConfigError: If a coordinate is no target.

    Attributes:
        count: Number of features.
    """

    def __init__(self, layout: Layout, choice: ObjectChoice | None) -> None:
        if layout.decays is None:
            raise ValueError("the layout has no decays")
        variables = [variable for variable in layout.target if variable.name not in layout.places]
        self._momenta = DecayedMomenta(variables, layout.decays)
        particles = self._momenta.particles
        names = [name.removesuffix(f"_{of_list}") for name, of_list in layout.places.items()]
        names += layout.decays.leading
        self._rows = [particles.index(name) for name in names]
        self._unseen = [place for place in range(len(particles)) if place not in self._rows]
        scales = [_JETS] * len(layout.places) + [_LEADING] * len(layout.decays.leading)
        self._scales = torch.tensor(scales).reshape(-1, 2).T
        self.count = 6 * len(particles) + 3
        if choice is not None:
            self.count += 4 * len(self._rows) + 2 * choice.flat_momenta * len(self._unseen)

    def __call__(self, target: Tensor, measured: Measured | None) -> Tensor:
        """Return the features of targets in physical units.

        Args:
            target: Shape ``(events, T)``.
            measured: What was measured, if anything is known of it.

        Returns:
            Shape ``(events, count)``, none larger than six.
        """
        momenta = self._momenta(target)
        px, py, pz = momenta.unbind(2)
        pt = torch.hypot(px, py).clamp(min=_LEAST_PT)
        own = (pt.log() - TYPICAL, torch.asinh(pz / pt), px / pt, py / pt)
        features = [*own[:3], px / _GEV, py / _GEV, pz / (2.0 * _GEV), momenta.sum(1) / _GEV]
        if measured is not None:
            log_pt, eta, cosine, sine = (values[:, self._rows] for values in own)
            there, of_log_pt, of_eta, of_cosine, of_sine = measured.objects.unbind(2)
            per_pt, per_angle = self._scales.to(target)
            across, along = sine * of_cosine - cosine * of_sine, cosine * of_cosine + sine * of_sine
            beside = (per_pt * (log_pt - of_log_pt), per_angle * (eta - of_eta), per_angle * across, 1.0 - along)
            features += [there * values for values in beside]
            missing = momenta[:, self._unseen, None, :2] - measured.flat[:, None]
            features.append(missing.flatten(1) / _FLAT)
        return _LARGEST * torch.tanh(torch.cat(features, dim=1) / _LARGEST)
