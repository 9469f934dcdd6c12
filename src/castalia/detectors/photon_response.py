"""Response of a detector to two photons, with its exact density: what a model of the response is judged against.

The response of an observable is its reconstructed value minus the true one. Its width depends on the photon and on
pile-up (:mod:`castalia.detectors.resolution`); its shape, in units of the width, is the scenario:

* ``baseline``: normal, photons independent.
* ``correlated``: normal, the two photons' pulls correlated by rho in each observable.
* ``asymmetric``: a normal core and a low tail, N(0, 1) and N(-3, 3) with weights 84 and 16, photons independent.
* ``crystal-ball``: a double-sided Crystal Ball in et, normal in eta and phi, photons independent.

References:
    Generative Machine Learning for Detector Response Modeling with a Conditional Normalizing Flow, section 3.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, final, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from castalia.detectors.pull_shapes import (
    CoreAndTail,
    DoubleCrystalBall,
    Gaussian,
    PullShape,
    normal_log_density,
    normal_pair_inside,
)
from castalia.detectors.resolution import PARAMETRISATIONS, Parametrisation, photon_resolutions
from castalia.errors import ConfigError, DataError

__all__ = ["MIXTURES", "SCENARIOS", "Mixture", "PhotonResponse", "Scenario"]

Scenario = Literal["baseline", "correlated", "asymmetric", "crystal-ball"]
Mixture = Literal["amplitude", "area"]

SCENARIOS: Final[tuple[str, ...]] = get_args(Scenario)
MIXTURES: Final[tuple[str, ...]] = get_args(Mixture)

_CORE_WEIGHT, _TAIL_WEIGHT = 0.84, 0.16
_MIXTURE_SHAPES: Final = {
    "amplitude": CoreAndTail.from_amplitudes(_CORE_WEIGHT, _TAIL_WEIGHT),
    "area": CoreAndTail(_TAIL_WEIGHT),
}
_CONDITIONS, _TARGETS = 5, 6


@final
@dataclass(frozen=True)
class PhotonResponse:
    """The response of two photons of an event.

    Conditions are, in this order, et_1, et_2 (GeV), eta_1, eta_2, mu; responses et_1 (GeV), eta_1, phi_1 (radians),
    et_2, eta_2, phi_2; photon 1 has the larger true et.

    Attributes:
        scenario: Shape and correlation, see the module.
        rho: Correlation of the photons' pulls in each observable, in [-1, 1]; 0 in every scenario but ``correlated``.
        parametrisation: Which reading of the paper's widths. ``printed`` also takes Eq. 3.4 as printed, with
            rho squared on unscaled responses, so that the pulls' correlation is not rho.
        mixture: Whether the 84 and 16 of ``asymmetric`` are heights of the two curves or areas under them.
    """

    scenario: str = "baseline"
    rho: float = 0.0
    parametrisation: str = "repaired"
    mixture: str = "amplitude"

    def __post_init__(self) -> None:
        """Refuse what does not exist.

        Raises:
            ConfigError: If a name is unknown, rho is outside [-1, 1], or rho is given to independent photons.
        """
        known = {"scenario": SCENARIOS, "parametrisation": PARAMETRISATIONS, "mixture": MIXTURES}
        for field, names in known.items():
            if getattr(self, field) not in names:
                raise ConfigError(f"There is no {field} {getattr(self, field)!r}; choose one of {', '.join(names)}.")
        if not -1.0 <= self.rho <= 1.0:
            raise ConfigError(f"rho must lie in [-1, 1], not {self.rho}.")
        if self.rho != 0.0 and self.scenario != "correlated":
            raise ConfigError(
                f"rho = {self.rho} needs scenario 'correlated'; the photons of {self.scenario!r} are independent."
            )

    @property
    def degenerate(self) -> bool:
        """True where one photon's response determines the other's (rho = +-1), so that there is no density."""
        return abs(self.rho) == 1.0

    def resolutions(
        self, et: ArrayLike, eta: ArrayLike, mu: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the core widths of et (GeV), eta and phi (radians) of single photons.

        Args:
            et: True transverse energies in GeV, any shape.
            eta: True pseudorapidities, broadcastable with ``et``.
            mu: Mean numbers of interactions per crossing, broadcastable with ``et``.
        """
        return photon_resolutions(self._reading, et, eta, mu)

    def widths(self, condition: ArrayLike) -> NDArray[np.float64]:
        """Return the core widths of all responses; with ``printed`` some may be zero or negative.

        In ``correlated`` as printed, the second photon's response is not as wide as its width says.

        Args:
            condition: Conditions, shape ``(events, 5)``.

        Returns:
            Widths in the responses' units and order, shape ``(events, 6)``.

        Raises:
            DataError: If ``condition`` has another shape.
        """
        et_1, et_2, eta_1, eta_2, mu = _columns(condition, _CONDITIONS, "conditions").T
        return np.stack([*self.resolutions(et_1, eta_1, mu), *self.resolutions(et_2, eta_2, mu)], axis=1)

    def usable(self, condition: ArrayLike) -> NDArray[np.bool_]:
        """Tell which events have six positive widths; all have, but with ``printed``.

        Args:
            condition: Conditions, shape ``(events, 5)``.
        """
        return np.asarray((self.widths(condition) > 0.0).all(axis=1), dtype=np.bool_)

    def sample(self, condition: ArrayLike, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw one response for each event, exactly.

        Six uniform numbers are used for each event, in order, so the first events do not depend on how many follow.

        Args:
            condition: Conditions, shape ``(events, 5)``.
            rng: Random numbers.

        Returns:
            Responses, shape ``(events, 6)``.

        Raises:
            DataError: If an event is not :meth:`usable`.
        """
        widths = self._positive_widths(condition)
        # Zero is in the half-open interval of uniform numbers and has no finite quantile.
        uniform = np.maximum(rng.random(widths.shape), 2.0**-54)
        shapes = self.pull_shapes()
        pull = np.stack([shapes[k % 3].from_uniform(uniform[:, k]) for k in range(_TARGETS)], axis=1)
        response = pull * widths
        if self.scenario == "correlated":
            slope, own = self._second_photon(widths)
            response[:, 3:] = slope * response[:, :3] + own * pull[:, 3:]
        return response

    def pulls(self, condition: ArrayLike, response: ArrayLike) -> NDArray[np.float64]:
        """Return responses over widths, without unit.

        Args:
            condition: Conditions, shape ``(events, 5)``.
            response: Responses, shape ``(events, 6)``.

        Raises:
            DataError: If an event is not :meth:`usable` or the shapes differ.
        """
        widths = self._positive_widths(condition)
        return np.asarray(_columns(response, _TARGETS, "responses", len(widths)) / widths, dtype=np.float64)

    def log_density(self, condition: ArrayLike, response: ArrayLike) -> NDArray[np.float64]:
        """Return the exact logarithm of the density of the responses given the conditions.

        Args:
            condition: Conditions, shape ``(events, 5)``.
            response: Responses, shape ``(events, 6)``.

        Returns:
            Natural logarithms of the density per GeV**2 (the other units are pure numbers), shape ``(events,)``.

        Raises:
            DataError: If an event is not :meth:`usable` or the shapes differ.
            ConfigError: If the response is :attr:`degenerate`.
        """
        self._need_density()
        widths = self._positive_widths(condition)
        response = _columns(response, _TARGETS, "responses", len(widths))
        pull = response / widths
        if self.scenario != "correlated":
            log_pulls = self._over_targets(lambda shape, k: shape.log_density(pull[:, k]))
            return np.asarray(log_pulls - np.log(widths).sum(axis=1), dtype=np.float64)
        slope, own = self._second_photon(widths)
        second = (response[:, 3:] - slope * response[:, :3]) / own
        terms = normal_log_density(pull[:, :3]) + normal_log_density(second) - np.log(widths[:, :3] * own)
        return np.asarray(terms.sum(axis=1), dtype=np.float64)

    def log_mass_inside(self, condition: ArrayLike, bound: ArrayLike) -> NDArray[np.float64]:
        """Return the logarithm of the probability that every response is smaller in magnitude than its bound.

        A model trained on events inside bounds has the density ``log_density - log_mass_inside`` as its truth.

        Args:
            condition: Conditions, shape ``(events, 5)``.
            bound: Positive bounds in the responses' units and order, shape ``(6,)``; may be infinite.

        Returns:
            Natural logarithms, at most 0, shape ``(events,)``.

        Raises:
            DataError: If an event is not :meth:`usable`, or ``bound`` is not six positive numbers.
            ConfigError: If the response is :attr:`degenerate`.
        """
        self._need_density()
        limits = np.asarray(bound, dtype=np.float64)
        if limits.shape != (_TARGETS,) or not (limits > 0.0).all():
            raise DataError(
                f"Bounds must be {_TARGETS} positive numbers, one for each response, not {limits.tolist()}."
            )
        widths = self._positive_widths(condition)
        if self.scenario != "correlated":
            scaled = limits / widths
            return self._over_targets(lambda shape, k: np.log1p(-np.minimum(shape.outside(scaled[:, k]), 1.0)))
        slope, own = self._second_photon(widths)
        # Both responses are normal: the second with this total width and this correlation to the first.
        total = np.hypot(slope * widths[:, :3], own)
        inside = normal_pair_inside(limits[:3] / widths[:, :3], limits[3:] / total, slope * widths[:, :3] / total)
        return np.asarray(np.log(inside).sum(axis=1), dtype=np.float64)

    def _second_photon(self, widths: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how the second photon's responses follow the first's, and the width of what is their own."""
        own = widths[:, 3:] * np.sqrt((1.0 - self.rho) * (1.0 + self.rho))
        if self.parametrisation == "printed":
            # Eq. 3.4 of the paper as printed: rho squared, on responses that are not scaled to their widths.
            return np.full_like(own, self.rho**2), own
        # Eq. 3.4 of the paper, with rho instead of rho squared and on unit pulls: the correlation is rho.
        return self.rho * widths[:, 3:] / widths[:, :3], own

    def pull_shapes(self) -> tuple[PullShape, PullShape, PullShape]:
        """Return the shapes of the pulls in et, eta and phi."""
        if self.scenario == "asymmetric":
            shape = _MIXTURE_SHAPES[self.mixture]
            return shape, shape, shape
        energy = DoubleCrystalBall() if self.scenario == "crystal-ball" else Gaussian()
        return energy, Gaussian(), Gaussian()

    def _over_targets(self, term: Callable[[PullShape, int], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Sum one term over the six independent responses."""
        shapes = self.pull_shapes()
        return np.asarray(sum(term(shapes[k % 3], k) for k in range(_TARGETS)), dtype=np.float64)

    def _positive_widths(self, condition: ArrayLike) -> NDArray[np.float64]:
        widths = self.widths(condition)
        bad = np.flatnonzero((widths <= 0.0).any(axis=1) | np.isnan(widths).any(axis=1))
        if len(bad):
            raise DataError(
                f"{len(bad)} of {len(widths)} events have a width that is not positive (first in row {bad[0]}) in "
                f"the {self.parametrisation!r} parametrisation; leave out the rows that are not usable."
            )
        return widths

    def _need_density(self) -> None:
        if self.degenerate:
            raise ConfigError(
                f"With rho = {self.rho:g} one photon's response determines the other's and there is no density; "
                "judge such a sample by its pulls and distances, or use rho between -1 and 1."
            )

    @property
    def _reading(self) -> Parametrisation:
        return self.parametrisation  # type: ignore[return-value]  # __post_init__ has checked the name


def _columns(values: ArrayLike, columns: int, what: str, rows: int | None = None) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != columns or rows not in (None, len(array)):
        wanted = f"({'events' if rows is None else rows}, {columns})"
        raise DataError(f"The array of {what} has shape {array.shape}; two photons need {wanted}.")
    return array
