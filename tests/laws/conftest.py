"""Estimators of every kind for the law tests, prepared on events with known structure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch, Density, Estimator, Events
from castalia.estimators.event_estimator import EventEstimator
from castalia.estimators.flow_matching.continuous import ContinuousBlock
from castalia.estimators.registry import BUILT_IN, PRESETS, build
from castalia.rng import Stream

_SMALL: dict[str, Any] = {"encoder": {"width": 4, "heads": 2, "blocks": 1}, "marginals": "standardise"}
_AUTOENCODER: dict[str, Any] = {"latent": 3, "hidden": [12]}
_DIFFUSION: dict[str, Any] = {"width": 12, "blocks": 1, "evaluations": 4}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "affine": ("masked_autoregressive_flow", {"blocks": 2, "hidden": [16, 16]}),
    "embedded": (
        "masked_autoregressive_flow",
        {
            "blocks": 1,
            "hidden": [16, 16],
            "affine_hidden": [],
            "linear": True,
            "embedding_bins": 8,
            "univariate": "affine_spline",
        },
    ),
    "scan": ("masked_autoregressive_flow", {**PRESETS["scan"][1], "hidden": [16, 16]}),
    "autoregressive spline": ("masked_autoregressive_flow", {"blocks": 2, "hidden": [16], "univariate": "spline"}),
    "paper": (
        "masked_autoregressive_flow",
        {"blocks": 3, "hidden": [16, 16], "conditional_affine": False, "truncate": True, "permutation": "half_swap"},
    ),
    "coupling spline": ("coupling_spline_flow", {"blocks": 3, "hidden": [16, 16], "permutation": "mixed"}),
    "flow matching": ("flow_matching", {"hidden": [16], "sampling_steps": 8, "density_steps": 4}),
    "smearing": ("parametric_smearing", {"bins": 2}),
    "cinn": ("cinn", {**_SMALL, "blocks": 3, "hidden": [12]}),
    "cinn spline": ("cinn", {**_SMALL, "blocks": 2, "hidden": [12], "univariate": "affine_spline", "bins": 4}),
    "event flow matching": (
        "event_flow_matching",
        {**_SMALL, "hidden": [16], "affine_hidden": [8], "evaluations": 32, "density_steps": 2},
    ),
    "latent diffusion": (
        "variational_latent_diffusion",
        {
            **_SMALL,
            "autoencoder": {**_AUTOENCODER, "encoder_sees_event": True},
            "diffusion": {**_DIFFUSION, "prediction": "noise", "loss": "likelihood", "schedule": "learned"},
            "encoder": {"width": 6, "heads": 2, "blocks": 2},
            "marginals": "gaussianise",
        },
    ),
    "pretrained": (
        "variational_latent_diffusion",
        {**_SMALL, "autoencoder": _AUTOENCODER, "diffusion": _DIFFUSION, "pretrained": True},
    ),
    "diffusion": ("variational_latent_diffusion", {**_SMALL, "diffusion": _DIFFUSION}),
    "variational": (
        "variational_latent_diffusion",
        {**_SMALL, "autoencoder": {**_AUTOENCODER, "encoder_sees_event": True, "decoder_sees_event": True}},
    ),
}
DENSITIES = [kind for kind, (name, _) in KINDS.items() if issubclass(BUILT_IN[name], Density)]
FLOWS = [kind for kind in DENSITIES if kind != "smearing"]
LIKELIHOOD_FLOWS = [kind for kind in FLOWS if "flow matching" not in kind]
CONDITION = (
    Variable("et_1", "GeV", transform="log", group="et", object_index=0),
    Variable("et_2", "GeV", transform="log", group="et", object_index=1),
    Variable("mu"),
)
LISTS = {"clusters": (Variable("et", "GeV", transform="log"),)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test runs for each ``kind`` of estimator that it names, or ``density``, ``flow`` and so on, and ``size``."""
    if "kind" in metafunc.fixturenames:
        metafunc.parametrize("kind", list(KINDS))
    if "density" in metafunc.fixturenames:
        metafunc.parametrize("density", DENSITIES)
    if "event_density" in metafunc.fixturenames:
        metafunc.parametrize("event_density", [kind for kind in DENSITIES if BUILT_IN[KINDS[kind][0]].takes_lists])
    if "flow" in metafunc.fixturenames:
        metafunc.parametrize("flow", FLOWS)
    if "likelihood_flow" in metafunc.fixturenames:
        metafunc.parametrize("likelihood_flow", LIKELIHOOD_FLOWS)
    if "size" in metafunc.fixturenames:
        metafunc.parametrize("size", [1, 2, 6])


