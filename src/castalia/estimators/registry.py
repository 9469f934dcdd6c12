"""Estimators and presets by name, the user's own included."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from castalia.data.layout import Layout
from castalia.data.strict import config_error
from castalia.errors import ConfigError
from castalia.estimators.base import Estimator, Sampler
from castalia.estimators.classification.boosted_trees import BoostedTrees
from castalia.estimators.classification.dense import MLPClassifier
from castalia.estimators.classification.networks import GraphClassifier, TransformerClassifier
from castalia.estimators.classification.presets import CLASSIFICATION_PRESETS
from castalia.estimators.classification.pretraining import ObjectPretraining
from castalia.estimators.efficiency import EfficiencyModel
from castalia.estimators.event_flows import CINN, EventFlowMatching
from castalia.estimators.event_presets import EVENT_PRESETS
from castalia.estimators.flow_matching.estimator import FlowMatching
from castalia.estimators.flows.flow import CouplingSplineFlow, MaskedAutoregressiveFlow
from castalia.estimators.latent_diffusion import VariationalLatentDiffusion
from castalia.estimators.pixels.gan import IntraEventAwareGAN
from castalia.estimators.pixels.gan_presets import GAN_PRESETS
from castalia.estimators.pixels.negative_binomial_clusters import NegativeBinomialClusters
from castalia.estimators.pixels.superposition import Superposition
from castalia.estimators.pixels.yoneda import YonedaVAE
from castalia.estimators.pixels.yoneda_presets import SET_PRESETS
from castalia.estimators.smearing import ParametricSmearing
from castalia.rng import Stream

__all__ = ["BUILT_IN", "GROUP", "PRESETS", "build", "estimator_class", "name_of", "preset"]

GROUP = "castalia.estimators"
"""Entry-point group under which other packages offer estimators."""

BUILT_IN: dict[str, type[Estimator]] = {
    "masked_autoregressive_flow": MaskedAutoregressiveFlow,
    "coupling_spline_flow": CouplingSplineFlow,
    "flow_matching": FlowMatching,
    "parametric_smearing": ParametricSmearing,
    "efficiency": EfficiencyModel,
    "variational_latent_diffusion": VariationalLatentDiffusion,
    "cinn": CINN,
    "event_flow_matching": EventFlowMatching,
    "transformer_classifier": TransformerClassifier,
    "graph_classifier": GraphClassifier,
    "mlp_classifier": MLPClassifier,
    "boosted_trees": BoostedTrees,
    "object_pretraining": ObjectPretraining,
    "negative_binomial_clusters": NegativeBinomialClusters,
    "superposition": Superposition,
    "yoneda_vae": YonedaVAE,
    "intra_event_aware_gan": IntraEventAwareGAN,
}

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    # Section 4 of the paper: ten blocks of 128-128, half-swap, tanh, fixed scales.
    "paper": (
        "masked_autoregressive_flow",
        {
            "blocks": 10,
            "hidden": [128, 128],
            "conditional_affine": False,
            "log_scale_limit": 1.0,
            "truncate": True,
            "permutation": "half_swap",
        },
    ),
    # Location, width and linear correlations first; tails and asymmetries then cost one autoregressive spline, not ten
    # blocks.
    "compact": (
        "masked_autoregressive_flow",
        {
            "blocks": 1,
            "hidden": [32, 32],
            "affine_hidden": [],
            "linear": True,
            "dither": 0.04,
            "embedding_bins": 48,
            "univariate": "affine_spline",
        },
    ),
    "spline": (
        "coupling_spline_flow",
        {"blocks": 4, "hidden": [64, 64], "embedding_bins": 32, "permutation": "mixed"},
    ),
    # Location and width first, then a velocity field learned by regression.
    "flow_matching": ("flow_matching", {"hidden": [128, 128], "embedding_bins": 64}),
    # Smooth in the condition, whose gradient a fit of parameters follows: nothing embedded, no kink in the networks.
    "scan": (
        "masked_autoregressive_flow",
        {"blocks": 2, "hidden": [48, 48], "activation": "silu", "univariate": "affine_sigmoids"},
    ),
    "smearing": ("parametric_smearing", {}),
    **EVENT_PRESETS,
    **SET_PRESETS,
    **CLASSIFICATION_PRESETS,
    **GAN_PRESETS,
}


def preset(name: str) -> tuple[str, dict[str, Any]]:
    """Return the estimator name and the configuration of a preset.

    Raises:
        ConfigError: If there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no preset '{name}'; known presets: {', '.join(sorted(PRESETS))}.")
    estimator, config = PRESETS[name]
    return estimator, dict(config)


