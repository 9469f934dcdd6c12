"""`castalia generate` for colliders as a user types it: processes, files of other programs, cards, refusals."""

import gzip
import json
import re

import pytest
from castalia_console import here, listing, read

from castalia.cli.generate_collider import parse_parameters
from castalia.detectors.parametric.card import load_card
from castalia.errors import ConfigError
from castalia.processes.hard import COLLIDER_PROCESSES

pytest.importorskip("pythia8mc")
pytest.importorskip("fastjet")

DELPHES = """\
module MomentumSmearing MuonMomentumSmearing {
  set ResolutionFormula { sqrt(0.02^2 + pt^2*1.0e-4^2) }
}
module BTagging BTagging {
  add EfficiencyFormula {5} {0.7}
}
"""


@pytest.fixture
def lhe(tmp_path):
    """Three events u dbar -> mu+ nu g of another program."""

    def write(name="events.lhe", events=3, opener=open):
        rows = [
            "2 -1 0 0 501 0 0. 0. 300. 300. 0. 0. 9.",
            "-1 -1 0 0 0 502 0. 0. -100. 100. 0. 0. 9.",
            "-13 1 1 2 0 0 60. 20. 100. 118.3216 0. 0. 9.",
            "14 1 1 2 0 0 10. -25. 50. 56.7891 0. 0. 9.",
            "21 1 1 2 501 502 -70. 5. 50. 86.1684 0. 0. 9.",
        ]
        event = "<event>\n 5 1 2.5 80.0 0.0078 0.118\n" + "\n".join(rows) + "\n</event>\n"
        init = "<init>\n 2212 2212 6500. 6500. 0 0 247000 247000 -4 1\n 50.0 0.1 1.0 1\n</init>\n"
        text = '<LesHouchesEvents version="3.0">\n' + init + events * event + "</LesHouchesEvents>\n"
        path = tmp_path / name
        with opener(path, "wt") as file:
            file.write(text)
        return path

    return write


@pytest.mark.parametrize("process", [one.name for one in COLLIDER_PROCESSES])
def test_every_process_makes_a_file_that_verifies(process, tmp_path):
    path = tmp_path / "made.root"
    summary = here("generate", process, "--events", 30, "--card", "ideal", "-o", path, "--json").good().json
    assert summary["events"] == summary["generated"] == 30
    assert here("inspect", path, "--json").good().json["verified"]
    code = {one.name: one.code for one in COLLIDER_PROCESSES}[process]
    table = read(path, "process", "jet_pt", "m_bb", "theta_m_H") if process == "heavy-higgs" else read(path, "process")
    assert set(table["process"]) == {code}


def test_a_repeated_command_is_refused_resumed_or_overwrites(tmp_path):
    words = ("generate", "wjets", "--events", 20, "-o", tmp_path / "w.parquet")
    first = here(*words, "--json").good().json
    before = listing(tmp_path)
    assert "pass --overwrite" in here(*words).refused(2)
    assert here(*words, "--resume", "--json").good().json["sha256"] == first["sha256"]
    assert listing(tmp_path) == before
    again = here(*words[:-1], words[-1], "--seed", 2, "--overwrite", "--json").good().json
    assert again["sha256"] != first["sha256"]


def test_a_dry_run_estimates_and_writes_nothing(tmp_path):
    words = ("--parameter", "m_Zprime=800:1200", "--point-events", 100, "--dry-run", "--json")
    found = here("generate", "zprime", "--events", 10_000, *words, "-o", tmp_path / "z.root").good().json
    assert found["estimated_seconds"] > 0.0
    assert found["units"] == 3
    assert 1e6 < found["estimated_bytes"] < 1e9
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--parameter", "m_heavy=350:600"), "has no parameter 'm_heavy'; it has m_H, m_Hpm"),
        (("--parameter", "m_H=350:600:700"), "write NAME=VALUE or NAME=LOW:HIGH"),
        (("--parameter", "m_H=600:350"), "low goes first"),
        (("--parameter", "m_H=300", "--parameter", "m_Hpm=290"), "must exceed m_Hpm by more than 85"),
        (("--card", "bad.toml"), "bad.toml.*no such card"),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(words, said, tmp_path):
    sentence = here("generate", "heavy-higgs", "--events", 10, *words, "-o", tmp_path / "h.root").refused(2)
    assert re.search(said, sentence), sentence
    assert not list(tmp_path.iterdir())


