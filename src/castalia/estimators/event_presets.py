"""Presets of the estimators whose condition is an event with lists of objects."""

from __future__ import annotations

from typing import Any

__all__ = ["EVENT_PRESETS"]

_LIKELIHOOD: dict[str, Any] = {"prediction": "noise", "loss": "likelihood", "schedule": "learned", "levels": 1}
_LATENT: dict[str, Any] = {"start": -5.0}


def _tuned(sees: tuple[bool, bool], **options: Any) -> tuple[str, dict[str, Any]]:
    """Return a latent diffusion whose encoder and decoder see the event or not."""
    encoder, decoder = sees
    autoencoder = {"latent": 24, "encoder_sees_event": encoder, "decoder_sees_event": decoder}
    return "variational_latent_diffusion", {"autoencoder": autoencoder, "diffusion": _LATENT, **options}


def _paper(sees: tuple[bool, bool], **options: Any) -> tuple[str, dict[str, Any]]:
    """Return the same as published: noise prediction, the likelihood's weights, and standardised targets."""
    name, tuned = _tuned(sees, **options)
    autoencoder = {**tuned["autoencoder"], "beta": 0.1, "learned_widths": False}
    return name, {**tuned, "autoencoder": autoencoder, "diffusion": _LIKELIHOOD, "marginals": "standardise"}


EVENT_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "vld": _tuned((True, False)),
    "uc_vld": _tuned((False, False)),
    "c_vld": _tuned((True, True)),
    "ldm": _tuned((False, False), pretrained=True),
    "vdm": ("variational_latent_diffusion", {"diffusion": {"width": 320, "start": -10.0}}),
    "cvae": (
        "variational_latent_diffusion",
        {"autoencoder": {"encoder_sees_event": True, "decoder_sees_event": True, "hidden": [320, 320, 320]}},
    ),
    "cinn": ("cinn", {"blocks": 24, "hidden": [96, 96]}),
    "cinn_spline": ("cinn", {"blocks": 10, "hidden": [96, 96], "univariate": "affine_spline"}),
    "unfold_flow_matching": ("event_flow_matching", {"hidden": [320, 320, 320, 320], "affine_hidden": [256, 256]}),
    "vld_full": (
        "variational_latent_diffusion",
        {
            "encoder": {"width": 64, "heads": 4, "blocks": 8, "expansion": 4},
            "autoencoder": {"latent": 64, "hidden": [512, 512], "encoder_sees_event": True},
            "diffusion": {**_LATENT, "width": 512, "blocks": 4},
        },
    ),
    "vld_paper": _paper((True, False)),
    "uc_vld_paper": _paper((False, False)),
    "c_vld_paper": _paper((True, True)),
    "ldm_paper": _paper((False, False), pretrained=True),
    "vdm_paper": (
        "variational_latent_diffusion",
        {"diffusion": {**_LIKELIHOOD, "width": 320}, "marginals": "standardise"},
    ),
}
"""Estimator and configuration by name: the models of Shmakov et al. (arXiv:2305.10399), and flow matching.

Those that end in ``_paper`` have the published losses, and sizes for one processor core; the others are tuned.
``vld_full`` has the published size and is for a GPU.
"""
