"""The piecewise-linear embedding makes kinks linear."""

from __future__ import annotations

import torch

from castalia.nn.embeddings import PiecewiseLinear


def _embedding() -> PiecewiseLinear:
    embedding = PiecewiseLinear(2, 3)
    embedding.place(torch.tensor([[0.0, 1.0, 2.0, 4.0], [-1.0, 0.0, 0.0, 5.0]]))
    return embedding


def test_progress_through_the_bins():
    x = torch.tensor([[3.0, -0.5], [-9.0, 9.0]])
    expected = [[3.0, -0.5, 1, 1, 0.5, 0.5, 0, 0], [-9.0, 9.0, 0, 0, 0, 1, 1, 1]]
    assert _embedding()(x).tolist() == expected
    assert _embedding().width == 8


def test_a_step_between_equal_edges_stays_finite():
    x = torch.tensor([[0.0, -1e-3], [0.0, 1e-3]])
    step = _embedding()(x)[:, 6]
    assert step.tolist() == [0, 1]


def test_a_piecewise_linear_function_is_linear_in_the_embedding():
    x = torch.linspace(-1, 5, 200)[:, None].repeat(1, 2)
    kinked = torch.relu(x[:, 0] - 2) - 3 * torch.relu(x[:, 0] - 4) + x[:, 0]

    def residual(features: torch.Tensor) -> float:
        design = torch.cat([features, torch.ones(200, 1)], dim=1).double()
        solution = torch.linalg.lstsq(design, kinked[:, None].double(), driver="gelsd").solution
        return float((design @ solution - kinked[:, None]).abs().max())

    assert residual(_embedding()(x)) < 1e-5
    assert residual(x) > 0.1  # negative control: without the embedding it is not
