"""Presets of the classifiers of events."""

from __future__ import annotations

from typing import Any

__all__ = ["CLASSIFICATION_PRESETS"]

CLASSIFICATION_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "classify": (
        "transformer_classifier",
        {"backbone": {"width": 64, "heads": 4, "blocks": 6, "pairwise": True}},
    ),
    # As published, azimuths as sine and cosine of the detector's and no features of pairs; the augmentation is ours.
    "classify_paper": (
        "transformer_classifier",
        {"backbone": {"width": 64, "heads": 4, "blocks": 6, "pairwise": False, "relative": False}},
    ),
    # 4 layers, relations, 2 more layers and the class, as published; without a decay weight it learns classes alone.
    "decay_aware": (
        "graph_classifier",
        {"backbone": {"width": 256, "heads": 2, "blocks": 4, "event_blocks": 2}, "decay_weight": 1.0},
    ),
    "mlp": ("mlp_classifier", {"hidden": [128, 128, 128]}),
    "boosted_trees": ("boosted_trees", {}),
}
"""Estimator and configuration by name: those of arXiv:2312.06909 and arXiv:2212.08759, ours, and the usual rivals."""
