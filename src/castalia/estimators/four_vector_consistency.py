"""Relations between four-vectors among the targets: composites have their mass, and are the sum of their daughters."""

from __future__ import annotations

from typing import Self, final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from castalia.data.layout import Layout, Variable
from castalia.data.strict import StrictModel
from castalia.errors import ConfigError
from castalia.estimators.moments import Moments

__all__ = ["ConsistencyConfig", "FourVectorConsistency", "ParticleConfig"]

_LARGEST_LOG_ENERGY = 20.0  # 5e8 GeV: keeps the exponential of a wild guess finite


@final
class ParticleConfig(StrictModel):
    """The target variables that hold one particle's four-vector.

    Attributes:
        px: Name of the first momentum component, like the others in GeV.
        py: Name of the second.
        pz: Name of the third.
        log_e: Name of the target ``log(E / GeV + 1)``.
        mass: Name of the mass; needed of a composite.
        daughters: The particles, by the names of their sections, that a composite is the sum of; none for a leaf.
    """

    px: str
    py: str
    pz: str
    log_e: str
    mass: str | None = None
    daughters: tuple[str, ...] = ()


@final
class ConsistencyConfig(StrictModel):
    """A loss that grows where composites contradict their masses or their daughters.

    Attributes:
        weight: Factor on this loss.
        particles: Particles by name.
    """

    weight: float = Field(gt=0)
    particles: dict[str, ParticleConfig]

    @model_validator(mode="after")
    def _family_known(self) -> Self:
        for name, particle in self.particles.items():
            for daughter in particle.daughters:
                if daughter not in self.particles or daughter == name:
                    known = ", ".join(other for other in self.particles if other != name)
                    raise ValueError(f"'{name}' cannot have the daughter '{daughter}'; the other particles are {known}")
            if particle.daughters and particle.mass is None:
                raise ValueError(f"'{name}' has daughters but no mass; name the target variable that holds it")
        if not any(particle.daughters for particle in self.particles.values()):
            raise ValueError("no particle has daughters; without a composite there is no relation to keep")
        return self


@final
class FourVectorConsistency(nn.Module):
    """Compares each composite's mass squared with ``E^2 - p^2``, and its four-vector with the sum of its daughters'.

    Differences are divided by the standard deviation, over the training events, of what they are differences of.

    Args:
        layout: Target variables.
        config: Which of them are whose.

    Raises:
        ConfigError: If a named variable is no target.

    References:
        Shmakov et al. (arXiv:2305.10399), the physics consistency loss.
    """

    scale: Tensor

    def __init__(self, layout: Layout, config: ConsistencyConfig) -> None:
        super().__init__()
        self.weight = config.weight
        numbers = {variable.name: i for i, variable in enumerate(layout.target)}
        self._vectors = {
            name: [_number(numbers, one, name) for one in (particle.px, particle.py, particle.pz, particle.log_e)]
            for name, particle in config.particles.items()
        }
        self._composites = {
            name: (_number(numbers, particle.mass, name), particle.daughters)
            for name, particle in config.particles.items()
            if particle.daughters and particle.mass is not None
        }
        self._references = tuple(
            Variable(f"{name}: {what}") for name in self._composites for what in ("mass squared", "px", "py", "pz", "E")
        )
        self.register_buffer("scale", torch.ones(len(self._references)))
        self._moments = Moments(len(self._references))

    def update(self, target: Tensor, weight: Tensor) -> None:
        """Take events into the statistics.

        Args:
            target: Physical targets, shape ``(events, T)``.
            weight: Shape ``(events,)``.
        """
        target = target.double()
        columns = []
        for name, (mass, _) in self._composites.items():
            columns += [target[:, mass : mass + 1].square(), self._four_vector(target, name)]
        self._moments.update(torch.cat(columns, dim=1), weight)

    def finish(self) -> None:
        """Store the statistics as a buffer and begin anew.

        Raises:
            DataError: If a quantity is the same in every event.
        """
        _, deviation = self._moments.result(self._references, "target")
        self.scale.copy_(deviation)
        self._moments = Moments(len(self._references))

    def forward(self, target: Tensor) -> Tensor:
        """Return the weighted loss of each event: quadratic in standardised differences up to one, then linear.

        Args:
            target: Targets in physical units, shape ``(events, T)``.

        Returns:
            Shape ``(events,)``, zero where all relations hold.
        """
        columns = []
        for name, (mass, daughters) in self._composites.items():
            vector = self._four_vector(target, name)
            energy, momentum = vector[:, 3:], vector[:, :3].norm(dim=1, keepdim=True)
            # As a product, the difference keeps its precision where both are large.
            columns.append(target[:, mass : mass + 1].square() - (energy - momentum) * (energy + momentum))
            columns.append(vector - torch.stack([self._four_vector(target, one) for one in daughters]).sum(0))
        standardised = torch.cat(columns, dim=1) / self.scale
        return self.weight * smooth_l1_loss(standardised, torch.zeros_like(standardised), reduction="none").sum(1)

    def _four_vector(self, target: Tensor, name: str) -> Tensor:
        """Return momentum and energy, shape ``(events, 4)``."""
        columns = self._vectors[name]
        energy = target[:, columns[3:]].clamp(max=_LARGEST_LOG_ENERGY).expm1()
        return torch.cat([target[:, columns[:3]], energy], dim=1)


def _number(numbers: dict[str, int], name: str | None, particle: str) -> int:
    if name not in numbers:
        raise ConfigError(
            f"The particle '{particle}' is said to be in '{name}', which is no target; the targets are "
            f"{', '.join(numbers)}."
        )
    return numbers[name]
