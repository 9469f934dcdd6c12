"""Momenta of particles beside what was measured: what a network of coordinates would have to work out."""

from __future__ import annotations

from collections.abc import Callable
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
        per_pt, per_angle = torch.tensor(scales).reshape(-1, 2).T
        self._scales = torch.stack([per_pt, per_angle, per_angle])
        self.count = 6 * len(particles) + 3
        if choice is not None:
            self.count += 4 * len(self._rows) + 2 * choice.flat_momenta * len(self._unseen)

    def given(self, measured: Measured | None) -> Callable[[Tensor], Tensor]:
        """Return the way from targets to features, of events of which this was measured.

        Features are computed one after the other, each along contiguous memory.

        Args:
            measured: What was measured, if anything is known of it.

        Returns:
            From targets in physical units, shape ``(events, T)``, to features, shape ``(events, count)``, none larger
            than six.
        """
        compared = None if measured is None else self._compared(measured)

        def features(target: Tensor) -> Tensor:
            momenta = self._momenta(target).permute(2, 1, 0)
            px, py, pz = momenta.unbind(0)
            pt = torch.hypot(px, py).clamp(min=_LEAST_PT)
            # For a network's eyes; the inverse hyperbolic sine takes ten times as long.
            size = torch.log((torch.hypot(pt, pz) + pz.abs()) / pt)
            own = torch.cat([torch.stack([pt.log() - TYPICAL, torch.copysign(size, pz)]), momenta[:2] / pt])
            found = [own[:3], momenta / momenta.new_tensor([[[_GEV]], [[_GEV]], [[2.0 * _GEV]]])]
            rows = [*(one.flatten(0, 1) for one in found), momenta.sum(1) / _GEV]
            if compared is not None:
                rows += compared(momenta, own)
            return _LARGEST * torch.tanh(torch.cat(rows) / _LARGEST).t()

        return features

    def _compared(self, measured: Measured) -> Callable[[Tensor, Tensor], list[Tensor]]:
        """Return the distance of momenta, with what is told of them, from what was measured."""
        there, of_log_pt_and_eta, direction = torch.split(measured.objects.permute(2, 1, 0).contiguous(), [1, 2, 2])
        flat, scales = measured.flat.permute(1, 2, 0).contiguous(), self._scales.to(there)[..., None]
        rows, unseen = (torch.tensor(one, dtype=torch.long, device=there.device) for one in (self._rows, self._unseen))

        def distances(momenta: Tensor, own: Tensor) -> list[Tensor]:
            seen = own.index_select(1, rows)
            (cosine, sine), (of_cosine, of_sine) = seen[2:], direction
            across, along = sine * of_cosine - cosine * of_sine, cosine * of_cosine + sine * of_sine
            straight = scales * torch.cat([seen[:2] - of_log_pt_and_eta, across[None]])
            beside = there * torch.cat([straight, 1.0 - along[None]])
            missing = momenta[:2].index_select(1, unseen).transpose(0, 1)[:, None] - flat
            return [beside.flatten(0, 1), missing.flatten(0, 2) / _FLAT]

        return distances
