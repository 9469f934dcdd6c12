"""Presets of the set VAE of pixel events, and of the baselines beside it."""

from __future__ import annotations

from typing import Any

__all__ = ["SET_PRESETS"]

_SET_VAE: dict[str, Any] = {"relations": 0, "law": "log_affine"}
_TINY: dict[str, Any] = {"width": 8, "relations": 2, "entries": 64, "encoded_hits": 512, "scored_sensors": 2}

SET_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "yoneda": ("yoneda_vae", {}),
    "yoneda_tiny": ("yoneda_vae", _TINY),
    "set_vae": ("yoneda_vae", _SET_VAE),
    "set_vae_tiny": ("yoneda_vae", {**_TINY, **_SET_VAE}),
    "negative_binomial_clusters": ("negative_binomial_clusters", {}),
    "negative_binomial_common_mode": ("negative_binomial_clusters", {"common_mode": True}),
    "superposition": ("superposition", {}),
}
"""Estimator and configuration by name; those that end in ``_tiny`` are for tests."""
