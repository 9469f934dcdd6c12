"""Boosts, releases and directions: against independent formulas, against their inverses, and where numbers end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from castalia.physics.two_body import (
    boost,
    boost_between,
    decay_momentum,
    direction_to_normal,
    mass_of_sum,
    normal_to_direction,
    release,
)
from castalia.rng import Stream

EPSILON = np.finfo(np.float64).eps
FIVE_SIGMA = 5.7e-7  # probability of a normal number beyond five standard deviations
EVENTS = 20_000


def directions(rng, events=EVENTS):
    vectors = rng.standard_normal((events, 3))
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def by_matrix(momentum, mass, frame, frame_mass):
    """The textbook's matrix of a boost without rotation, applied to (E, px, py, pz)."""
    energy = np.sqrt((frame**2).sum(axis=1) + frame_mass**2)
    beta, gamma = frame / energy[:, None], energy / frame_mass
    b2 = (beta**2).sum(axis=1)
    matrix = np.zeros((len(frame), 4, 4))
    matrix[:, 0, 0] = gamma
    matrix[:, 0, 1:] = matrix[:, 1:, 0] = gamma[:, None] * beta
    outer = beta[:, :, None] * beta[:, None, :]
    matrix[:, 1:, 1:] = np.eye(3) + ((gamma - 1.0) / b2)[:, None, None] * outer
    four = np.column_stack([np.sqrt((momentum**2).sum(axis=1) + mass**2), momentum])
    return np.einsum("eij,ej->ei", matrix, four)[:, 1:]


def test_a_boost_is_the_textbooks_matrix():
    rng = Stream(1, "test two-body").at()
    momentum, frame = rng.normal(0, 50, (EVENTS, 3)), rng.normal(0, 100, (EVENTS, 3))
    mass, frame_mass = rng.uniform(0, 20, EVENTS), rng.uniform(80, 200, EVENTS)
    found = boost(momentum, mass, frame, frame_mass)
    # gamma is below 10 here, and energies below 3 TeV.
    assert np.abs(found - by_matrix(momentum, mass, frame, frame_mass)).max() < 100 * EPSILON * 3000.0
    assert np.abs(found - by_matrix(momentum, mass, -frame, frame_mass)).max() > 1.0, "the negative control"


def test_a_boost_and_back_loses_one_factor_of_gamma_only():
    rng = Stream(2, "test two-body").at()
    frame_mass = 91.0
    frame = directions(rng) * np.exp(rng.uniform(np.log(1e-3), np.log(1e6), EVENTS))[:, None]
    momentum, mass = 45.0 * directions(rng), np.where(rng.random(EVENTS) < 0.5, 0.0, 1.0)
    gamma = np.hypot(np.linalg.norm(frame, axis=1), frame_mass) / frame_mass
    moving = boost(momentum, mass, frame, frame_mass)
    back = boost(moving, mass, -frame, frame_mass)
    lost = np.linalg.norm(back - momentum, axis=1) / 45.0
    assert (lost < 10 * EPSILON * gamma).all()
    textbook = by_matrix(moving, mass, -frame, np.full(EVENTS, frame_mass))
    assert not (np.linalg.norm(textbook - momentum, axis=1) / 45.0 < 10 * EPSILON * gamma).all(), "the control"


def test_at_rest_nothing_moves():
    momentum = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    assert boost(momentum, [0.0, 1.0], np.zeros((2, 3)), [91.0, 0.0]).tolist() == momentum.tolist()
    assert boost(momentum, [0.0, 1.0], np.full((2, 3), 1e-161), [91.0, 1.0]) == pytest.approx(momentum, rel=4 * EPSILON)
    assert np.allclose(boost([[0.0, 0.0, 0.0]], [5.0], [[3.0, 4.0, 0.0]], [10.0]), [[1.5, 2.0, 0.0]], rtol=4 * EPSILON)


def test_the_boost_between_two_momenta_is_the_one_that_was_made():
    rng = Stream(7, "test two-body").at()
    before, mass = 45.0 * directions(rng), np.where(rng.random(EVENTS) < 0.5, 0.0, 1.0)
    frame = 100.0 * rng.random((EVENTS, 1)) * directions(rng)
    found = boost_between(before, boost(before, mass, frame, np.ones(EVENTS)), mass)
    assert np.abs(found - frame).max() < 1e5 * EPSILON * 100.0
    assert (np.linalg.norm(boost_between(before, before, mass), axis=1) < 10 * EPSILON).all()
    wrong = boost_between(before, boost(before, mass, frame, np.ones(EVENTS)), mass + 20.0)
    assert np.abs(wrong - frame).max() > 1.0, "the negative control: another mass"


