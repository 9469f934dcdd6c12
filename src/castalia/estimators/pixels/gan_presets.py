"""Presets of the intra-event aware GAN, and the arms it is compared with."""

from __future__ import annotations

from typing import Any

__all__ = ["GAN_ARMS", "GAN_PRESETS"]

_NAME = "intra_event_aware_gan"

GAN_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    # Images of 256 x 768 pixels, for a GPU.
    "iea_gan_full": (
        _NAME,
        {
            "cell": 1,
            "patch": 1,
            "features": [512, 448, 320, 192, 96, 48, 16],
            "discriminator_features": [352, 272, 192, 128, 64, 32, 16],
            "width": 128,
            "event_noise": 0,
            "translation": 16,
            "library": 1,
        },
    ),
    # Cells of 8 x 8 pixels, for two cores.
    "iea_gan_small": (_NAME, {}),
    "iea_gan_tiny": (
        _NAME,
        {
            "patch": 1,
            "features": [16, 8],
            "width": 16,
            "generator_heads": 2,
            "discriminator_heads": 2,
            "library": 4096,
        },
    ),
}

_ALONE = {"generator_relations": False, "discriminator_relations": False, "intra_event": 0.0, "uniformity": 0.0}

GAN_ARMS: dict[str, dict[str, Any]] = {
    # No sensor is told anything that another is told, but the condition.
    "independent": {**_ALONE, "event_noise": 0},
    # One vector shared by all sensors; the discriminator may look at the event, else nothing would train the sharing.
    "shared_latent": {**_ALONE, "event_noise": 4, "discriminator_relations": True},
    "relational": {**_ALONE, "event_noise": 4, "generator_relations": True, "discriminator_relations": True},
    "intra_event_aware": {},
}
"""What the options of a preset become in each arm of the comparison."""
