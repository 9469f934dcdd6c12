"""Sampling in pieces and threads: the plain inverse's numbers, whoever computes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import DataError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Events
from castalia.estimators.flows import incremental
from castalia.estimators.flows.autoregressive import AutoregressiveBlock
from castalia.estimators.flows.flow import NormalizingFlow
from castalia.estimators.registry import build
from castalia.rng import Stream

MODELS = {
    "affine": ("masked_autoregressive_flow", {"blocks": 3, "hidden": [20, 16], "permutation": "mixed"}),
    "one hidden layer": ("masked_autoregressive_flow", {"blocks": 2, "hidden": [12], "conditional_affine": False}),
    "spline": ("masked_autoregressive_flow", {"blocks": 1, "hidden": [16, 16], "univariate": "spline"}),
    "embedded": (
        "masked_autoregressive_flow",
        {"blocks": 2, "hidden": [16, 16], "univariate": "spline", "embedding_bins": 8},
    ),
    "affine spline": (
        "masked_autoregressive_flow",
        {
            "blocks": 1,
            "hidden": [16, 16],
            "affine_hidden": [],
            "linear": True,
            "univariate": "affine_spline",
            "embedding_bins": 8,
        },
    ),
    "coupling": ("coupling_spline_flow", {"blocks": 2, "hidden": [16], "embedding_bins": 8}),
    "truncated": ("masked_autoregressive_flow", {"blocks": 2, "hidden": [16, 16], "truncate": True}),
}


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _model(name: str, size: int = 4, dtype: torch.dtype = torch.float64) -> tuple[NormalizingFlow, Events]:
    rng = Stream(1, "incremental").at()
    layout = Layout(
        tuple(Variable(f"c{i}") for i in range(3)), tuple(Variable(f"x{i}", scale=9.0) for i in range(size))
    )
    model = build(*MODELS[name], layout, seed=1)
    assert isinstance(model, NormalizingFlow)
    events = batch_from_arrays(rng.normal(0, 1, (1500, 3)), rng.normal(0, 1, (1500, size)))
    model.prepare([events])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.from_numpy(rng.standard_normal(tuple(parameter.shape), dtype=np.float32))
    return model.to(dtype), events.condition


def _textbook(model: NormalizingFlow, condition: Events, noise: torch.Tensor) -> torch.Tensor:
    """Invert every block by full passes, one for each target, with the encoded conditions."""
    encoded, x = model.conditions(condition.flat), noise
    for block in reversed(model.chain.blocks):
        if isinstance(block, AutoregressiveBlock):
            given, x = x, torch.zeros_like(x)
            for _ in range(x.shape[1]):
                x = block.univariate.inverse(given, block.network(x, encoded))
        else:
            x = block.inverse(x, encoded)
    return model.targets.inverse(x)


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("name", list(MODELS))
@torch.no_grad()
def test_samples_are_the_textbook_inverse_of_the_noise(name, size, monkeypatch):
    monkeypatch.setattr(incremental, "_CACHED", 400)  # three full pieces and a smaller one
    model, condition = _model(name, size)
    noise = Stream(2, "incremental").at().standard_normal((1500, size), dtype=np.float32)
    found = model.sample(condition, 1, Stream(2, "incremental").at()).flat
    expected = _textbook(model, condition, torch.from_numpy(noise).double())
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-8)
    next(model.chain.blocks[-1].parameters())[0] += 0.01  # negative control: one unit's weights
    assert not torch.allclose(found, _textbook(model, condition, torch.from_numpy(noise).double()), atol=1e-6)


@pytest.mark.parametrize("name", list(MODELS))
def test_single_precision_is_good_to_its_rounding(name):
    double, condition = _model(name)
    with torch.no_grad():
        expected = double.sample(condition, 1, Stream(2, "incremental").at()).flat
        noise = Stream(2, "incremental").at().standard_normal((1500, 4), dtype=np.float32)
        single = double.to(torch.float32)
        plain = (_textbook(single, condition, torch.from_numpy(noise)) - expected).abs()
    ours = (single.sample(condition, 1, Stream(2, "incremental").at()).flat - expected).abs()
    # Rounds like full passes in the same precision. A log-scale by the sigmoid is off by up to two limits' rounding, by
    # the tanh by one; so twice, and another factor for the order of sums. (Where a map is steep all are off by much.)
    for level in (0.5, 0.99):
        assert float(ours.quantile(level)) < 4 * float(plain.quantile(level))
    assert float(ours.quantile(0.5)) < 1e-6


@pytest.mark.parametrize("name", list(MODELS))
def test_threads_change_no_bit_and_pieces_next_to_none(name, monkeypatch, threads):
    model, condition = _model(name, dtype=torch.float32)
    drawn = {}
    for piece, number in [(200, 1), (200, 2), (200, 3), (333, 2), (4096, 1), (4096, 2)]:
        monkeypatch.setattr(incremental, "_CACHED", piece)
        torch.set_num_threads(number)
        drawn[piece, number] = model.sample(condition, 2, Stream(3, "incremental").at()).flat
        assert torch.get_num_threads() == number
    assert torch.equal(drawn[200, 1], drawn[200, 2])
    assert torch.equal(drawn[200, 1], drawn[200, 3])
    assert torch.equal(drawn[4096, 1], drawn[4096, 2])
    for other in (drawn[333, 2], drawn[4096, 1]):
        assert torch.allclose(drawn[200, 1], other, rtol=1e-4, atol=1e-4)
    assert not torch.equal(drawn[200, 1], model.sample(condition, 2, Stream(4, "incremental").at()).flat)


@pytest.mark.parametrize("events", [0, 1])
@pytest.mark.parametrize("name", list(MODELS))
def test_no_event_and_one_event(name, events):
    model, condition = _model(name)
    few = condition.map(lambda values: values[:events])
    drawn = model.sample(few, 1, Stream(5, "incremental").at()).flat
    assert drawn.shape == (events, 4)
    assert bool(torch.isfinite(drawn).all())


def test_weights_may_change_between_samples():
    model, condition = _model("embedded")
    first = model.sample(condition, 1, Stream(6, "incremental").at()).flat
    with torch.no_grad():
        next(model.chain.blocks[0].parameters()).mul_(1.5)
        model.conditions.embedding.edges.mul_(0.5)
    changed = model.sample(condition, 1, Stream(6, "incremental").at()).flat
    noise = torch.from_numpy(Stream(6, "incremental").at().standard_normal((1500, 4), dtype=np.float32)).double()
    with torch.no_grad():
        assert torch.allclose(changed, _textbook(model, condition, noise), rtol=1e-8, atol=1e-8)
    assert not torch.allclose(first, changed)


def test_a_failure_in_a_thread_is_the_callers(monkeypatch, threads):
    model, condition = _model("affine")
    monkeypatch.setattr(incremental, "_CACHED", 100)
    torch.set_num_threads(2)
    calls = []

    def fail(values: torch.Tensor) -> torch.Tensor:
        calls.append(len(values))
        raise DataError("no more")

    monkeypatch.setattr(model.targets, "inverse", fail)
    with pytest.raises(DataError, match="no more"):
        model.sample(condition, 1, Stream(7, "incremental").at())
    assert len(calls) <= 2
    assert torch.get_num_threads() == 2


def test_samples_can_be_used_in_training():
    model, condition = _model("embedded")
    drawn = model.sample(condition, 1, Stream(8, "incremental").at()).flat
    assert not drawn.is_inference()
    factor = torch.ones(4, dtype=torch.float64, requires_grad=True)
    (drawn * factor).sum().backward()
    assert torch.allclose(factor.grad, drawn.sum(0))
