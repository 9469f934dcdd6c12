"""The consistency loss: zero where masses and sums close, positive where they are broken, in units of their spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError, DataError
from castalia.estimators.four_vector_consistency import ConsistencyConfig, FourVectorConsistency
from castalia.rng import Stream

PARTICLES = ("b", "w", "t")
LAYOUT = Layout(
    (Variable("c"),), tuple(Variable(f"{p}_{q}") for p in PARTICLES for q in ("px", "py", "pz", "log_e", "mass"))
)


def _config(**changes: Any) -> ConsistencyConfig:
    particles = {
        p: {q: f"{p}_{q}" for q in ("px", "py", "pz", "log_e", "mass")} | {"daughters": ["b", "w"] if p == "t" else []}
        for p in PARTICLES
    }
    return ConsistencyConfig.model_validate({"weight": 0.1, "particles": particles, **changes})


def _tops(count: int) -> Tensor:
    """Tops and the two particles they are the sum of, up to some TeV."""
    rng = Stream(1, "tops").at()
    momenta = {p: rng.standard_normal((count, 3)) * rng.exponential(300, (count, 1)) for p in ("b", "w")}
    masses = {"b": np.full(count, 4.8), "w": rng.normal(80, 2, count)}
    energies = {p: np.sqrt((momenta[p] ** 2).sum(1) + masses[p] ** 2) for p in momenta}
    momenta["t"], energies["t"] = momenta["b"] + momenta["w"], energies["b"] + energies["w"]
    masses["t"] = np.sqrt(energies["t"] ** 2 - (momenta["t"] ** 2).sum(1))
    columns = [np.column_stack([momenta[p], np.log(energies[p] + 1), masses[p]]) for p in PARTICLES]
    return torch.from_numpy(np.hstack(columns))


@pytest.fixture(scope="module")
def consistency() -> FourVectorConsistency:
    module = FourVectorConsistency(LAYOUT, _config()).double()
    for chunk in _tops(3000).split(700):
        module.update(chunk, torch.ones(len(chunk)))
    module.finish()
    return module


def test_consistent_four_vectors_cost_nothing(consistency):
    assert float(consistency(_tops(500)).max()) < 1e-16
    assert float(consistency.float()(_tops(500).float()).max()) < 1e-6  # also where energies are far above masses
    consistency.double()


@pytest.mark.parametrize("broken", ["t_mass", "t_log_e", "t_px", "b_pz", "w_log_e"])
def test_each_broken_relation_costs(consistency, broken):
    column = [variable.name for variable in LAYOUT.target].index(broken)
    tops = _tops(500)
    tops[:, column] *= 1.05
    assert bool((consistency(tops) > 0).all())
    tops.requires_grad_()
    (gradient,) = torch.autograd.grad(consistency(tops).sum(), tops)
    assert bool((gradient[:, column].abs() > 0).all())


def test_masses_of_leaves_are_in_no_relation(consistency):
    tops = _tops(500)
    tops[:, [4, 9]] *= 2
    assert float(consistency(tops).max()) < 1e-16


def test_differences_count_in_standard_deviations(consistency):
    tops = _tops(3000)
    spread = float(tops[:, 10].std(correction=0))
    moved = tops.clone()
    moved[:, 10] += 1e-3 * spread  # the top's px alone: its mass squared is off as well, by 2 px times as much
    mass = tops[:, 14].square()
    by_mass = ((moved[:, 10].square() - tops[:, 10].square()) / mass.std(correction=0)).square()
    assert torch.allclose(consistency(moved), 0.1 * 0.5 * (1e-6 + by_mass), rtol=1e-6)
    far = tops.clone()
    far[:, 10] += 100 * spread  # far away the loss is linear: one outlier does not drown the others
    assert bool((consistency(far) > 0.1 * 99).all())
    assert not torch.allclose(consistency(moved), 0.1 * 0.5 * (1e-6 + by_mass).roll(1), rtol=1e-3)


def test_a_wild_guess_stays_finite(consistency):
    tops = _tops(5).float()
    tops[:, 13] = 200.0
    assert bool(torch.isfinite(consistency(tops.double())).all())


def test_misuse_is_named():
    particles = _config().model_dump()["particles"]
    with pytest.raises(ConfigError, match="'t' is said to be in 'top_px', which is no target"):
        FourVectorConsistency(LAYOUT, _config(particles={**particles, "t": {**particles["t"], "px": "top_px"}}))
    with pytest.raises(ValueError, match="'t' cannot have the daughter 'tt'"):
        _config(particles={**particles, "t": {**particles["t"], "daughters": ["tt"]}})
    with pytest.raises(ValueError, match="no particle has daughters"):
        _config(particles={"b": particles["b"]})
    with pytest.raises(ValueError, match="'t' has daughters but no mass"):
        _config(particles={**particles, "t": {**particles["t"], "mass": None}})
    constant = FourVectorConsistency(LAYOUT, _config()).double()
    constant.update(_tops(1).repeat(9, 1), torch.ones(9))
    with pytest.raises(DataError, match="'t: mass squared' has the same value"):
        constant.finish()
