"""Generator files of other programs: read as truth particles, refused where they are damaged or cut short."""

import gzip
import sys

import numpy as np
import pytest

from castalia.data.particles import HARD, STABLE
from castalia.data.readers.particles import read_particles
from castalia.data.table import Table
from castalia.errors import ConfigError, DataError

ENDINGS = ("lhe", "hepmc")
LIBRARIES = {"lhe": "pylhe", "hepmc": "pyhepmc"}

# u dbar -> g W+ -> g mu+ nu: (pdg, LHE status, LHE mothers, HepMC status, px, py, pz, mass)
W_AND_GLUON = [
    (2, -1, (0, 0), 21, 0.0, 0.0, 300.0, 0.0),
    (-1, -1, (0, 0), 21, 0.0, 0.0, -100.0, 0.0),
    (24, 2, (1, 2), 22, 40.0, 0.0, 150.0, 80.0),
    (21, 1, (1, 2), 23, -40.0, 0.0, 50.0, 0.0),
    (-13, 1, (3, 3), 1, 30.0, 25.0, 100.0, 0.1057),
    (14, 1, (3, 0), 1, 10.0, -25.0, 50.0, 0.0),
]


def momenta(number):
    """Return (px, py, pz, E, mass) of the particles of one event; its number is in their pz."""
    px, py, pz, mass = np.array([row[4:] for row in W_AND_GLUON]).T
    pz = pz + number
    return np.stack([px, py, pz, np.sqrt(px**2 + py**2 + pz**2 + mass**2), mass], axis=-1)


def write_lhe(path, events):
    blocks = []
    for number in range(events):
        lines = [f" {len(W_AND_GLUON)} 1 {0.5 + number} 80.0 0.0078 0.118"]
        for (pdg, status, mothers, *_), values in zip(W_AND_GLUON, momenta(number), strict=True):
            numbers = " ".join(f"{value:.16e}" for value in values)
            lines.append(f" {pdg} {status} {mothers[0]} {mothers[1]} 0 0 {numbers} 0. 9.")
        blocks.append("<event>\n" + "\n".join(lines) + "\n</event>\n")
    init = "<init>\n 2212 2212 6500. 6500. 0 0 247000 247000 -4 1\n 50.0 0.1 1.0 1\n</init>\n"
    path.write_text('<LesHouchesEvents version="3.0">\n' + init + "".join(blocks) + "</LesHouchesEvents>\n")


def write_hepmc(path, events, unit="GEV"):
    pyhepmc = pytest.importorskip("pyhepmc")
    scale = {"GEV": 1.0, "MEV": 1000.0}[unit]
    with pyhepmc.open(path, "w") as file:
        for number in range(events):
            event = pyhepmc.GenEvent(getattr(pyhepmc.Units, unit), pyhepmc.Units.MM)
            particles = []
            for (pdg, _, _, status, *_), values in zip(W_AND_GLUON, scale * momenta(number), strict=True):
                particles.append(pyhepmc.GenParticle(values[:4], pdg, status))
                particles[-1].generated_mass = values[4]
            for incoming, outgoing in ((particles[:2], particles[2:4]), (particles[2:3], particles[4:6])):
                vertex = pyhepmc.GenVertex()
                for particle in incoming:
                    vertex.add_particle_in(particle)
                for particle in outgoing:
                    vertex.add_particle_out(particle)
                event.add_vertex(vertex)
            event.event_number, event.weights = number, [0.5 + number, 7.0]
            file.write(event)


@pytest.fixture
def written(tmp_path):
    def write(ending, events, **options):
        pytest.importorskip(LIBRARIES[ending])
        path = tmp_path / f"events.{ending}"
        {"lhe": write_lhe, "hepmc": write_hepmc}[ending](path, events, **options)
        return path

    return write


def kept(table, row):
    names = ("pdg", "status", "mother")
    return list(zip(*(table[f"particle_{name}"][row].tolist() for name in names), strict=True))


