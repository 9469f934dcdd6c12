"""Muon: what torch's does, but for the rounding of its half precision."""

from __future__ import annotations

import pytest
import torch

from castalia.rng import Stream
from castalia.training.muon import Muon, orthogonal


def _normal(*shape: int, counter: int = 0) -> torch.Tensor:
    return torch.from_numpy(Stream(1, "muon").at(counter).standard_normal(shape)).float()


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_singular_vectors_stay_and_values_become_alike(shape):
    matrices = _normal(3, *shape)
    found = orthogonal(matrices)
    values = torch.linalg.svdvals(found)
    assert float(values[:, :-3].min()) > 0.5
    assert float(values.max()) < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.mT @ found @ right.mT
    assert float((inner - torch.diag_embed(inner.diagonal(dim1=1, dim2=2))).abs().max()) < 1e-4
    assert not orthogonal(torch.zeros(1, *shape)).any()


def test_small_singular_values_become_alike_and_the_smallest_stay_small():
    left, _, right = torch.linalg.svd(_normal(1, 16, 16))
    values = torch.tensor([1.0] * 4 + [3e-2, 3e-3] * 4 + [3e-4] * 4)
    found = (left.mT @ orthogonal(left * values @ right) @ right.mT)[0].diagonal()
    norm = float(values.norm())
    assert float(found[values / norm > 1.5e-3].min()) > 0.6
    assert float(found[values / norm < 3e-4].max()) < 0.2


def _moved(made, steps: int) -> list[torch.Tensor]:
    parameters = [torch.nn.Parameter(_normal(*shape)) for shape in ((20, 30), (20, 30), (30, 20), (18, 18))]
    before = [one.detach().clone() for one in parameters]
    optimiser = made([{"params": parameters[:2]}, {"params": parameters[2:]}])
    for number in range(steps):
        for place, one in enumerate(parameters):
            one.grad = _normal(*one.shape, counter=10 * number + place)
        optimiser.step()
    return [one.detach() - old for one, old in zip(parameters, before, strict=True)]


def test_it_moves_as_that_of_torch_does():
    ours = _moved(lambda groups: Muon(groups, 0.01, 0.1), 3)
    theirs = _moved(
        lambda groups: torch.optim.Muon(
            [one for group in groups for one in group["params"]], 0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
        ),
        3,
    )
    for one, other in zip(ours, theirs, strict=True):
        assert float((one - other).norm() / other.norm()) < 0.02  # half precision has three digits
    faster = _moved(lambda groups: Muon(groups, 0.011, 0.1), 3)
    assert float((faster[0] - theirs[0]).norm() / theirs[0].norm()) > 0.05  # negative control


def test_a_matrix_without_gradient_stays():
    still, moving = torch.nn.Parameter(_normal(16, 16)), torch.nn.Parameter(_normal(16, 16))
    moving.grad = _normal(16, 16, counter=1)
    Muon([still, moving], 0.01, 0.1).step()
    assert torch.equal(still.detach(), _normal(16, 16))
    assert not torch.equal(moving.detach(), _normal(16, 16))
