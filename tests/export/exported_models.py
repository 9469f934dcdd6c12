"""Small trained-looking flows of every kind, and their exported models opened in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch, Events
from castalia.estimators.flows.flow import NormalizingFlow
from castalia.estimators.registry import build
from castalia.export.models import density_model, sampler_model
from castalia.rng import Stream

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "affine": ("masked_autoregressive_flow", {"blocks": 2, "hidden": [16, 16]}),
    "one layer": ("masked_autoregressive_flow", {"blocks": 2, "hidden": [5], "permutation": "mixed"}),
    "compact": (
        "masked_autoregressive_flow",
        {
            "blocks": 1,
            "hidden": [24, 24],
            "affine_hidden": [],
            "linear": True,
            "embedding_bins": 8,
            "univariate": "affine_spline",
        },
    ),
    "smooth coupling": ("coupling_spline_flow", {"blocks": 2, "hidden": [16, 16], "activation": "silu"}),
    "paper": (
        "masked_autoregressive_flow",
        {"blocks": 3, "hidden": [16, 16], "conditional_affine": False, "truncate": True, "permutation": "half_swap"},
    ),
    "coupling": ("coupling_spline_flow", {"blocks": 3, "hidden": [16, 16], "permutation": "mixed"}),
    "matching": ("flow_matching", {"hidden": [16, 16], "embedding_bins": 4, "sampling_steps": 2, "density_steps": 3}),
}
CONDITION = (
    Variable("et_1", "GeV", transform="log", group="et", object_index=0),
    Variable("et_2", "GeV", transform="log", group="et", object_index=1),
    Variable("mu"),
)
SIX = tuple(Variable(f"x{i}", "GeV" if i % 3 == 0 else "", group=f"x{i % 3}", object_index=i // 3) for i in range(6))


class GivenNoise:
    """Stands for a random generator and hands out normal numbers drawn before, event after event."""

    def __init__(self, noise: np.ndarray) -> None:
        self.left = noise

    def standard_normal(self, shape: tuple[int, int], dtype: Any) -> np.ndarray:
        taken, self.left = self.left[: shape[0]], self.left[shape[0] :]
        assert taken.shape == shape
        return taken.astype(dtype)


@dataclass(frozen=True)
class Exported:
    """A flow in float32, the same in float64, and its two ONNX models."""

    flow: NormalizingFlow
    double: NormalizingFlow
    events: Batch
    sampler: onnxruntime.InferenceSession
    density: onnxruntime.InferenceSession

    def sample(self, condition: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return self.sampler.run(["target"], {"condition": condition, "noise": noise})[0]

    def log_prob(self, condition: np.ndarray, target: np.ndarray) -> np.ndarray:
        return self.density.run(["log_prob"], {"condition": condition, "target": target})[0]


def opened(model) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def events_of(targets: tuple[Variable, ...], count: int, unit: str = "events") -> Batch:
    rng = Stream(1, "export tests", unit).at()
    et, mu = 20 + rng.exponential(40, (count, 2)), rng.uniform(0, 40, (count, 1))
    columns = []
    for variable in targets:
        z = 0.3 * np.sqrt(et[:, 0] / 40) * rng.standard_normal(count) + 0.005 * (mu[:, 0] - 20)
        if variable.integer:
            z = np.clip(np.round(4 + 5 * z), 0, 9)
        elif variable.bounds is not None:
            low, high = variable.bounds
            if np.isinf(high):
                z = low + np.exp(z)
            elif np.isinf(low):
                z = high - np.exp(z)
            else:
                z = low + (high - low) / (1 + np.exp(-z))
        columns.append(z)
    return batch_from_arrays(np.hstack([et, mu]), np.stack(columns, axis=1))


def doubled(flow: NormalizingFlow) -> NormalizingFlow:
    """The same weights in float64, where what they make is exact for our purposes."""
    other = type(flow)(flow.config, flow.layout).double()
    other.load_state_dict(flow.state_dict())
    return other.eval()


def make(kind: str, targets: tuple[Variable, ...] = SIX, scramble: float = 0.2) -> Exported:
    """Prepare a flow on 4,000 events, change all weights at random, and export it."""
    events = events_of(targets, 4000)
    flow = build(*KINDS[kind], Layout(CONDITION, targets))
    assert isinstance(flow, NormalizingFlow)
    flow.prepare([events])
    rng = Stream(2, "export tests").at()
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            size = scramble / 20 if name.endswith(("below", "log_scale")) else scramble  # those are multiplied by 20
            parameter += size * torch.from_numpy(rng.standard_normal(tuple(parameter.shape), dtype="float32"))
    flow.eval()
    return Exported(flow, doubled(flow), events, opened(sampler_model(flow, {})), opened(density_model(flow, {})))


def in_double(batch: Batch) -> Batch:
    return batch.map(lambda values: values.double() if values.is_floating_point() else values)


def drawn(flow: NormalizingFlow, condition: np.ndarray, noise: np.ndarray) -> np.ndarray:
    dtype = flow.targets.mean.dtype
    return flow.sample(Events(torch.from_numpy(condition).to(dtype)), 1, GivenNoise(noise)).flat.numpy()


@pytest.fixture(scope="session", params=list(KINDS))
def exported(request) -> Exported:
    return make(request.param)
