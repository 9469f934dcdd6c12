"""PDG numbers, against a handful known by heart and, where it is installed, the particle package's quark contents."""

import numpy as np
import pytest

from castalia.physics.particle_codes import has_bottom, has_charm, is_elementary, is_neutrino, is_resonance

BOTTOM = [511, -521, 531, 541, 5122, -5332, 10511, 513, 20523, 5554]
CHARM = [411, -421, 431, 4122, -4132, 413, 10433, 4444]
NEITHER = [5, 4, 5503, 4103, 553, 443, 100553, 211, 130, 2212, 22, 21, 24, 1000020040, 1000512, 9900441, 90]


def test_flavours_known_by_heart():
    assert has_bottom(BOTTOM).all()
    assert has_charm(CHARM).all()
    assert not has_bottom([*CHARM, *NEITHER]).any()
    assert not has_charm([*BOTTOM, *NEITHER]).any()


def test_the_flavours_of_every_hadron_in_the_tables():
    listed = pytest.importorskip("particle").Particle.all()
    hadrons = [one for one in listed if one.pdgid.is_hadron and abs(int(one.pdgid)) < 10**7 and "non" not in one.quarks]
    assert len(hadrons) > 500
    for one in hadrons:
        bottom = one.quarks.count("b") != one.quarks.count("B")
        charm = not bottom and one.quarks.count("c") != one.quarks.count("C")
        assert (bool(has_bottom(int(one.pdgid))), bool(has_charm(int(one.pdgid)))) == (bottom, charm), one.name
        assert not is_resonance(int(one.pdgid)), one.name


def test_resonances_and_elementary_particles_keep_the_shape():
    resonances = np.array([[6, -6, 23, -24], [25, 32, -37, 1000024]])
    assert is_resonance(resonances).all()
    assert not is_resonance([5, 11, 21, 22, 511, 9000111, 2212, 1000020040]).any()
    assert is_elementary([1, -6, 11, -16, 21, 22]).all()
    assert not is_elementary([23, 24, 111, 511, 2203, 90, 0, 7, 10, 17]).any()
    assert is_neutrino([[12, -14], [16, 11]]).tolist() == [[True, True], [True, False]]
