"""Trained estimators as ONNX models: a sampler, a density, an efficiency."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from castalia.errors import ConfigError
from castalia.estimators.base import Estimator
from castalia.estimators.efficiency import EfficiencyModel
from castalia.estimators.flows.flow import NormalizingFlow
from castalia.export.blocks import block_forward, block_inverse
from castalia.export.graph import Graph, Value
from castalia.export.networks import evaluate
from castalia.export.scalings import encode_conditions, scale_targets, unscale_targets

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["density_model", "efficiency_model", "sampler_model"]


def sampler_model(estimator: Estimator, metadata: Mapping[str, str]) -> ModelProto:
    """Write down the sampler of a flow.

    Inputs are ``condition``, shape ``(events, C)`` in physical units, and ``noise``, shape ``(events, T)``, independent
    standard normal numbers; the output is ``target``, shape ``(events, T)`` in physical units. All are float32, and
    the number of events is free. An event whose condition is not finite, or has no logarithm where one is taken,
    gets NaN.

    Args:
        estimator: A trained flow.
        metadata: What is stored beside it.

    Raises:
        ConfigError: If there is no graph for this estimator, or the library is missing.
        ModelError: If it was never trained.
    """
    flow = _flow(estimator)
    graph = Graph("sampler")
    condition = graph.input("condition", len(flow.layout.condition))
    noise = graph.input("noise", len(flow.layout.target))
    context, marker = encode_conditions(flow.conditions, condition)
    target = unscale_targets(flow.targets, block_inverse(flow.chain, noise, context)) + marker
    text = "Draws targets given conditions: feed independent standard normal numbers as noise."
    return graph.to_onnx({"target": (target, len(flow.layout.target))}, metadata, text)


def density_model(estimator: Estimator, metadata: Mapping[str, str]) -> ModelProto:
    """Write down the density of a flow.

    Inputs are ``condition``, shape ``(events, C)``, and ``target``, shape ``(events, T)``, both float32 in physical
    units; the output is ``log_prob``, shape ``(events,)``, minus infinity outside the support. Arguments and errors
    as in ``sampler_model``.
    """
    flow = _flow(estimator)
    size = len(flow.layout.target)
    graph = Graph("density")
    condition, target = graph.input("condition", len(flow.layout.condition)), graph.input("target", size)
    context, marker = encode_conditions(flow.conditions, condition)

    def scaled_log_prob(scaled: Value, given: Value) -> Value:
        base, log_determinant = block_forward(flow.chain, scaled, given)
        gaussian = (base * base).total() * -0.5 - 0.5 * math.log(2 * math.pi) * size
        return gaussian if log_determinant is None else gaussian + log_determinant

    log_prob = scale_targets(flow.targets, target, context, scaled_log_prob) + marker
    text = "The natural logarithm of the probability density of targets given conditions."
    return graph.to_onnx({"log_prob": (log_prob, 0)}, metadata, text)


def efficiency_model(estimator: EfficiencyModel, metadata: Mapping[str, str]) -> ModelProto:
    """Write down the probability of being reconstructed.

    The input is ``condition``, shape ``(events, C)`` in physical units, the output ``efficiency``, shape ``(events,)``.

    Args:
        estimator: A trained efficiency.
        metadata: What is stored beside it.

    Raises:
        ConfigError: If the library is missing.
    """
    model = copy.deepcopy(estimator).float()
    graph = Graph("efficiency")
    context, marker = encode_conditions(model.conditions, graph.input("condition", len(model.layout.condition)))
    probability = evaluate(model.network, context).op("Sigmoid") + marker
    text = "The probability that an event is reconstructed, given its conditions."
    return graph.to_onnx({"efficiency": (probability, 0)}, metadata, text)


def _flow(estimator: Estimator) -> NormalizingFlow:
    if not isinstance(estimator, NormalizingFlow):
        raise ConfigError(f"A {type(estimator).__name__} cannot be exported; train a normalizing flow.")
    estimator.targets.require_prepared()
    return copy.deepcopy(estimator).float()
