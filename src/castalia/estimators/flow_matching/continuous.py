"""A block whose map is the flow of a differential equation, and the path its velocity is learned along."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor

from castalia.estimators.flow_matching.paths import Path
from castalia.estimators.flow_matching.solver import runge_kutta
from castalia.estimators.flow_matching.velocity import VelocityNetwork
from castalia.estimators.flows.chain import Block

__all__ = ["ContinuousBlock", "PlaceFeatures"]


class PlaceFeatures(ABC):
    """Functions of a place, for the network of its velocity to see."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many."""

    @abstractmethod
    def given(self, condition: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the functions under conditions, from places ``(events, T)`` to ``(events, count)``."""


@final
class ContinuousBlock(Block):
    """Carries a standard normal distribution at time 0 to the targets at time 1 along ``dx/dt = v(x, t | c)``.

    The velocity is learned by regression along paths between independent pairs of noise and target. By default these
    are ``x(t) = cos(pi t / 2) noise + sin(pi t / 2) target``: the straight paths of optimal transport in coordinates
    that shrink with the width of ``(1 - t) noise + t target``, by another clock. Where noise and target are both
    standard normal nothing has to move: the velocity is zero, and one step solves the equation. Along straight paths it
    would narrow and widen again.

    The density is that of the map from targets to noise in ``density_steps`` steps, with its exact Jacobian: normalised
    however few they are, which the usual integral of the divergence is not. Samples are drawn by ``sampling_steps``
    steps the other way; they follow the density to the error of both, which falls as ``steps**-4``.

    Args:
        variables: Number of targets, ``T``.
        condition: Number of leading condition features that the velocity depends on, ``C``.
        hidden: Widths of the hidden layers of the velocity's network.
        sampling_steps: Runge-Kutta steps, of four evaluations each, from noise to targets.
        density_steps: Runge-Kutta steps from targets to noise.
        path: The path that the velocity is learned along.
        features: Functions of the place that the velocity's network sees as well, if any.

    References:
        Lipman et al., Flow Matching for Generative Modeling (arXiv:2210.02747), section 3.2; Albergo and
        Vanden-Eijnden, Building Normalizing Flows with Stochastic Interpolants (arXiv:2209.15571), trigonometric
        interpolant; Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I (1993), section I.14,
        variational equation.
    """

    def __init__(
        self,
        variables: int,
        condition: int,
        hidden: Sequence[int],
        sampling_steps: int,
        density_steps: int,
        path: Path = Path.TRIGONOMETRIC,
        features: PlaceFeatures | None = None,
    ) -> None:
        super().__init__()
        self.path = path
        self.sampling_steps, self.density_steps = sampling_steps, density_steps
        self.condition = condition
        self.features = features
        count = 0 if features is None else features.count
        self.velocity = VelocityNetwork(variables, condition, hidden, count)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Solve from time 1 to 0, together with the equation of the map's Jacobian matrix."""
        given = self._given(condition)
        unit = torch.eye(x.shape[1]).to(x).expand(len(x), -1, -1)
        features = None if self.features is None else self.features.given(condition)

        def rate(time: float, state: Tensor) -> Tensor:
            seen = None if features is None else _with_slopes(features, state[:, 0], state[:, 1:])
            velocity, slopes = self.velocity.with_slopes(state[:, 0], time, given, state[:, 1:], seen)
            return torch.cat([velocity[:, None], slopes], dim=1)

        end = runge_kutta(rate, torch.cat([x[:, None], unit], dim=1), 1.0, 0.0, self.density_steps)
        return end[:, 0], torch.linalg.slogdet(end[:, 1:]).logabsdet

    def inverse(self, z: Tensor, condition: Tensor) -> Tensor:
        """Solve from time 0 to 1."""
        given = self._given(condition)
        features = None if self.features is None else self.features.given(condition)

        def rate(time: float, x: Tensor) -> Tensor:
            seen = () if features is None else (features(x),)
            velocity: Tensor = self.velocity(x, time, given, *seen)
            return velocity

        return runge_kutta(rate, z, 0.0, 1.0, self.sampling_steps)

    def matching_loss(self, target: Tensor, condition: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Return the squared distance of the velocity from that of a path, less the square of the path's own.

        On average it is least for the mean velocity of all paths through a place, which carries the noise's
        distribution to the targets'. The path's own square depends on no parameter, but its fluctuations would hide the
        changes from epoch to epoch that select the best. A velocity of zero has loss zero.

        Args:
            target: Shape ``(events, T)``.
            condition: Shape ``(events, C)``.
            noise: Standard normal, shape ``(events, T)``.
            time: Uniform in [0, 1), shape ``(events, 1)``.

        Returns:
            Shape ``(events,)``.
        """
        place, along = self.path.at(noise, target, time)
        seen = []
        if self.features is not None:
            with torch.no_grad():  # what the velocity is a function of has no parameters of its own to learn
                seen.append(self.features.given(condition)(place))
        velocity = self.velocity(place, time, self._given(condition), *seen)
        loss: Tensor = (velocity * (velocity - 2 * along)).sum(1)
        return loss

    def _given(self, condition: Tensor) -> Tensor:
        given: Tensor = self.velocity.given(condition[:, : self.condition])
        return given


def _with_slopes(of: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return functions of places, and their derivatives along directions, shape ``(events, D, count)``."""
    # By reverse differentiation twice: forward differentiation would load what warns of being out of date.
    jvp: Any = torch.autograd.functional.jvp
    slopes = [jvp(of, x, direction)[1] for direction in directions.unbind(1)]
    return of(x), torch.stack(slopes, dim=1)