def test_a_card_with_a_bad_formula_is_refused(tmp_path):
    card = tmp_path / "card.toml"
    card.write_text(load_card("ideal").to_toml().replace('b = "1"', 'b = "1 + sin(pt"'))
    sentence = here("generate", "ttbar", "--events", 10, "--card", card, "-o", tmp_path / "t.root").refused(2)
    assert "card.toml" in sentence
    assert "btag" in sentence
    assert listing(tmp_path).keys() == {"card.toml"}


def test_events_of_another_program_through_the_detector(lhe, tmp_path):
    pytest.importorskip("pylhe")
    files = ("--input", lhe(), "--input", lhe("more.lhe.gz", 2, gzip.open))
    out = tmp_path / "seen.root"
    summary = here("generate", "detector", *files, "--card", "ideal", "-o", out, "--json").good().json
    assert summary["events"] == 5
    table = read(out)
    assert table["luminosityBlock"].tolist() == [1, 1, 1, 2, 2]
    assert table["event"].tolist() == [1, 2, 3, 1, 2]
    assert set(table["weight"]) == {2.5}
    assert table["muon_pt"][0].tolist() == pytest.approx([(60.0**2 + 20.0**2) ** 0.5])
    assert table["jet_pt"][0].tolist() == pytest.approx([(70.0**2 + 5.0**2) ** 0.5])
    provenance = json.loads((tmp_path / "seen.root.json").read_text())["provenance"]
    assert [one["file"] for one in provenance["inputs"]] == ["events.lhe", "more.lhe.gz"]
    two = here("generate", "detector", *files, "--card", "ideal", "-o", tmp_path / "b.root", "--workers", 2).good()
    assert "5" in two.out
    assert read(tmp_path / "b.root")["met_pt"].tolist() == table["met_pt"].tolist()
    tried = here("generate", "detector", *files, "-o", tmp_path / "no.root", "--dry-run", "--json").good().json
    assert (tried["files"], tried["events_tried"]) == (2, 5)
    assert not (tmp_path / "no.root").exists()


def test_a_file_cut_short_is_refused_with_its_event(lhe, tmp_path):
    pytest.importorskip("pylhe")
    path = lhe()
    text = path.read_text()
    path.write_text(text[: text.rindex("-13 1 1 2")])
    sentence = here("generate", "detector", "--input", path, "-o", tmp_path / "a.root").refused(3)
    assert "events.lhe: event 3" in sentence
    assert listing(tmp_path).keys() == {"events.lhe"}


def test_a_hepmc_file_cut_short_is_refused(tmp_path):
    pytest.importorskip("pyhepmc")
    path = tmp_path / "events.hepmc"
    path.write_text("HepMC::Version 3.02.06\nHepMC::Asciiv3-START_EVENT_LISTING\nE 0 1 3\nU GEV MM\nP 1 0 2 0.0 0.0\n")
    sentence = here("generate", "detector", "--input", path, "-o", tmp_path / "a.root").refused(3)
    assert "events.hepmc" in sentence
    assert listing(tmp_path).keys() == {"events.hepmc"}


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        (("no.lhe",), 3, "no.lhe"),
        (("a.txt",), 3, "end in .lhe, .hepmc"),
        (("a.lhe", "a.lhe"), 2, "named twice"),
    ],
)
def test_inputs_that_cannot_be_are_refused(files, code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    words = [word for file in files for word in ("--input", file)]
    assert said in here("generate", "detector", *words, "-o", "out.root").refused(code)
    assert listing(tmp_path).keys() == {"a.txt"}


def test_a_delphes_card_becomes_one_of_ours(tmp_path):
    (tmp_path / "cms.tcl").write_text(DELPHES)
    words = ("generate", "card", "--delphes", tmp_path / "cms.tcl", "-o", tmp_path / "card.toml")
    here(*words, "--base", "ideal").good()
    card = load_card(tmp_path / "card.toml")
    assert card.name == "cms"
    assert card.jets.btag.b == "0.7"
    assert "0.02**2" in card.muons.pt_resolution
    assert card.electrons == load_card("ideal").electrons
    assert "pass --overwrite" in here(*words).refused(2)
    here(*words, "--overwrite").good()
    (tmp_path / "cms.tcl").write_text("set MaxEvents 1000\n")
    assert "no formula" in here(*words, "--overwrite").refused(2)


def test_parameters_are_values_or_intervals():
    assert parse_parameters(["a=1", "b=2.5:3e1"]) == {"a": 1.0, "b": (2.5, 30.0)}
    assert parse_parameters(None) == {}
    for word in ("a", "a=", "a=x", "a=1:", "a=1:2:3"):
        with pytest.raises(ConfigError, match="NAME=LOW:HIGH"):
            parse_parameters([word])
    with pytest.raises(ConfigError, match="twice"):
        parse_parameters(["a=1", "a=2"])
