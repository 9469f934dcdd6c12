"""Momenta for a network's eyes: those of the decoder of results, for whatever numbers a network comes by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from castalia.apps.unfold.coordinates import TruthCoordinates
from castalia.apps.unfold.frame import Reference
from castalia.data.layout import Layout, Variable
from castalia.errors import ConfigError
from castalia.estimators.decayed_momenta import DecayedMomenta
from castalia.estimators.event_encoder import EventEncoder, EventEncoderConfig
from castalia.estimators.momentum_features import MomentumFeatures
from castalia.estimators.object_choice import TYPICAL, Measured, ObjectChoice
from castalia.physics.decay_tree import DecayTree
from castalia.rng import Stream

PAIR = {
    "w": ("up", "down"),
    "t": ("bottom", "w"),
    "z": ("plus", "minus"),
    "all": ("t", "z"),
}
MASSES = {"bottom": 4.8, "up": 0.3, "down": 0.0, "plus": 0.1, "minus": 0.1, "recoil": 1.0}
TREES = {
    "two resonances and a particle in none": DecayTree(tuple(MASSES), PAIR, ("t", "z")),
    "one resonance": DecayTree(tuple(MASSES), PAIR, ("t",)),
    "anchored": DecayTree(tuple(MASSES), PAIR, ("t", "z"), ("plus",)),
}


def leaves(count: int = 300) -> np.ndarray:
    rng = Stream(1, "decayed momenta").at()
    found = np.empty((count, len(MASSES), 4))
    found[..., :3] = rng.normal(0, 60, (count, len(MASSES), 3))
    found[..., 3] = list(MASSES.values())
    return found


def targets(tree: DecayTree, true: np.ndarray) -> tuple[TruthCoordinates, np.ndarray]:
    rng = Stream(2, "decayed momenta").at()
    coordinates = TruthCoordinates.measured(tree, "decay_tree", true)
    still = Reference(np.full(len(true), 30.0), np.zeros(len(true)), np.zeros(len(true)))
    return coordinates, coordinates.relative(coordinates.encode(true, rng), still)


@pytest.mark.parametrize("name", list(TREES))
def test_the_momenta_are_those_that_were_encoded(name):
    true = leaves()
    coordinates, target = targets(TREES[name], true)
    momenta = DecayedMomenta(coordinates.variables, coordinates.decays(()))
    assert momenta.particles == tuple(MASSES)
    found = momenta(torch.from_numpy(target))
    np.testing.assert_allclose(found.numpy(), true[..., :3], atol=1e-9)
    single = momenta(torch.from_numpy(target).float())
    np.testing.assert_allclose(single.numpy(), true[..., :3], atol=1e-2)
    # Negative control: every coordinate but an anchor's and a number of a mass moves some momentum.
    for place, variable in enumerate(coordinates.variables):
        moved = target.copy()
        moved[:, place] += 0.1
        change = float((momenta(torch.from_numpy(moved)) - found).abs().max())
        of_anchor = any(variable.name.startswith(f"{leaf}_") for leaf in TREES[name].anchors)
        read = not of_anchor and not variable.name.endswith("number")
        assert (change > 1e-3) == read, variable.name


def test_a_mass_that_varies_is_read_event_by_event():
    true = leaves()
    true[:, 0, 3] = Stream(3, "decayed momenta").at().uniform(1, 20, len(true))
    coordinates, target = targets(TREES["one resonance"], true)
    found = DecayedMomenta(coordinates.variables, coordinates.decays(()))(torch.from_numpy(target))
    np.testing.assert_allclose(found.numpy(), true[..., :3], atol=1e-9)


def test_whatever_a_network_comes_by_has_momenta():
    coordinates, target = targets(TREES["anchored"], leaves(40))
    momenta = DecayedMomenta(coordinates.variables, coordinates.decays(()))
    for value in (-1e30, -1e4, -1.0, 0.0, 1e4, 1e10, 1e30):  # a mass of 1e10 GeV once stopped a training
        for place in range(target.shape[1]):
            wild = torch.from_numpy(target).float()
            wild[:, place] = value
            wild.requires_grad_()
            found = momenta(wild)
            torch.asinh(found).sum().backward()
            assert torch.isfinite(found).all(), coordinates.variables[place].name
            assert torch.isfinite(wild.grad).all(), coordinates.variables[place].name
        assert torch.isfinite(momenta(torch.full((1, target.shape[1]), value))).all()


def test_a_coordinate_that_is_no_target_is_named():
    coordinates, _ = targets(TREES["one resonance"], leaves())
    without = [one for one in coordinates.variables if one.name != "w_u"]
    with pytest.raises(ConfigError, match="coordinate 'w_u' of the decays is no target"):
        DecayedMomenta(without, coordinates.decays(()))


def features(places: dict[str, str], leading: dict[str, tuple[str, ...]]) -> tuple[MomentumFeatures, torch.Tensor]:
    """Return what is told of the momenta of ``leaves``, and their targets."""
    coordinates, target = targets(TREES["one resonance"], leaves())
    variables = (*coordinates.variables, *(Variable(name) for name in places))
    jets = (Variable("pt", transform="log"), Variable("eta"), Variable("phi", transform="angle"))
    missing = (Variable("met_pt", transform="log"), Variable("met_phi", transform="angle"))
    decays = replace(coordinates.decays(()), leading=leading)
    layout = Layout(missing, variables, {"jet": jets, "muon": jets}, places, decays)
    choice = ObjectChoice(layout, EventEncoder(layout, EventEncoderConfig(width=4, heads=1))) if places else None
    return MomentumFeatures(layout, choice), torch.from_numpy(target)


def as_measured(particles: tuple[str, ...], unseen: str) -> Measured:
    """Return objects that are where the particles are, and a flat momentum that is one's."""
    true = leaves()
    px, py, pz = np.moveaxis(true[:, [list(MASSES).index(one) for one in particles], :3], 2, 0)
    pt = np.hypot(px, py)
    objects = np.stack([np.ones_like(pt), np.log(pt) - TYPICAL, np.arcsinh(pz / pt), px / pt, py / pt], axis=2)
    flat = true[:, [list(MASSES).index(unseen)], :2]
    return Measured(torch.from_numpy(objects), torch.from_numpy(flat))


