"""One section of a card at work: its formulas for real objects, and the random numbers that they ask for.

Every key of a card draws from a stream of its own, so that changing one key moves no other quantity, and the first
events of a longer unit are those of a shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from castalia.data.strict import StrictModel
from castalia.detectors.parametric.limits import Variables, ask, object_variables
from castalia.detectors.parametric.objects import Objects
from castalia.physics.angles import wrap_phi
from castalia.rng import Stream

__all__ = ["Section"]


@final
@dataclass(frozen=True)
class Section:
    """A section of the card, with the streams of one unit of work. Ask each key for random numbers once.

    Attributes:
        card: The section.
        name: Its name in the card, such as ``"electrons"``.
        experiment: The card's name, for errors.
        seed: Seed of the run.
        unit: Unit of work.
    """

    card: StrictModel
    name: str
    experiment: str
    seed: int
    unit: str

    def part(self, card: StrictModel, name: str) -> Section:
        """Return a section inside this one."""
        return Section(card, f"{self.name}.{name}", self.experiment, self.seed, self.unit)

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the stream of one purpose, from its beginning."""
        return Stream(self.seed, f"detector {self.name}.{purpose}", self.unit).at()

    @staticmethod
    def variables(objects: Objects, mu: NDArray[np.float64]) -> Variables:
        """Return the variables of objects with ``pt``, ``eta``, ``phi``; ``mu`` is per event, of shape ``(rows,)``."""
        return object_variables(objects["pt"], objects["eta"], objects["phi"], mu[objects.event])

    def value(self, key: str, kind: str, variables: Variables) -> NDArray[np.float64]:
        """Return a formula's value for each object; see :func:`castalia.detectors.parametric.limits.ask`."""
        formula = getattr(self.card, key)
        return ask(formula, kind, f"card {self.experiment}, key '{self.name}.{key}'", variables)

    def passes(self, key: str, variables: Variables) -> NDArray[np.bool_]:
        """Accept each object with the probability that an efficiency gives."""
        probability = self.value(key, "efficiency", variables)
        return np.asarray(self.rng(key).random(len(probability)) < probability)

    def shifts(self, key: str, variables: Variables) -> NDArray[np.float64]:
        """Draw Gaussian shifts about 0, as wide as a resolution gives."""
        width = self.value(key, "resolution", variables)
        return np.asarray(width * self.rng(key).standard_normal(len(width)))

    def factors(self, key: str, variables: Variables) -> NDArray[np.float64]:
        """Draw log-normal factors of mean 1, as wide as a resolution gives: positive, however wide.

        If ln f is Gaussian of variance ln(1 + width**2) and of mean minus half of that, then f has mean 1 and standard
        deviation ``width``.
        """
        variance = np.log1p(np.square(self.value(key, "resolution", variables)))
        normal = self.rng(key).standard_normal(len(variance))
        return np.asarray(np.exp(np.sqrt(variance) * normal - 0.5 * variance))

    def direction(self, objects: Objects, variables: Variables) -> dict[str, Any]:
        """Smear ``eta`` and ``phi`` by ``eta_resolution`` and ``phi_resolution``."""
        eta = objects["eta"] + self.shifts("eta_resolution", variables)
        return {"eta": eta, "phi": wrap_phi(objects["phi"] + self.shifts("phi_resolution", variables))}