def refused(path, said):
    with pytest.raises(DataError, match=said) as caught:
        list(read_particles(path, 2))
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_events_come_in_chunks(written, ending, chunk):
    tables = list(read_particles(written(ending, 7), chunk))
    assert [len(table) for table in tables] == [chunk] * (7 // chunk) + [7 % chunk] * (7 % chunk > 0)
    table = Table.concatenate(tables)
    assert table["event"].tolist() == list(range(1, 8))
    assert table["weight"].tolist() == [0.5 + k for k in range(7)]
    assert set(table["process"]) == {0}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_particles_and_their_mothers(written, ending):
    table = Table.concatenate(list(read_particles(written(ending, 3), 2)))
    leptons = [(-13, HARD, 0), (-13, STABLE, 2), (14, HARD, 0), (14, STABLE, 4)]
    if ending == "lhe":  # partons are their own stable particles
        assert kept(table, 2) == [
            (24, HARD, -1),
            (21, HARD, -1),
            (21, STABLE, 1),
            (-13, HARD, 0),
            (-13, STABLE, 3),
            (14, HARD, 0),
            (14, STABLE, 5),
        ]
    else:
        assert kept(table, 2) == [(24, HARD, -1), (21, HARD, -1), *leptons]
    pt, eta, phi, mass = (np.asarray(table[f"particle_{name}"][2, 0]) for name in ("pt", "eta", "phi", "mass"))
    assert pt * np.cos(phi) == pytest.approx(40.0, rel=1e-14)
    assert pt * np.sinh(eta) == pytest.approx(152.0, rel=1e-14)
    assert mass == 80.0


def test_a_hepmc_file_in_mev_is_turned_into_gev(written):
    gev = next(read_particles(written("hepmc", 1), 1))
    mev = next(read_particles(written("hepmc", 1, unit="MEV"), 1))
    assert "U MEV" in written("hepmc", 1, unit="MEV").read_text()
    for name in ("pt", "eta", "mass"):
        assert mev[f"particle_{name}"][0].tolist() == pytest.approx(gev[f"particle_{name}"][0].tolist(), rel=1e-14)


@pytest.mark.parametrize("ending", ENDINGS)
def test_gzipped_files_are_read_and_refused_where_they_are_damaged(written, ending):
    plain = written(ending, 40)
    packed = plain.with_name(f"events.{ending}.gz")
    content = gzip.compress(plain.read_bytes())
    packed.write_bytes(content)
    assert sum(len(table) for table in read_particles(packed, 7)) == 40
    for length in np.linspace(3, len(content) - 1, 20).astype(int):
        packed.write_bytes(content[:length])
        refused(packed, "cut short|is empty|malformed|damaged")
    for place in np.linspace(20, len(content) - 9, 10).astype(int):
        packed.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        refused(packed, "damaged|malformed|does not begin|no number")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_truncation_is_refused_with_a_place(written, ending):
    path = written(ending, 3)
    content = path.read_bytes().rstrip()
    path.write_bytes(content)
    assert sum(len(table) for table in read_particles(path, 2)) == 3, "the negative control: nothing is missing"
    for length in (*range(0, 200, 11), *np.linspace(200, len(content) - 1, 80).astype(int)):
        path.write_bytes(content[:length])
        refused(path, r"event \d|line \d|is empty|does not begin|header")


def swap(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(new.join(text.rsplit(old, 1)))


@pytest.mark.parametrize(
    ("ending", "old", "new", "said"),
    [
        ("lhe", " 14 1 3 0 ", " 14 1 x 0 ", "event 3 is malformed"),
        ("lhe", " 14 1 3 0 0 0 ", " 14 1 3 0 ", "event 3 is malformed"),
        ("lhe", " 14 1 3 0 ", " 14 1 9 0 ", "event 3 names a mother beyond"),
        ("lhe", " 6 1 2.5 ", " 7 1 2.5 ", "event 3 has 6 particles and says that it has 7"),
        ("lhe", " 6 1 2.5 ", " 6 1 nan ", "event 3 has a momentum, mass or weight that is no number"),
        ("lhe", "</event>", "</evnt>", "event 3 is malformed"),
        ("lhe", "<init>", "<int>", "its header is malformed"),
        ("hepmc", " 14 ", " 1x ", r"line \d+ \(event 3\) is malformed"),
        ("hepmc", "e+00 1\n", "e+00\n", r"line \d+ \(event 3\) is malformed"),
        ("hepmc", "e+02 ", "n+02 ", r"line \d+ \(event 3\) is malformed"),
        ("hepmc", "[1,2]", "[1;2]", r"line \d+ \(event 3\) is malformed"),
        ("hepmc", "P 6 ", "Q 6 ", r"line \d+ is malformed"),
        ("hepmc", "E 2 2 6", "E 2 2 7", "event 3 is malformed"),
        ("hepmc", "E 2 2 6", "E 2 1 6", "event 3 is malformed"),
        ("hepmc", "HepMC::Asciiv3-END", "HepMC::Asciiv3-EN", "is cut short after event 3"),
    ],
)
def test_malformed_events_are_refused_with_their_place(written, ending, old, new, said):
    path = written(ending, 3)
    swap(path, old, new)
    refused(path, said)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_no_generator_file_is_refused(tmp_path, ending):
    pytest.importorskip(LIBRARIES[ending])
    for name, content, said in (
        ("empty", b"", "is empty"),
        ("page", b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        ("noise", bytes(range(256)) * 4, "does not begin like"),
        ("packed", gzip.compress(b"<html>Sign in</html>"), "web page"),
        ("old", b"HepMC::Version 2.06.09\nHepMC::IO_GenEvent-START_EVENT_LISTING\n", "does not begin like"),
    ):
        path = tmp_path / f"{name}.{ending}"
        path.write_bytes(content)
        refused(path, said)
    refused(tmp_path / f"absent.{ending}", "does not exist")
    (tmp_path / f"folder.{ending}").mkdir()
    refused(tmp_path / f"folder.{ending}", "cannot be read")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_without_events_is_refused(written, ending):
    refused(written(ending, 0) if ending == "lhe" else without_events(written), "no events")


def without_events(written):
    path = written("hepmc", 1)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if line.startswith("HepMC::")))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_missing_library_names_the_extra(written, monkeypatch, ending):
    path = written(ending, 1)
    monkeypatch.setitem(sys.modules, LIBRARIES[ending], None)
    with pytest.raises(ConfigError, match=r"castalia\[processes\]"):
        next(read_particles(path, 1))


def test_other_endings_and_chunks_are_refused(tmp_path, written):
    with pytest.raises(DataError, match="end in .lhe, .hepmc"):
        read_particles(tmp_path / "a.root", 1)
    with pytest.raises(DataError, match="chunk of 0"):
        list(read_particles(written("lhe", 1), 0))
