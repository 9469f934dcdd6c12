"""What ``pixels_extrapolation.py`` measures of drawn events beside true ones, and what it claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from castalia.estimators.pixels.hits import Hits
from castalia.metrics.pixels.correlations import matrix_difference, mean_correlation
from castalia.metrics.pixels.occupancy import mean_absolute_bias
from castalia.metrics.pixels.shared import variance_ratio
from castalia.metrics.pixels.spectra import histogram_wasserstein
from record import Goal

__all__ = ["Summary", "compared", "goals_of"]

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Summary:
    """What is kept of events.

    Attributes:
        counts: Hits by event and sensor, shape ``(events, sensors)``.
        charges: Hits by charge, piece by piece, shape ``(pieces, 256)``.
    """

    counts: Floats
    charges: Floats

    @classmethod
    def of(cls, hits: list[Hits], sensors: int) -> Summary:
        """Count the hits of events that come in pieces."""
        counts = np.concatenate([one.counts(sensors).numpy() for one in hits]).astype(np.float64)
        charges = np.stack([np.bincount(one.charge.numpy(), minlength=256) for one in hits])
        return cls(counts, charges.astype(np.float64))


def compared(drawn: Summary, true: Summary) -> dict[str, Any]:
    """Return the measures of drawn events beside as many true ones of the same conditions."""
    total, of_truth = drawn.counts.sum(axis=1), true.counts.sum(axis=1)
    errors = [one.std(ddof=1) / np.sqrt(len(one)) / one.mean() for one in (total, of_truth)]
    bias = drawn.counts.mean(axis=0) / true.counts.mean(axis=0) - 1.0
    ratio, ratio_true = variance_ratio(drawn.counts), variance_ratio(true.counts)
    return {
        "count_bias": total.mean() / of_truth.mean() - 1.0,
        "count_bias_error": float(np.hypot(errors[0], errors[1])),
        "sensor_bias": mean_absolute_bias(true.counts, drawn.counts),
        "sensor_bias_worst": float(np.abs(bias).max()),
        "charge_w1": histogram_wasserstein(drawn.charges, true.charges),
        "variance_ratio": ratio.value,
        "variance_ratio_error": ratio.error,
        "variance_ratio_true": ratio_true.value,
        "variance_ratio_true_error": ratio_true.error,
        "correlation": mean_correlation(drawn.counts).value,
        "correlation_true": mean_correlation(true.counts).value,
        "correlation_error": matrix_difference(drawn.counts, true.counts),
    }


def goals_of(rows: Mapping[str, Mapping[str, Any]], quick: bool) -> list[Goal]:
    """Return what is claimed at twice the luminosity of the training, the mean of the seeds of each model."""

    def mean(model: str, what: str, size: bool = False) -> float:
        found = [float(row["attributes"]["2"][what]) for row in rows.values() if row["model"] == model]
        return float(np.mean(np.abs(found) if size else found))

    ours, rival, regression = (
        mean(name, "count_bias", size=True) for name in ("yoneda", "set_vae", "negative_binomial_clusters")
    )
    error = mean("yoneda", "count_bias_error")
    kept = mean("yoneda", "variance_ratio") / mean("yoneda", "variance_ratio_true")
    parts = [
        mean("yoneda", f"variance_ratio{one}_error") / mean("yoneda", f"variance_ratio{one}") for one in ("", "_true")
    ]
    spread = float(np.hypot(parts[0], parts[1]))
    goals = [
        Goal("|count bias| of YonedaVAE at luminosity 2", ours, "<=", 0.05, error),
        Goal("|count bias| at 2, over that of SetVAE", ours / rival, "<", 1.0, peer="set_vae"),
        Goal(
            "|count bias| at 2, less the regression's",
            ours - regression,
            "<=",
            2.0 * error,
            error,
            peer="negative_binomial_clusters",
        ),
    ]
    if quick:
        return goals
    return [
        *goals,
        Goal("mean |count bias| of a sensor at 2", mean("yoneda", "sensor_bias"), "<=", 0.05),
        Goal("|variance ratio / truth's - 1| at 2", abs(kept - 1.0), "<=", 0.25, spread * kept),
        Goal(
            "error of the rank correlations at 2, over that of independent sensors",
            mean("yoneda", "correlation_error") / mean("set_vae_additive", "correlation_error"),
            "<",
            1.0,
            peer="set_vae_additive",
        ),
        Goal("charge W1 at 2 (ADU)", mean("yoneda", "charge_w1"), "<=", 1.0),
    ]