def estimator_class(name: str) -> type[Estimator]:
    """Return the class of an estimator, built in or offered by an installed package.

    Raises:
        ConfigError: If the name is unknown, offered twice, clashes with a built-in one, or does not lead to an
            ``Estimator`` with a ``Config``.
    """
    offered: dict[str, list[Any]] = {}
    for point in entry_points(group=GROUP):
        offered.setdefault(point.name, []).append(point)
    for taken, points in offered.items():
        if taken in BUILT_IN or len(points) > 1:
            values = ", ".join(point.value for point in points)
            raise ConfigError(f"The estimator name '{taken}' is taken already, but {values} claims it; rename that.")
    if name in BUILT_IN:
        return BUILT_IN[name]
    if name not in offered:
        known = ", ".join(sorted([*BUILT_IN, *offered]))
        raise ConfigError(f"There is no estimator '{name}'; known estimators: {known}.")
    loaded = offered[name][0].load()
    config = getattr(loaded, "Config", None)
    if not (isinstance(loaded, type) and issubclass(loaded, Estimator)):
        raise ConfigError(f"The estimator '{name}' is no subclass of castalia.estimators.base.Estimator.")
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise ConfigError(f"The estimator '{name}' has no Config, a frozen pydantic model; add one.")
    return loaded


def name_of(estimator: Estimator) -> str:
    """Return the name under which an estimator's class is known.

    Raises:
        ConfigError: If it is neither built in nor offered by an installed package.
    """
    for name, known in BUILT_IN.items():
        if type(estimator) is known:
            return name
    for point in entry_points(group=GROUP):
        if point.load() is type(estimator):
            return point.name
    raise ConfigError(
        f"{type(estimator).__name__} has no name; offer it under the entry-point group '{GROUP}' of its package."
    )


def build(name: str, config: Mapping[str, Any], layout: Layout, seed: int = 0) -> Estimator:
    """Build an untrained estimator.

    Args:
        name: Name of the estimator.
        config: Configuration as written in TOML; what is left out takes its default.
        layout: Condition and target variables.
        seed: The run's seed; the initial weights are a function of it and leave no trace in torch's own random state.

    Raises:
        ConfigError: If the name or a configuration key is unknown, a value is wrong, or the condition has lists or
            angles and the estimator takes none.
    """
    known: Any = estimator_class(name)
    _check_condition(name, known, layout)
    try:
        settings = known.Config.model_validate(dict(config))
    except ValidationError as error:
        raise config_error(error, f"model '{name}'") from error
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(Stream(seed, "initial weights", name).integer(2**63 - 1))
        estimator: Estimator = known(settings, layout)
    return estimator


def _check_condition(name: str, known: type[Estimator], layout: Layout) -> None:
    if known.takes_lists:
        return
    angles = [variable.name for variable in layout.condition if variable.transform == "angle"]
    if layout.condition_objects or angles:
        what = "lists of objects" if layout.condition_objects else "angles"
        names = ", ".join([*layout.condition_objects] or angles)
        able = ", ".join(sorted(preset for preset, (other, _) in PRESETS.items() if _replaces(other, known)))
        raise ConfigError(f"The estimator '{name}' takes no {what} in its condition ({names}); use a preset of {able}.")


def _replaces(name: str, known: type[Estimator]) -> bool:
    """Return whether an estimator takes lists and does what one that takes none does: sample, or not."""
    other = estimator_class(name)
    return other.takes_lists and issubclass(other, Sampler) == issubclass(known, Sampler)
