"""The toy's decays have the Higgs boson's mass and the spectrum that they claim."""

import numpy as np
import pytest
from scipy import stats

from castalia.physics.constants import HIGGS_MASS
from castalia.physics.four_vectors import from_cartesian, to_cartesian
from castalia.physics.masses import diphoton_mass
from castalia.processes.toy_higgs import toy_photons
from castalia.rng import Stream

EVENTS = 20_000
# The two-sided five-standard-error level of a p-value.
SMALLEST_P = 2.0 * stats.norm.sf(5.0)


@pytest.fixture(scope="module")
def photons():
    return toy_photons(EVENTS, Stream(1, "test toy").at())


@pytest.fixture(scope="module")
def boson(photons):
    return to_cartesian(*np.moveaxis(photons, -1, 0)).sum(axis=1)


def test_the_mass(photons):
    mass = diphoton_mass(*np.moveaxis(photons, -1, 0))
    # A boost of gamma loses gamma**2 * eps; the largest here is about 100.
    assert np.abs(mass / HIGGS_MASS - 1.0).max() < 1e4 * np.finfo(float).eps


@pytest.mark.statistical
def test_the_spectrum_and_the_isotropic_decay(photons, boson):
    pt, _, phi, _ = from_cartesian(boson)
    rapidity = np.arctanh(boson[:, 2] / boson[:, 3])
    assert stats.kstest(pt, stats.gamma(2.3, scale=52.0).cdf).pvalue > SMALLEST_P
    assert stats.kstest(rapidity, stats.norm.cdf).pvalue > SMALLEST_P
    assert stats.kstest(phi, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > SMALLEST_P
    # The energy of a photon in the laboratory is uniform between (E - p) / 2 and (E + p) / 2 for an isotropic decay.
    energy = photons[:, 0, 0] * np.cosh(photons[:, 0, 1])
    momentum = np.linalg.norm(boson[:, :3], axis=1)
    assert stats.kstest((2.0 * energy - boson[:, 3]) / momentum, stats.uniform(-1, 2).cdf).pvalue > SMALLEST_P


@pytest.mark.statistical
def test_negative_control_a_width_of_five_percent_more_is_seen(boson):
    pt = 1.05 * from_cartesian(boson)[0]
    assert stats.kstest(pt, stats.gamma(2.3, scale=52.0).cdf).pvalue < SMALLEST_P
