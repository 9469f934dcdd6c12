"""The family of latent diffusions: who sees what, what is noisy, what is frozen, and what the losses are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from castalia.data.feature_arrays import ObjectArrays
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.estimators.arrays import batch_from_arrays
from castalia.estimators.base import Batch
from castalia.estimators.latent_diffusion import VariationalLatentDiffusion
from castalia.estimators.registry import build, preset
from castalia.rng import Stream

LAYOUT = Layout((Variable("c"),), (Variable("x"), Variable("y")), {"jets": (Variable("pt", transform="log"),)})
SMALL = {"encoder": {"width": 8, "heads": 2, "blocks": 1}}
FAMILY = ("vld", "uc_vld", "c_vld", "ldm", "vdm", "cvae")


def _batch(count: int = 200) -> Batch:
    rng = Stream(1, "latent diffusion").at()
    c, jets = rng.standard_normal((count, 1)), rng.exponential(50, (count, 3, 1))
    target = np.hstack([c, jets[:, 0].clip(1)]) + rng.standard_normal((count, 2))
    return batch_from_arrays(c, target, objects={"jets": ObjectArrays(jets, rng.random((count, 3)) < 0.7)})


def _small(name: str, **changes: Any) -> VariationalLatentDiffusion:
    estimator, options = preset(name)
    options = {**options, **SMALL, **changes}
    if "autoencoder" in options:
        options["autoencoder"] = {**options["autoencoder"], "latent": 3, "hidden": [8]}
    if "diffusion" in options:
        options["diffusion"] = {**options["diffusion"], "width": 8, "blocks": 1}
    model = build(estimator, options, LAYOUT)
    assert isinstance(model, VariationalLatentDiffusion)
    model.prepare([_batch()])
    return model


def _loss_state(model: VariationalLatentDiffusion, phase: int = 0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Take one large step in a phase; return the state before and after."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    objective = model.objectives()[phase]
    loss = objective.loss(_batch(), Stream(2, "loss").at()).total.mean()
    gradients = torch.autograd.grad(loss, objective.parameters, allow_unused=True)
    with torch.no_grad():
        for parameter, gradient in zip(objective.parameters, gradients, strict=True):
            if gradient is not None:
                parameter -= 0.1 * gradient.sign()
    return before, model.state_dict()


def _moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("name", [*FAMILY, *(f"{name}_paper" for name in FAMILY if name != "cvae")])
def test_terms_add_up_to_the_loss(name):
    model = _small(name)
    for objective in model.objectives():
        losses = objective.loss(_batch(), Stream(3, "loss").at())
        assert losses.total.shape == (200,)
        assert torch.allclose(sum(losses.terms.values()), losses.total, atol=1e-4)
        assert set(losses.terms) <= {"reconstruction", "diffusion", "prior"}
    drawn = model.sample(_batch().condition, 2, Stream(3, "sampling").at()).flat
    assert drawn.shape == (400, 2)
    assert bool(torch.isfinite(drawn).all())


def test_who_sees_the_event():
    events, rng = _batch(), Stream(4, "vectors").at()
    one, other = (torch.from_numpy(rng.standard_normal((200, 8), dtype=np.float32)) for _ in range(2))
    seen = {}
    for name in ("vld", "uc_vld", "c_vld", "ldm", "cvae"):
        autoencoder = _small(name).eval().autoencoder
        target, latent = events.target.flat, torch.ones(200, 3)
        encoder = not torch.equal(autoencoder.encode(target, one)[0], autoencoder.encode(target, other)[0])
        decoder = not torch.equal(autoencoder.decode(latent, one), autoencoder.decode(latent, other))
        seen[name] = (encoder, decoder)
    neither, both = (False, False), (True, True)
    assert seen == {"vld": (True, False), "uc_vld": neither, "c_vld": both, "ldm": neither, "cvae": both}


def _captured(model: VariationalLatentDiffusion, monkeypatch: pytest.MonkeyPatch, phase: int = 0) -> Tensor:
    """Return the data that the diffusion is given."""
    seen, losses = [], model.diffusion.losses
    monkeypatch.setattr(model.diffusion, "losses", lambda data, *rest: seen.append(data) or losses(data, *rest))
    model.objectives()[phase].loss(_batch(), Stream(5, "loss").at())
    return seen[0].detach()


def test_without_autoencoder_the_targets_themselves_are_diffused(monkeypatch):
    model = _small("vdm")
    scaled, _ = model.targets(_batch().target.flat)
    assert torch.equal(_captured(model, monkeypatch), scaled)  # to the bit: no noise is added to them
    vectors = model.encoder(_batch().condition)
    noise = torch.from_numpy(Stream(6, "draw").at().standard_normal((200, 4), dtype=np.float32))
    with torch.no_grad():
        drawn, expected = (
            model.draw(vectors, Stream(6, "draw").at()),
            model.diffusion.sample(vectors, noise[:, :2], None),
        )
    assert torch.equal(drawn, expected)
    pretrained = _small("ldm")  # negative control: latent variables of a variance of their own
    mean, _ = pretrained.eval().autoencoder.encode(pretrained.targets(_batch().target.flat)[0], scaled[:, :0])
    assert not torch.allclose(_captured(pretrained, monkeypatch, phase=1), mean, atol=0.1)


def test_latent_variables_are_normalised_where_they_are_diffused(monkeypatch):
    for name in ("vld", "uc_vld", "c_vld"):
        latent = _captured(_small(name), monkeypatch)
        assert torch.allclose(latent.mean(0), torch.zeros(3), atol=1e-4)
        assert torch.allclose(latent.std(0, correction=0), torch.ones(3), atol=0.02)
    assert _small("cvae").autoencoder.normalisation is None


def test_end_to_end_the_diffusion_shapes_the_latent_variables():
    for name in ("vld", "uc_vld", "c_vld"):
        model = _small(name)
        (objective,) = model.objectives()
        diffusion = objective.loss(_batch(), Stream(7, "loss").at()).terms["diffusion"].mean()
        gradients = torch.autograd.grad(diffusion, tuple(model.autoencoder.encoder.parameters()))
        assert all(float(gradient.abs().max()) > 0 for gradient in gradients)


def test_a_pretrained_autoencoder_is_frozen():
    model = _small("ldm")
    assert [objective.phase for objective in model.objectives()] == [0, 1]
    assert _moved(*_loss_state(model, 0)) == {"autoencoder"}
    assert _moved(*_loss_state(model, 1)) == {"encoder", "diffusion"}
    everything = {id(p) for p in model.parameters()}
    assert {id(p) for objective in model.objectives() for p in objective.parameters} == everything
    # Negative control: end to end all parts move, normalisation included.
    assert _moved(*_loss_state(_small("vld"))) == {"encoder", "autoencoder", "diffusion"}


def test_validation_measures_nothing():
    model = _small("vld")
    for change in (model.eval, model.train):
        change()
        before = model.autoencoder.normalisation.mean.clone()
        with torch.no_grad():
            model.objectives()[0].loss(_batch(), Stream(8, "loss").at())
        assert torch.equal(model.autoencoder.normalisation.mean, before)
    model.objectives()[0].loss(_batch(), Stream(8, "loss").at())
    assert not torch.equal(model.autoencoder.normalisation.mean, before)


def test_the_schedule_is_learned_with_likelihood_weights_only():
    paper = _small("vld_paper")
    before, after = _loss_state(paper)
    assert {f"diffusion.schedule.{name}" for name in ("start", "log_span", "heights", "rates", "centres")} <= {
        name for name in before if not torch.equal(before[name], after[name])
    }
    assert not list(_small("vld").diffusion.schedule.parameters())


@pytest.mark.parametrize("evaluations", [3, 7])
def test_the_number_of_evaluations_is_kept(evaluations, monkeypatch):
    model, calls = _small("vdm", diffusion={"evaluations": evaluations}), []
    monkeypatch.setattr(model.diffusion.denoiser, "forward", lambda z, *rest, calls=calls: calls.append(len(z)) or z)
    model.sample(_batch(10).condition, 4, Stream(9, "sampling").at())
    assert calls == [40] * evaluations


def _with_relation(name: str, weight: float) -> VariationalLatentDiffusion:
    """Two particles, of which the second is said to be the sum of the first; the targets know nothing of it."""
    columns = ("px", "py", "pz", "log_e", "mass")
    targets = tuple(Variable(f"{p}_{q}") for p in "ab" for q in columns)
    particles = {p: {q: f"{p}_{q}" for q in columns} | {"daughters": ["a"] if p == "b" else []} for p in "ab"}
    layout = Layout(LAYOUT.condition, targets)
    estimator, options = preset(name)
    consistency = {"weight": weight, "particles": particles}
    model = build(estimator, {**options, **SMALL, "consistency": consistency}, layout)
    assert isinstance(model, VariationalLatentDiffusion)
    return model


@pytest.mark.parametrize("name", FAMILY)
def test_relations_are_held_against_what_is_decoded(name):
    rng = Stream(10, "relations").at()
    events = batch_from_arrays(rng.standard_normal((50, 1)), rng.standard_normal((50, 10)))
    terms = []
    for weight in (1.0, 2.0):
        model = _with_relation(name, weight)
        model.prepare([events])
        objective = model.objectives()[0]
        losses = objective.loss(events, Stream(11, "loss").at())
        assert torch.allclose(sum(losses.terms.values()), losses.total, rtol=1e-4)
        gradients = torch.autograd.grad(losses.terms["consistency"].sum(), objective.parameters, allow_unused=True)
        assert any(gradient is not None and float(gradient.abs().max()) > 0 for gradient in gradients)
        terms.append(losses.terms["consistency"].detach())
    assert bool((terms[0] > 0).all())
    assert torch.allclose(terms[1], 2 * terms[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "without autoencoder and diffusion"),
        ({"pretrained": True, "diffusion": {}}, "pretrained needs both"),
        ({"pretrained": True, "diffusion": {}, "autoencoder": {"decoder_sees_event": True}}, "sees no event"),
        ({"diffusion": {"sampler": "euler"}}, "sampler"),
        ({"diffusion": {"evaluations": 0}}, "evaluations"),
        ({"autoencoder": {"beta": 0}}, "beta"),
        ({"diffusion": {}, "latent": 3}, "unknown key 'latent'"),
        ({"diffusion": {}, "marginals": "raw"}, "marginals"),
    ],
)
def test_misuse_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        build("variational_latent_diffusion", options, LAYOUT)
