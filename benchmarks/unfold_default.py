"""What of the default posterior the benchmarks of unfolding train, where they compare no models."""

from __future__ import annotations

from typing import Any

__all__ = ["LARGE", "SMALL"]

LARGE: dict[str, dict[str, Any]] = {
    "options": {"marginals": "gaussianise"},
    "training": {"learning_rate": 8e-3, "epochs": 8},
}
"""Of the default model what a full form trains: the best trial of the comparison, for twice as long as its models."""

SMALL: dict[str, dict[str, Any]] = {
    "options": {"hidden": [64, 64], "encoder": {"width": 16, "heads": 2, "blocks": 1}},
    "training": {"epochs": 40, "batch_size": 128, "learning_rate": 1e-2},
}
"""Of the default model what a quick form trains, in some ten seconds."""
