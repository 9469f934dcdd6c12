"""Linear dependence between the targets, and the dither that keeps a density finite where one follows from another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch
from castalia.estimators.flows.triangular import TriangularLinear
from castalia.estimators.registry import build
from castalia.rng import Stream
from castalia.training.config import TrainingConfig
from castalia.training.fit import fit

LAYOUT = Layout((Variable("c"),), (Variable("x"), Variable("y")))
OPTIONS = {"blocks": 1, "hidden": [16], "affine_hidden": [], "univariate": "affine_spline", "embedding_bins": 4}


def _block() -> TriangularLinear:
    block = TriangularLinear(4).double()
    with torch.no_grad():
        for number, parameter in enumerate(block.parameters()):
            noise = Stream(1, "triangular").at(number).standard_normal(tuple(parameter.shape))
            parameter.copy_(0.05 * torch.from_numpy(noise))
    return block


def _ridge(events: int = 20_000) -> Batch:
    """Two targets, of which the second is twice the first, both as wide as the condition says."""
    rng = Stream(1, "ridge").at()
    c = rng.uniform(0.5, 2, events)
    x = c * rng.standard_normal(events)
    return batch_from_arrays(c[:, None], np.stack([x, 2 * x], axis=1))


def _correlation(options: dict[str, object]) -> float:
    events = _ridge()
    flow = build("masked_autoregressive_flow", {**OPTIONS, **options}, LAYOUT, 1)
    flow.prepare([events])
    fit(flow, events, None, TrainingConfig(epochs=6, batch_size=256, learning_rate=2e-3, ema=0.99, clip=5.0, seed=1))
    drawn = flow.sample(events.condition, 1, Stream(1, "draws").at()).flat.double()
    return float(torch.corrcoef(drawn.t())[0, 1])


def test_the_determinant_is_that_of_the_matrix():
    block, x = _block(), torch.from_numpy(Stream(1, "points").at().standard_normal((5, 4)))
    z, log_determinant = block(x, torch.zeros(5, 0))
    jacobian = torch.autograd.functional.jacobian(lambda one: block(one[None], torch.zeros(1, 0))[0][0], x[0])
    torch.testing.assert_close(log_determinant, torch.linalg.slogdet(jacobian).logabsdet.expand(5))
    assert torch.equal(jacobian, jacobian.tril())
    torch.testing.assert_close(block.inverse(z, torch.zeros(5, 0)), x)
    assert not torch.allclose(z, x)


@pytest.mark.statistical
def test_a_target_that_follows_from_another_keeps_its_correlation():
    # Without the matrix, the same network in the same time stays below 0.98.
    assert _correlation({"linear": True, "dither": 0.03}) > 0.998
    assert _correlation({"linear": False}) < 0.99


def test_only_training_sees_the_dither():
    events = _ridge(1000)
    noisy, plain = (build("masked_autoregressive_flow", {**OPTIONS, "dither": d}, LAYOUT, 1) for d in (0.3, 0.0))
    for flow in (noisy, plain):
        flow.prepare([events])
    losses = [one.objectives()[0].loss(events, Stream(1, "loss").at()).total for one in (noisy, plain)]
    assert not torch.equal(*losses)
    with torch.no_grad():
        losses = [one.objectives()[0].loss(events, Stream(1, "loss").at()).total for one in (noisy, plain)]
    assert torch.equal(*losses)
    assert torch.equal(noisy.log_prob(events), plain.log_prob(events))


def test_dither_without_known_widths_is_refused():
    with pytest.raises(ConfigError, match="conditional_affine"):
        build("masked_autoregressive_flow", {"dither": 0.1, "conditional_affine": False}, LAYOUT)