def test_a_particle_where_it_was_measured_is_at_no_distance():
    made, target = features({"down_jet": "jet", "bottom_jet": "jet"}, {"up": ("muon",)})
    measured = as_measured(("down", "bottom", "up"), "minus")
    found = made.given(measured)(target)
    assert found.shape == (len(target), made.count)
    assert float(found.abs().max()) <= 6.0
    # Four numbers of each object, the particles side by side; then plus, minus and recoil beside the flat momentum.
    beside, missing = found[:, -18:-6], found[:, -6:].reshape(-1, 3, 2)
    assert float(beside.abs().max()) < 1e-6
    assert float(missing[:, 1].abs().max()) < 1e-6
    assert float(missing[:, 0].abs().mean()) > 1.0
    nothing = replace(measured, objects=torch.zeros_like(measured.objects))
    assert not made.given(nothing)(target)[:, -18:-6].any()
    other = replace(measured, objects=measured.objects.flip(1))
    assert float(made.given(other)(target)[:, -18:-6].abs().mean()) > 0.1


def test_the_distance_of_an_azimuth_is_in_its_own_column():
    made, target = features({"down_jet": "jet"}, {"up": ("muon",)})
    measured = as_measured(("down", "up"), "minus")
    cosine, sine = measured.objects[..., 3].clone(), measured.objects[..., 4].clone()
    measured.objects[..., 3] = np.cos(0.05) * cosine + np.sin(0.05) * sine
    measured.objects[..., 4] = np.cos(0.05) * sine - np.sin(0.05) * cosine
    unseen = 2 * (len(MASSES) - 2)
    log_pt, eta, across, along = made.given(measured)(target)[:, -unseen - 8 : -unseen].reshape(-1, 4, 2).unbind(1)
    assert float(torch.maximum(log_pt.abs(), eta.abs()).max()) < 1e-6
    assert torch.allclose(across, torch.tensor([8.0, 10.0]).double() * np.sin(0.05), atol=0.002)
    assert torch.allclose(along, torch.tensor(1 - np.cos(0.05)), atol=1e-6)


def test_without_places_there_are_momenta_alone():
    made, target = features({}, {})
    assert made.given(None)(target).shape == (len(target), made.count)
    with pytest.raises(ValueError, match="no decays"):
        MomentumFeatures(Layout((), (Variable("x"),)), None)


def test_every_particle_may_be_seen():
    others = ("up", "bottom", "plus", "minus", "recoil")
    made, target = features({"down_jet": "jet"}, {one: ("muon",) for one in others})
    found = made.given(as_measured(("down", *others), "minus"))(target)
    assert found.shape == (len(target), made.count)
    assert float(found[:, -24:].abs().max()) < 1e-6
    assert float(found[:, -25:-24].abs().mean()) > 1e-3
