"""The two ways in agree: Pythia's record taken directly, and the same record through a HepMC3 file."""

import numpy as np
import pytest

from castalia.data.particles import particle_columns
from castalia.data.readers.particles import read_particles
from castalia.processes import collider
from castalia.processes.decay_filter import one_leptonic_w
from castalia.processes.hard import find_hard_process
from castalia.processes.pythia import make_pythia, pythia_batches, pythia_events

EVENTS = 3
_BEAM = 12


def hepmc_event(pyhepmc, record):
    """Turn one of Pythia's records into HepMC3's graph, with its conventions of status."""
    particles, children = [None], {}
    for k in range(1, record.size()):
        entry = record[k]
        code = abs(entry.status())
        status = 1 if entry.status() > 0 else 4 if code == _BEAM else code
        momentum = (entry.px(), entry.py(), entry.pz(), entry.e())
        particles.append(pyhepmc.GenParticle(momentum, entry.id(), status))
        particles[-1].generated_mass = entry.m()
        children.setdefault(tuple(entry.motherList()), []).append(k)
    vertices = []  # particles know their vertices, but do not keep them alive
    for mothers, daughters in children.items():
        if mothers in ((), (0,)):
            continue
        vertices.append(vertex := pyhepmc.GenVertex())
        for k in mothers:
            vertex.add_particle_in(particles[k])
        for k in daughters:
            vertex.add_particle_out(particles[k])
    event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    event.add_tree(particles[1:3])
    return event


def kept(columns, row):
    """Return the particles of an event in an order that does not depend on the file, each with its mother's name."""
    pdg, status, mother = (columns[f"particle_{name}"][row].to_numpy() for name in ("pdg", "status", "mother"))
    kinematics = [np.round(columns[f"particle_{name}"][row].to_numpy(), 8) for name in ("pt", "eta", "phi", "mass")]
    mothers = np.where(mother < 0, 0, pdg[mother])
    return sorted(zip(pdg, status, mothers, *kinematics, strict=True))


def test_a_record_is_the_same_through_a_hepmc_file(tmp_path):
    pytest.importorskip("pythia8mc")
    pyhepmc = pytest.importorskip("pyhepmc")
    hook = one_leptonic_w()
    settings = (*find_hard_process("ttbar").settings, "PartonLevel:MPI = off")
    path = tmp_path / "events.hepmc"
    with pyhepmc.open(path, "w") as file:
        for _, record in zip(range(EVENTS), pythia_events(make_pythia(settings, 3, hook)), strict=False):
            file.write(hepmc_event(pyhepmc, record))
    table = next(read_particles(path, EVENTS))
    direct = particle_columns(collider._records(next(pythia_batches(make_pythia(settings, 3, hook), EVENTS, EVENTS))))
    for row in range(EVENTS):
        assert kept(table, row) == kept(direct, row)
    assert kept(table, 0) != kept(direct, 1), "the negative control"