def _events(variables: tuple[Variable, ...], count: int, lists: bool) -> Batch:
    rng = Stream(1, "law tests").at()
    et = 20 + rng.exponential(40, (count, 2))
    mu = rng.uniform(0, 40, (count, 1))
    columns = []
    for variable in variables:
        own = et[:, variable.object_index or 0]
        z = 0.3 * np.sqrt(own / 40) * rng.standard_normal(count) + 0.005 * (mu[:, 0] - 20)
        if variable.integer:
            z = np.clip(np.round(4 + 5 * z), 0, 9)
        elif variable.bounds is not None and np.isfinite(variable.bounds).all():
            low, high = variable.bounds
            z = low + (high - low) / (1 + np.exp(-z))
        elif variable.transform == "log":
            z = np.exp(z)
        columns.append(z)
    seen = et[..., None] * np.exp(0.1 * rng.standard_normal((count, 2, 1)))
    objects = {"clusters": ObjectArrays(seen, rng.random((count, 2)) < 0.8)} if lists else None
    return batch_from_arrays(np.hstack([et, mu]), np.stack(columns, axis=1), dtype=torch.float64, objects=objects)


def _plain(size: int) -> tuple[Variable, ...]:
    per_object = 3 if size == 6 else size
    return tuple(
        Variable(f"x{i % per_object}_{i // per_object}", group=f"x{i % per_object}", object_index=i // per_object)
        for i in range(size)
    )


@pytest.fixture
def kinds() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the estimators under the laws: name and configuration by kind."""
    return KINDS


@pytest.fixture
def densities() -> list[str]:
    """Return the kinds that know their density."""
    return DENSITIES


@pytest.fixture
def make() -> Callable[..., tuple[Estimator, Batch]]:
    """Return a factory ``make(kind, variables_or_size, scramble=0.2)`` of a prepared float64 estimator and events.

    ``scramble`` is the size of random changes to all weights, so that laws are not tested at the identity only.
    """

    def factory(
        kind: str, variables: tuple[Variable, ...] | int, scramble: float = 0.2, count: int = 4000
    ) -> tuple[Estimator, Batch]:
        targets = _plain(variables) if isinstance(variables, int) else variables
        lists = BUILT_IN[KINDS[kind][0]].takes_lists
        events = _events(targets, count, lists)
        estimator = build(*KINDS[kind], Layout(CONDITION, targets, LISTS if lists else {})).double()
        estimator.prepare(events.chunks(1000))
        rng = Stream(2, "scrambled weights").at()
        with torch.no_grad():
            for parameter in estimator.parameters():
                parameter += scramble * torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
        return estimator, events

    return factory


@pytest.fixture
def encoded() -> Callable[[Estimator, Events], Tensor]:
    """Return ``encoded(estimator, condition)``: what the blocks of a flow see of a condition."""
    return lambda flow, condition: flow.encoder(condition) if flow.takes_lists else flow.conditions(condition.flat)


@pytest.fixture
def undisturbed() -> Callable[[Estimator], Estimator]:
    """Return ``undisturbed(estimator)``: one that draws nothing anew, which takes noise in no order known here."""

    def without_edges(estimator: Estimator) -> Estimator:
        if isinstance(estimator, EventEstimator):
            estimator.highest.fill_(torch.inf)
        return estimator

    return without_edges


@pytest.fixture
def solver_error() -> Callable[[Estimator, Callable[[Estimator], Tensor]], float]:
    """Return ``solver_error(estimator, compute)``: what solving a differential equation may cost in ``compute``.

    Zero for a flow that solves none. Otherwise twice the largest change when every number of steps doubles: the error
    of a method of fourth order is 16/15 of that change where the steps are short, and the rest is for steps that are
    not.
    """

    def error(estimator: Estimator, compute: Callable[[Estimator], Tensor]) -> float:
        finer = copy.deepcopy(estimator)
        for block in finer.modules():
            if isinstance(block, ContinuousBlock):
                block.sampling_steps *= 2
                block.density_steps *= 2
        with torch.no_grad():
            return 2 * float((compute(finer) - compute(estimator)).abs().max())

    return error
