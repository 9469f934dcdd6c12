"""The analytic truth behind a file: where its sidecar says how the response was generated, the density is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from castalia.data.features import Features
from castalia.data.sidecar import Truth
from castalia.detectors.photon_response import PhotonResponse

__all__ = ["AnalyticTruth", "analytic_truth", "is_diphoton"]

CONDITION_COLUMNS = {"photon_et_true": (0, 1), "photon_eta_true": (0, 1), "mu": (None,)}
TARGET_COLUMNS = {"photon_et": "photon_et_true", "photon_eta": "photon_eta_true", "photon_phi": "photon_phi_true"}


@dataclass(frozen=True)
class AnalyticTruth:
    """A known response in the variables of a model's layout.

    Attributes:
        response: The response of the file.
        condition_order: Columns of the model's condition that make up the response's, in its order, shape ``(5,)``.
        target_order: Columns of the model's target that make up the response's, in its order, shape ``(6,)``.
    """

    response: PhotonResponse
    condition_order: NDArray[np.intp]
    target_order: NDArray[np.intp]

    @property
    def has_density(self) -> bool:
        """False where the response lives on a surface (ρ = 1), so that no density exists."""
        return not self.response.degenerate

    def redraw(self, condition: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw new true responses for the same conditions, shape ``(events, 6)`` in the model's target order."""
        drawn = self.response.sample(condition[:, self.condition_order], rng)
        result = np.empty_like(drawn)
        result[:, self.target_order] = drawn
        return result

    def log_density(self, condition: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the exact log-density of each target, shape ``(events,)``."""
        return self.response.log_density(condition[:, self.condition_order], target[:, self.target_order])

    def log_mass_inside(self, condition: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-probability that every target stays within ``± bound`` (in the model's order)."""
        return self.response.log_mass_inside(condition[:, self.condition_order], bound[self.target_order])

    def widths(self, condition: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the core width of every target, shape ``(events, 6)``, in its unit."""
        result = np.empty((len(condition), len(self.target_order)))
        result[:, self.target_order] = self.response.widths(condition[:, self.condition_order])
        return result


def is_diphoton(features: Features) -> bool:
    """Tell whether the model predicts both photons' ET, η and φ as differences to the truth."""
    if features.objects is None or features.objects.take != 2:
        return False
    return {v.column: v.minus for v in features.target.values()} == TARGET_COLUMNS


def analytic_truth(features: Features, truth: Truth | None) -> AnalyticTruth | None:
    """Return the known response of a file in the model's variables, or ``None`` where there is none.

    Args:
        features: The model's variables.
        truth: What the file's sidecar says of its generation.
    """
    if truth is None or truth.scenario is None or not is_diphoton(features):
        return None
    condition = [(features.condition[v.group].column, v.object_index) for v in features.layout.condition]
    wanted = [(column, index) for column, indices in CONDITION_COLUMNS.items() for index in indices]
    if not set(wanted) <= set(condition):
        return None
    target = [(features.target[v.group].column, v.object_index) for v in features.layout.target]
    ordered = [(column, photon) for photon in (0, 1) for column in TARGET_COLUMNS]
    response = PhotonResponse(
        scenario=truth.scenario, rho=truth.rho, parametrisation=truth.parametrisation, mixture=truth.mixture
    )
    return AnalyticTruth(
        response,
        np.array([condition.index(place) for place in wanted]),
        np.array([target.index(place) for place in ordered]),
    )
