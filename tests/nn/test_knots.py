"""Tabulated first layers: the numbers of the embedding and the layer themselves."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from castalia.nn.embeddings import PiecewiseLinear
from castalia.nn.knots import Knots
from castalia.rng import Stream


def _embedding(bins: int, dtype: torch.dtype = torch.float64) -> PiecewiseLinear:
    """Embed a normal, an exponential and a discrete feature, the last with bins of no width."""
    rng = Stream(1, "knots").at()
    edges = rng.standard_normal((3, bins + 1))
    edges[1] = rng.exponential(1, bins + 1) ** 3
    edges[2] = edges[2].round(0)
    embedding = PiecewiseLinear(3, bins).to(dtype)
    embedding.place(torch.sort(torch.from_numpy(edges), dim=1).values)
    return embedding


def _values(dtype: torch.dtype, count: int = 3000) -> torch.Tensor:
    values = 2 * Stream(2, "knots").at().standard_normal((count, 3))  # a good part of them beyond the outer edges
    values[:, 2] = values[:, 2].round(0)
    return torch.from_numpy(values).to(dtype)


def _looked_up(knots: Knots, table: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    places, parts = knots.locate(values)
    return functional.embedding_bag(places, table, per_sample_weights=parts, mode="sum")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("bins", [1, 7, 64])
def test_the_table_is_the_layer(bins, dtype, tolerance):
    embedding, rng = _embedding(bins, dtype), Stream(3, "knots").at()
    weight = torch.from_numpy(rng.standard_normal((11, embedding.width))).to(dtype)
    bias = torch.from_numpy(rng.standard_normal(11)).to(dtype)
    knots, values = Knots(embedding), _values(dtype)
    values[: bins + 1] = embedding.edges.t()[:3000]  # on the edges themselves
    expected = functional.linear(embedding(values), weight, bias)
    found = _looked_up(knots, knots.tabulate(weight, bias), values)
    assert torch.allclose(found, expected, rtol=tolerance, atol=tolerance * 10)
    wrong = knots.tabulate(weight, bias + 0.01)  # negative control
    assert not torch.allclose(_looked_up(knots, wrong, values), expected, rtol=tolerance, atol=tolerance * 10)


def test_far_values_and_faults_stay_in_the_table():
    embedding = _embedding(8)
    knots, weight = Knots(embedding), torch.ones(2, embedding.width, dtype=torch.float64)
    table = knots.tabulate(weight, torch.zeros(2, dtype=torch.float64))
    values = torch.tensor([[1e6, -1e6, 1e30], [torch.nan, 0, 0]], dtype=torch.float64)
    far, fault = _looked_up(knots, table, values)
    assert torch.allclose(far, functional.linear(embedding(values), weight)[0], rtol=1e-9)
    assert bool(fault.isnan().all())
    assert _looked_up(knots, table, values[:0]).shape == (0, 2)