def test_the_mass_of_a_fast_pair():
    rng = Stream(3, "test two-body").at()
    at_rest = 45.0 * directions(rng)
    frame = 1e6 * directions(rng)
    pair = np.stack([boost(p, np.zeros(EVENTS), frame, np.full(EVENTS, 90.0)) for p in (at_rest, -at_rest)])
    gamma = 1e6 / 90.0
    exact = 20 * EPSILON * gamma
    assert np.abs(mass_of_sum(pair, np.zeros((2, EVENTS))) / 90.0 - 1.0).max() < exact
    energy, total = np.linalg.norm(pair, axis=-1).sum(axis=0), np.linalg.norm(pair.sum(axis=0), axis=-1)
    assert np.abs(np.sqrt(np.abs((energy - total) * (energy + total))) / 90.0 - 1.0).max() > exact, (
        "E - p is the control"
    )


masses = st.sampled_from([0.0, 0.000511, 0.106, 4.8, 80.4])


@given(st.floats(1e-12, 1e7), masses, masses)
def test_release_and_momentum_are_inverse(released, mass_1, mass_2):
    momentum = decay_momentum(released, mass_1, mass_2)
    assert float(release(momentum, mass_1, mass_2)) == pytest.approx(released, rel=20 * EPSILON)
    mother = mass_1 + mass_2 + released
    plain = np.hypot(momentum, mass_1) + np.hypot(momentum, mass_2)
    assert float(plain) == pytest.approx(mother, rel=20 * EPSILON)


def test_a_release_just_above_threshold():
    # Without relativity Q = p**2 / (2 mu), mu the reduced mass; the next term is Q / mu smaller.
    mu = 4.8 * 80.4 / 85.2
    assert float(decay_momentum(1e-10, 4.8, 80.4)) == pytest.approx(np.sqrt(2.0 * mu * 1e-10), rel=1e-10)
    difference = 4.8 + 80.4 + 1e-10 - 4.8 - 80.4
    assert float(decay_momentum(difference, 4.8, 80.4)) != pytest.approx(np.sqrt(2.0 * mu * 1e-10), rel=1e-10)
    assert decay_momentum([0.0, 0.0], [0.0, 1.0], [0.0, 0.0]).tolist() == [0.0, 0.0]
    assert release([0.0, 0.0], [0.0, 1.0], [0.0, 0.0]).tolist() == [0.0, 0.0]


@pytest.mark.statistical
def test_isotropic_directions_are_standard_normal_numbers():
    rng = Stream(4, "test two-body").at()
    isotropic = directions(rng)
    u, v = direction_to_normal(isotropic).T
    views = {"u": u, "v": v, "between": (u + v) / np.sqrt(2.0), "across": (u - v) / np.sqrt(2.0)}
    for name, values in views.items():
        assert kstest(values, "norm").pvalue > FIVE_SIGMA, name
    assert kstest(0.5 * (u * u + v * v), "expon").pvalue > FIVE_SIGMA, "which only independent ones give"
    # A density of 1 + 0.4 cos(angle to x): the negative control.
    polarised = isotropic[rng.uniform(0, 1.4, EVENTS) < 1.0 + 0.4 * isotropic[:, 0]]
    assert kstest(direction_to_normal(polarised)[:, 0], "norm").pvalue < FIVE_SIGMA


def test_known_directions():
    median = np.sqrt(2.0 * np.log(2.0))  # half of all directions have z > 0
    known = {(0, 0, 5): (0, 0), (2, 0, 0): (median, 0), (0, -1, 0): (0, -median), (0, 0, 0): (0, 0)}
    found = direction_to_normal(np.array(list(known), dtype=np.float64))
    assert np.allclose(found, list(known.values()), rtol=0, atol=4 * EPSILON)


@given(st.floats(-15, 0), st.floats(-np.pi, np.pi), st.booleans())
def test_directions_return_from_near_the_poles(logarithm, azimuth, south):
    transverse = 10.0**logarithm
    z = np.sqrt((1.0 - transverse) * (1.0 + transverse)) * (-1.0 if south else 1.0)
    direction = np.array([transverse * np.cos(azimuth), transverse * np.sin(azimuth), z])
    back = normal_to_direction(direction_to_normal(direction))
    assert np.abs(back - direction)[:2].max() < 100 * EPSILON * transverse, "relative: even at the singular pole"
    assert abs(back[2] - z) < 10 * EPSILON


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_numbers_return_even_from_far_out(u, v):
    radius = np.hypot(u, v)
    if radius < 35.0:  # beyond 37.6 there is nothing between a direction and -z
        back = direction_to_normal(normal_to_direction([u, v]))
        assert np.abs(back - [u, v]).max() < 1e-12 * max(radius, 1.0)


def test_the_singular_pole_has_an_image_and_comes_back():
    pole = np.array([0.0, 0.0, -1.0])
    image = direction_to_normal(pole)
    assert np.isfinite(image).all()
    assert np.abs(normal_to_direction(image) - pole).max() < 1e-100
    assert normal_to_direction([1000.0, 0.0]).tolist() == pole.tolist()
