"""What is measured of generated pixel events, and what is claimed of the arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import wasserstein_distance

from castalia.detectors.pxd.digitiser import PixelHits
from castalia.detectors.pxd.images import occupancy
from castalia.metrics.pixels.clusters import find_clusters
from castalia.metrics.pixels.correlations import matrix_difference
from castalia.metrics.pixels.occupancy import mean_absolute_bias
from castalia.metrics.pixels.shared import matched_hit_excess, variance_ratio
from record import Goal

__all__ = ["difference", "goals_of", "measures"]


def measures(drawn: PixelHits, truth: PixelHits) -> dict[str, float]:
    """Return the numbers of a row."""
    counts, true = occupancy(drawn), occupancy(truth)
    ratio, excess = variance_ratio(counts), matched_hit_excess(drawn)
    of_sensor = np.abs(counts.mean(axis=0) / true.mean(axis=0) - 1.0)
    return {
        "occupancy_bias": float(counts.sum() / true.sum() - 1.0),
        "sensor_bias": mean_absolute_bias(true, counts),
        "worst_sensor_bias": float(of_sensor.max()),
        "charge_w1": float(wasserstein_distance(drawn.charge, truth.charge)),
        "cluster_size_w1": float(wasserstein_distance(find_clusters(drawn).size, find_clusters(truth).size)),
        "spearman_error": matrix_difference(counts, true),
        "variance_ratio": ratio.value,
        "variance_ratio_error": ratio.error,
        "matched_excess": excess.value,
        "matched_excess_error": excess.error,
    }


def difference(
    one: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]], name: str
) -> tuple[float, float]:
    """Return the mean of ``one`` less that of ``other`` over seeds, and its standard error; NaN for one seed."""
    values = [np.array([row[name] for row in rows]) for rows in (one, other)]
    spread = [v.var(ddof=1) / len(v) if len(v) > 1 else np.nan for v in values]
    return float(values[0].mean() - values[1].mean()), float(np.sqrt(sum(spread)))


def goals_of(rows: Mapping[str, Sequence[Mapping[str, Any]]], truth: Mapping[str, Mapping[str, Any]]) -> list[Goal]:
    """Return what is claimed.

    Args:
        rows: Rows of all seeds by ``"arm common_mode"``.
        truth: Row of the truth by common mode, as text.
    """
    found = []
    for mode, true in truth.items():
        best = rows.get(f"intra_event_aware {mode}", [])
        for name, goal in (("occupancy_bias", 0.03), ("sensor_bias", 0.05), ("charge_w1", 1.0)):
            if best:
                value = float(np.mean([abs(row[name]) for row in best]))
                found.append(Goal(f"|{name}|, common mode {mode}", value, "<=", goal))
        if best and float(mode) == 0.0:
            excess = [row["variance_ratio"] - true["variance_ratio"] for row in best]
            error = float(np.hypot(best[0]["variance_ratio_error"], true["variance_ratio_error"]))
            invented = float(np.mean(excess)) / error
            found.append(Goal("invented variance ratio at common mode 0, in standard errors", invented, "<=", 2.0))
            continue
        rivals = rows.get(f"shared_latent {mode}", [])
        if not best or not rivals:
            continue
        gain, error = difference(rivals, best, "spearman_error")
        found.append(Goal(f"Spearman error of the rival less ours over error, {mode}", gain / error, ">=", 2.0))
        off = [
            [{"off": abs(row["matched_excess"] - true["matched_excess"])} for row in some] for some in (rivals, best)
        ]
        gain, error = difference(off[0], off[1], "off")
        found.append(
            Goal(f"matched-hit excess' error of the rival less ours over error, {mode}", gain / error, ">=", 2.0)
        )
    return found
